// The lock that keeps the writers of a store apart: flock(2) on a file beside it.
//
// SQLite's own locks make a second writer poll (sqlite3_busy_timeout sleeps); flock queues it in the kernel. The
// lock goes with the process, whatever ends it. The file's content is a note that survives the process: the boot
// in which the store was last opened.

import { closeSync, fstatSync, ftruncateSync, readFileSync } from 'node:fs'
import { basename } from 'node:path'

import { loadNative } from '../native/native.ts'
import { asNodeError } from '../native/node-error.ts'
import { keepInPlace, openOwnFile } from './own-file.ts'
import { remedyFor, StoreError, storeErrorOfErrno } from './store-error.ts'

const LOCK_EX = 2
const LOCK_NB = 4
const LOCK_UN = 8

/**
 * flock(2). Without LOCK_NB it blocks the thread, for `timeoutMs` at most.
 *
 * @returns false when the lock was not got
 */
export type Flock = (fd: number, operation: number, timeoutMs: number) => boolean

/** One process may hold several FileLocks of one path: they exclude one another as those of two processes do. */
export class FileLock {
  readonly path: string
  readonly #flock: Flock
  #fd: number

  private constructor(path: string, flock: Flock) {
    this.path = path
    this.#flock = flock
    this.#fd = openOwnFile(path)
  }

  /** Makes the file (0600) and its directories (0700) where they are missing. @throws StoreError */
  static open(path: string, flock: Flock): FileLock {
    return new FileLock(path, flock)
  }

  /** The way of a process that must not block: try, and wait elsewhere. @returns false when another holds it */
  tryAcquire(): boolean {
    return this.#lockInPlace(LOCK_EX | LOCK_NB, 0)
  }

  /** Blocks the thread. @throws StoreError ELOCKED, naming the holder, when `timeoutMs` were not enough */
  acquire(timeoutMs: number): void {
    if (!this.tryAcquire() && !this.#lockInPlace(LOCK_EX, timeoutMs)) throw this.#lockedError(timeoutMs)
  }

  release(): void {
    this.#flock(this.#fd, LOCK_UN, 0)
  }

  /** Also releases. */
  close(): void {
    closeSync(this.#fd)
  }

  readNote(): string {
    return readFileSync(this.path, 'utf8').split('\n', 1)[0] ?? ''
  }

  /**
   * Over the note before, and cut to length then: a power cut leaves one of the two, and not none.
   *
   * @param text  one line
   * @throws StoreError
   */
  writeNote(text: string): void {
    const line = `${text}\n`
    try {
      // Not by our descriptor: with O_APPEND, Linux writes at the end, whatever offset is given (pwrite(2), BUGS).
      loadNative().writeFile(this.path, line)
      ftruncateSync(this.#fd, Buffer.byteLength(line))
    } catch (error) {
      throw storeErrorOfErrno(asNodeError(error, this.path), 'write', this.path)
    }
  }

  #lockInPlace(operation: number, timeoutMs: number): boolean {
    while (this.#flock(this.#fd, operation, timeoutMs)) {
      const fd = keepInPlace(this.#fd, this.path)
      if (fd === this.#fd) return true
      this.#fd = fd
    }
    return false
  }

  #lockedError(timeoutMs: number): StoreError {
    const holder = describeHolder(fstatSync(this.#fd).ino)
    const why = `held by ${holder} for more than ${timeoutMs} ms`
    return new StoreError('ELOCKED', {
      operation: 'lock',
      path: this.path,
      why,
      remedy: remedyFor('ELOCKED', this.path),
    })
  }
}

function describeHolder(inode: number): string {
  const pid = findHolder(readFileSync('/proc/locks', 'utf8'), inode)
  if (pid === undefined) return 'a process that cannot be seen from here'
  const name = basename(readProcess(pid, 'cmdline').split('\0')[0] ?? '')
  // The name in parentheses may itself hold any character: the state comes after the last one.
  const stopped = /.*\) T/s.test(readProcess(pid, 'stat'))
  return `process ${pid} (${name || 'gone'}${stopped ? ', stopped' : ''})`
}

function readProcess(pid: number, file: string): string {
  try {
    return readFileSync(`/proc/${pid}/${file}`, 'utf8')
  } catch {
    return '' // It has just ended.
  }
}

/**
 * The process that holds the flock of a file.
 *
 * @param locks  /proc/locks: `1: FLOCK  ADVISORY  WRITE 1234 fd:00:5678 0 EOF`; waiters have `->` after the number
 * @see fs/locks.c, lock_get_status
 */
export function findHolder(locks: string, inode: number): number | undefined {
  for (const line of locks.split('\n')) {
    const [, kind, , , pid, file] = line.trim().split(/\s+/)
    if (kind !== 'FLOCK' || file?.split(':')[2] !== String(inode)) continue
    // 0 and -1 stand for a process of a PID namespace that is not ours.
    return Number(pid) > 0 ? Number(pid) : undefined
  }
  return undefined
}
