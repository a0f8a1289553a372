// The identity of this boot of the node: what a row in a store must carry to mean anything.
//
// The kernel's random/boot_id is not enough: a restarted kind node is a container that begins anew while the kernel,
// and so its boot id, stays. The start time of process 1 tells the two apart.
// See proc_sys_kernel(5), proc_pid_stat(5).

import { statField } from './process-stat.ts'
import { StoreError } from './store-error.ts'

const BOOT_ID = '/proc/sys/kernel/random/boot_id'
const INIT_STAT = '/proc/1/stat'
const STAT = '/proc/stat'
/** USER_HZ of the architectures that Node.js runs on: a clock tick in /proc. */
const TICK_MS = 10

/**
 * Seen from another PID namespace the answer differs: what shares a store must share the node's PID namespace.
 *
 * @param readFile  a file's text, or undefined when it cannot be read
 * @returns `<uuid>-<start time of process 1 in clock ticks>`
 * @throws StoreError EIO when either cannot be read: guessing would take live leases for those of an earlier boot
 */
export function bootId(readFile: (path: string) => string | undefined): string {
  const id = readFile(BOOT_ID)?.trim()
  if (!id) throw unreadable(BOOT_ID)
  const startTime = statField(readFile(INIT_STAT) ?? '', 22)
  if (startTime === undefined) throw unreadable(INIT_STAT)
  return `${id}-${startTime}`
}

/**
 * Whether a boot is of the same kernel as another, and process 1 started after that one's: it looks so from a PID
 * namespace that is not the node's, and to the node when a store was written from there.
 */
export function isLaterBoot(id: string, other: string): boolean {
  const [kernel, start] = splitBootId(id)
  const [otherKernel, otherStart] = splitBootId(other)
  return kernel === otherKernel && start > otherStart
}

function splitBootId(id: string): [string, number] {
  const at = id.lastIndexOf('-')
  return [id.slice(0, at), Number(id.slice(at + 1))]
}

/**
 * When this boot began, by the clock as it is set now: the kernel's start and that of process 1 after it.
 *
 * A clock that was set since then moves it along; what a file says of its time was not.
 *
 * @param readFile  as for bootId
 * @returns milliseconds since the epoch, good to about a second
 * @throws StoreError EIO
 */
export function bootTimeMs(readFile: (path: string) => string | undefined): number {
  const seconds = /^btime (\d+)$/m.exec(readFile(STAT) ?? '')?.[1]
  if (seconds === undefined) throw unreadable(STAT)
  const startTime = statField(readFile(INIT_STAT) ?? '', 22)
  if (startTime === undefined) throw unreadable(INIT_STAT)
  return Number(seconds) * 1000 + Number(startTime) * TICK_MS
}

function unreadable(path: string): StoreError {
  const remedy = 'mount /proc without restrictions (hidepid) for this process'
  return new StoreError('EIO', {
    operation: 'read',
    path,
    why: 'this boot cannot be told from others',
    remedy,
  })
}
