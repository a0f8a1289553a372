// What a daemon does before it says that it is ready: attachments that were half made when their maker died are taken
// back. One that somebody is working on, in a process of its own, is left to that.

import type { Plugin } from '../cni/plugin.ts'
import type { CallLocks } from '../host/call-lock.ts'
import type { Ports } from '../host/ports.ts'
import { recordedRequest } from '../host/recorded-request.ts'
import type { Attachment } from '../state/attachments.ts'

export interface RecoverOptions {
  readonly plugins: readonly Plugin<Ports>[]
  readonly locks: CallLocks
  /** As CNI_PATH. */
  readonly path: readonly string[]
}

export interface Recovery {
  readonly removed: readonly Attachment[]
  /** They are recorded, so that DEL and GC will try again. */
  readonly failed: readonly { readonly attachment: Attachment; readonly why: string }[]
}

export async function recover(ports: Ports, options: RecoverOptions): Promise<Recovery> {
  const removed: Attachment[] = []
  const failed: { attachment: Attachment; why: string }[] = []
  for (const attachment of ports.attachments.list().filter(({ isComplete }) => !isComplete)) {
    try {
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
