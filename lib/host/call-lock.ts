// One call at a time for an attachment, whatever process it runs in. A runtime promises not to make two at once; but a
// call that it has given up may still be running in the daemon, and a daemon that starts takes back what was half made.
//
// One file for all: an attachment is one byte of it, at the hash of its name (an open file description lock, fcntl(2)).
// The kernel frees it when the process ends, however that ends. Two names of one hash only wait for each other.

import { closeSync } from 'node:fs'
import type { Environment } from '../cni/environment.ts'
import { CNI_CODE, CniError } from '../cni/errors.ts'
import type { Native } from '../native/native.ts'
import { keepInPlace, openOwnFile } from '../state/own-file.ts'
import { StoreError } from '../state/store-error.ts'

/** In the state directory. */
export const LOCKS_FILE = 'calls.lock'

type Locking = Pick<Native, 'lockByte'>

/** What is locked: calls of one plugin for one interface of one container. */
export interface CallKey {
  readonly plugin: string
  readonly containerId: string
  readonly ifname: string
}

/** @returns undefined when the call changes no attachment */
export function callKey(plugin: string, environment: Environment): CallKey | undefined {
  const { CNI_COMMAND: command, CNI_CONTAINERID: containerId = '', CNI_IFNAME: ifname = '' } = environment
  return command === 'ADD' || command === 'DEL' ? { plugin, containerId, ifname } : undefined
}

/** How long a call waits for another of its attachment, in a process that serves one call. */
const PATIENCE_MS = 20_000

/**
 * Held until the process ends.
 *
 * @throws CniError 11 when another call had it all the time
 */
export function lockCall(path: string, key: CallKey, native: Locking): void {
  const locks = openUnlessBroken(path, native)
  if (locks === undefined || locks.acquire(key, PATIENCE_MS)) return
  const { plugin, containerId, ifname } = key
  throw new CniError(
    CNI_CODE.tryAgainLater,
    `another call of ${plugin} for ${ifname} of ${containerId} has been running for ${PATIENCE_MS} ms`,
    { details: `who holds the lock of ${path} is in /proc/locks; end that process, and try again` },
  )
}

/**
 * By a descriptor of its own, so that it excludes calls of this process, too: those that it serves as the daemon.
 *
 * @returns what releases it; undefined when somebody has it
 * @throws StoreError
 */
export function tryLockAttachment(path: string, key: CallKey, native: Locking): (() => void) | undefined {
  const locks = CallLocks.open(path, native)
  let isHad = false
  try {
    isHad = locks.acquire(key)
    return isHad ? () => locks.close() : undefined
  } finally {
    if (!isHad) locks.close()
  }
}

/** Where this file cannot be had, the store beside it cannot either: it says what is wrong, to those who need it. */
function openUnlessBroken(path: string, native: Locking): CallLocks | undefined {
  try {
    return CallLocks.open(path, native)
  } catch (error) {
    if (error instanceof StoreError && error.code !== 'EUNSAFE') return undefined
    throw error
  }
}

export class CallLocks {
  readonly #path: string
  readonly #native: Locking
  #fd: number

  private constructor(path: string, native: Locking) {
    this.#path = path
    this.#native = native
    this.#fd = openOwnFile(path)
  }

  /** Makes the file (0600) and its directories (0700) where they are missing. @throws StoreError */
  static open(path: string, native: Locking): CallLocks {
    return new CallLocks(path, native)
  }

  /**
   * Against other processes: within this one, the lock is had again.
   *
   * @param timeoutMs  how long it may block the thread
   * @returns false when another process holds it
   * @throws StoreError
   */
  acquire(key: CallKey, timeoutMs = 0): boolean {
    while (this.#native.lockByte(this.#fd, offsetOf(key), true, timeoutMs)) {
      const fd = keepInPlace(this.#fd, this.#path)
      if (fd === this.#fd) return true
      this.#fd = fd
    }
    return false
  }

  release(key: CallKey): void {
    this.#native.lockByte(this.#fd, offsetOf(key), false, 0)
  }

  /** Also releases. */
  close(): void {
    closeSync(this.#fd)
  }
}

/** FNV-1a (draft-eastlake-fnv), twice with different beginnings for 52 bits. */
export function offsetOf({ plugin, containerId, ifname }: CallKey): number {
  const text = `${plugin} ${containerId} ${ifname}`
  return (fnv1a(text, 0x811c9dc5) >>> 6) * 2 ** 26 + (fnv1a(text, 0x01000193) >>> 6)
}

function fnv1a(text: string, basis: number): number {
  let hash = basis
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193)
  return hash >>> 0
}
