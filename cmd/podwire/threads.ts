// The threads of libuv that the daemon has.

/** Most of them wait until the kernel has let go of a deleted link (lib/rtnl/link-deletion.ts). */
const THREADS = 24
/** For what else is done on them: to list connections, to give memory back. */
const OTHERS = 4

/**
 * Before the first of them is needed: libuv looks at the environment then. An operator's own number is obeyed.
 *
 * @returns how many links may be deleted at a time
 */
export function askForThreads(environment: NodeJS.ProcessEnv): number {
  environment['UV_THREADPOOL_SIZE'] ??= String(THREADS)
  const threads = Number.parseInt(environment['UV_THREADPOOL_SIZE'], 10) || 1 // as libuv reads it
  return Math.max(1, threads - OTHERS)
}
