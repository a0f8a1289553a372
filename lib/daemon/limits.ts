// How much a daemon takes on at a time, by the descriptors that it may have: one that has none left fails those who came
// before, where the next would have been served by a process of its own.

export interface Limits {
  /** Calls that run, with those that wait for another program. */
  readonly calls: number
  readonly clients: number
}

/** Whatever the process may have. */
export const MOST: Limits = { calls: 256, clients: 2048 }
/** Of the daemon itself: stores, warm sockets, namespaces, logs. */
const OWN_FILES = 64
/** The pod's namespace, sockets in it, pipes of a delegate. */
const FILES_OF_CALL = 8

/** @param openFiles  how many the process may have (RLIMIT_NOFILE) */
export function limitsFor(openFiles: number): Limits {
  const share = Math.max(0, openFiles - OWN_FILES) / 2
  return {
    calls: between(1, Math.floor(share / FILES_OF_CALL), MOST.calls),
    clients: between(1, Math.floor(share), MOST.clients),
  }
}

function between(least: number, value: number, most: number): number {
  return Math.min(Math.max(least, value), most)
}

/** @param text  of /proc/self/limits (proc(5)). Node.js has raised the soft limit to the hard one */
export function readOpenFilesLimit(text: string): number {
  const [, soft = ''] = /^Max open files +(\d+|unlimited)/m.exec(text) ?? []
  return soft === 'unlimited' ? Number.POSITIVE_INFINITY : Number(soft)
}
