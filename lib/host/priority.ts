// The daemon's place among those who want a CPU. All who wait for a pod's network wait for one thread, which works some
// milliseconds at a time; and whoever it answers (a shim, a runtime that starts the next) is woken on its CPU and takes it
// away, while another CPU may be idle.

import { readFileSync, writeFileSync } from 'node:fs'
import { getPriority } from 'node:os'
import { loadNative } from '../native/native.ts'
import { statField } from '../state/process-stat.ts'

const HIGHEST = -20
const AUTOGROUP = '/proc/self/autogroup'

/**
 * Of the calling thread, and of nothing that it starts. Where the kernel shares the CPUs among sessions first
 * (sched(7), autogroup), that of the session, when it is this process' own.
 *
 * @returns why it could not; undefined when it did, or when somebody has chosen another than the usual one
 */
export function raisePriority(): unknown {
  if (getPriority() !== 0) return undefined
  try {
    if (loadNative().setNice(HIGHEST) && leadsSession()) raiseAutogroup()
    return undefined
  } catch (error) {
    return error
  }
}

/** A service does, and so does a container. */
function leadsSession(): boolean {
  const session = statField(readFileSync('/proc/self/stat', 'utf8'), 6)
  return Number(session) === process.pid
}

function raiseAutogroup(): void {
  try {
    writeFileSync(AUTOGROUP, String(HIGHEST))
  } catch (error) {
    // A kernel that has none.
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
  }
}
