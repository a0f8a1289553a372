// What a daemon does before it says that it is ready: attachments that were half made when their maker died are taken
// back. One that somebody is working on, in a process of its own, is left to that.

import { lazyDelegateExec } from '../cni/lazy-delegate-exec.ts'
import type { Plugin } from '../cni/plugin.ts'
import type { CallLocks } from '../host/call-lock.ts'
import type { Ports } from '../host/ports.ts'
import { recordedRequest } from '../host/recorded-request.ts'
import { withDelegates } from '../host/with-delegates.ts'
import type { Attachment } from '../state/attachments.ts'
import { NO_DAEMON } from './call-service.ts'

export interface RecoverOptions {
  readonly plugins: readonly Plugin<Ports>[]
  readonly locks: CallLocks
  /** As CNI_PATH. */
  readonly path: readonly string[]
  /** For all of it: a delegate that hangs must not keep the daemon from serving. */
  readonly timeoutMs?: number
}

const TIMEOUT_MS = 10_000

export interface Recovery {
  readonly removed: readonly Attachment[]
  /** They are recorded, so that DEL and GC will try again. */
  readonly failed: readonly { readonly attachment: Attachment; readonly why: string }[]
}

export async function recover(given: Ports, options: RecoverOptions): Promise<Recovery> {
  const deadline = AbortSignal.timeout(options.timeoutMs ?? TIMEOUT_MS)
  const exec = lazyDelegateExec({
    stderr: () => undefined, // what it fails for is in its error
    environment: { [NO_DAEMON]: '1' },
    abandoned: deadline,
  })
  const ports = withDelegates(given, { exec })
  const removed: Attachment[] = []
  const failed: { attachment: Attachment; why: string }[] = []
  for (const attachment of ports.attachments.list().filter(({ isComplete }) => !isComplete)) {
    try {
      if (deadline.aborted) throw new Error('there was no time left for it')
      if (await removeHalfMade(ports, attachment, options)) removed.push(attachment)
    } catch (error) {
      failed.push({ attachment, why: error instanceof Error ? error.message : String(error) })
    }
  }
  return { removed, failed }
}

/** @returns false when somebody is working on it, or has finished it meanwhile */
async function removeHalfMade(
  ports: Ports,
  attachment: Attachment,
  { plugins, locks, path }: RecoverOptions,
): Promise<boolean> {
  const plugin = plugins.find(({ name }) => name === attachment.plugin)
  if (plugin === undefined) throw new Error(`there is no plugin ${attachment.plugin} in this version`)
  if (!locks.acquire(attachment)) return false
  try {
    if (ports.attachments.find(attachment)?.isComplete !== false) return false
    await plugin.del(ports, recordedRequest('DEL', attachment, path))
    return true
  } finally {
    locks.release(attachment)
  }
}
