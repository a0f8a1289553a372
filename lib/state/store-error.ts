// What can go wrong with a store: the one error class of this layer.

import { dirname } from 'node:path'

export type StoreErrorCode = 'ECORRUPT' | 'EREADONLY' | 'EFULL' | 'ELOCKED' | 'EIO' | 'ENEWER' | 'EUNSAFE'

export interface StoreFailure {
  /** What was tried, in words: `open`, `write`, `lock`. */
  readonly operation: string
  readonly path: string
  readonly why: string
  /** What the person who runs the node can do about it. */
  readonly remedy: string
  readonly cause?: unknown
}

/** A store that cannot be read or written. The message reads `write "/x/leases.db": EFULL: no space left`. */
export class StoreError extends Error {
  readonly code: StoreErrorCode
  readonly operation: string
  readonly path: string
  readonly remedy: string

  constructor(code: StoreErrorCode, failure: StoreFailure) {
    super(`${failure.operation} "${failure.path}": ${code}: ${failure.why}`, { cause: failure.cause })
    this.name = 'StoreError'
    this.code = code
    this.operation = failure.operation
    this.path = failure.path
    this.remedy = failure.remedy
  }
}

const CODE_OF_ERRNO: Readonly<Record<string, StoreErrorCode>> = {
  EROFS: 'EREADONLY',
  EACCES: 'EREADONLY',
  EPERM: 'EREADONLY',
  // What mkdirSync with `recursive` says on a read-only file system.
  ENOENT: 'EREADONLY',
  ENOSPC: 'EFULL',
  EDQUOT: 'EFULL',
}

/** @param error  what node:fs threw; anything without an errno code is not ours and is returned as it is */
export function storeErrorOfErrno(error: unknown, operation: string, path: string): unknown {
  if (!(error instanceof Error) || !('code' in error) || !('errno' in error)) return error
  const code = CODE_OF_ERRNO[String(error.code)] ?? 'EIO'
  return new StoreError(code, {
    operation,
    path,
    why: error.message,
    remedy: remedyFor(code, path),
    cause: error,
  })
}

export function remedyFor(code: StoreErrorCode, path: string): string {
  switch (code) {
    case 'ECORRUPT':
      return (
        `what running pods hold can no longer be read: drain the node, then remove ${path}, ${path}-wal, ` +
        `${path}-shm and ${path}.lock; a store damaged before a reboot is set aside by itself`
      )
    case 'EREADONLY':
      return `make the directory of ${path} writable for this process`
    case 'EFULL':
      return `free space (or inodes) on the file system of ${path}`
    case 'ELOCKED':
      return `end the process that holds the lock of ${path}`
    case 'ENEWER':
      return `use the newer Podwire that wrote ${path}; to go back, drain the node and remove ${path} and ${path}.lock`
    case 'EUNSAFE':
      return `whoever put it there could have root write elsewhere: look at what it is, remove it, and let only root write to ${dirname(path)} (chown root, chmod go-w)`
    case 'EIO':
      return `check the disk and the file system of ${path} (kernel log)`
  }
}
