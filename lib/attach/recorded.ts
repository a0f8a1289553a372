// What a plugin makes for a container is recorded before it is made, so that DEL and GC take it back from the record
// alone: without a namespace, without prevResult, whatever the config says by then, and twice.

import { delegateDel } from '../cni/delegate.ts'
import type { Garbage } from '../cni/plugin.ts'
import type { Request } from '../cni/request.ts'
import { attachmentKey, podOf } from '../host/attachment-key.ts'
import { callOf } from '../host/call.ts'
import { Failures } from '../host/failures.ts'
import { asDel, isValid, listValid } from '../host/garbage.ts'
import type { Ports } from '../host/ports.ts'
import type { Attachment } from '../state/attachments.ts'
import { type IpamSection, ipamType, withIpamSection } from './ipam.ts'

/** A plugin that records what it makes. A record is plain JSON. */
export interface RecordedPlugin<R extends object> {
  /** The plugin's own name: its records are kept under it. */
  readonly plugin: string
  /**
   * Takes back what the record names. What is missing is fine, and what others have put in its place stays; everything
   * is attempted before an error is thrown.
   */
  takeBack(ports: Ports, request: Request, record: R): Promise<void>
  /** The `ipam` section by which the addresses were leased; without this, or null, there are none. */
  readonly ipamOf?: (record: R) => IpamSection | null
}

export function findRecord<R extends object>(
  { attachments }: Ports,
  request: Request,
  plugin: string,
): R | undefined {
  return attachments.find(attachmentKey(plugin, request))?.record as R | undefined
}

/** Before anything is made. What was recorded of the attachment before is replaced. */
export function putRecord<R extends object>(
  { attachments, bootId, clock }: Ports,
  request: Request,
  { plugin, record }: { plugin: string; record: R },
): void {
  attachments.put({
    ...attachmentKey(plugin, request),
    ...podOf(request),
    ...callOf(request),
    netns: request.netns,
    record,
    bootId,
    createdAtMs: clock.nowMs(),
    isComplete: false,
  })
}

/** When all of it is made: from now on it is a live attachment's. */
export function completeRecord({ attachments }: Ports, request: Request, plugin: string): void {
  attachments.complete(attachmentKey(plugin, request))
}

/** DEL. @returns false when nothing is recorded: never added, deleted already, or added by another plugin */
export async function delRecorded<R extends object>(
  ports: Ports,
  request: Request,
  recorded: RecordedPlugin<R>,
): Promise<boolean> {
  const record = findRecord<R>(ports, request, recorded.plugin)
  if (record === undefined) return false
  await removeRecord(ports, request, { recorded, record })
  return true
}

/** @throws what failed; the record stays then, so that the next DEL tries again */
export async function removeRecord<R extends object>(
  ports: Ports,
  request: Request,
  { recorded, record }: { recorded: RecordedPlugin<R>; record: R },
): Promise<void> {
  const failures = new Failures()
  await failures.attempt(() => recorded.takeBack(ports, request, record))
  const section = recorded.ipamOf?.(record) ?? {}
  const type = ipamType(section, recorded.plugin)
  if (type !== '') await failures.attempt(() => delegateDel(ports, type, withIpamSection(request, section)))
  failures.throwIfAny()
  ports.attachments.delete(attachmentKey(recorded.plugin, request))
}

/** GC: what is recorded of this network for attachments that are no more. */
export function findDeadRecords<R extends object>(
  ports: Ports,
  request: Request,
  recorded: RecordedPlugin<R>,
): Garbage[] {
  const valid = listValid(request)
  const why = valid === undefined ? 'its network namespace is gone' : 'its attachment is not valid'
  const { plugin } = recorded
  return ports.attachments
    .list({ plugin, network: request.name })
    .filter((attachment) => !isValid(ports.kernel, valid, attachment))
    .map((attachment) => ({
      what: describe(attachment),
      why,
      remove: () => removeFound(ports, request, { recorded, attachment }),
    }))
}

/**
 * What was found to be dead, unless it has gone or was added anew since then: runtimes give a container that starts again
 * the id that it had.
 *
 * @returns false when it stays
 */
async function removeFound<R extends object>(
  ports: Ports,
  request: Request,
  { recorded, attachment }: { recorded: RecordedPlugin<R>; attachment: Attachment },
): Promise<boolean> {
  const release = ports.lockAttachment(attachment)
  if (release === undefined) return false
  try {
    const now = ports.attachments.find(attachment)
    if (now === undefined) return true
    if (!isSameAdd(now, attachment)) return false
    const record = now.record as R
    await removeRecord(ports, asDel(request, attachment), { recorded, record })
    return true
  } finally {
    release()
  }
}

function isSameAdd(a: Attachment, b: Attachment): boolean {
  return a.createdAtMs === b.createdAtMs && a.netns === b.netns && a.callId === b.callId
}

function describe({ plugin, network, containerId, ifname }: Attachment): string {
  return `attachment of network ${network}, container ${containerId}, interface ${ifname} (${plugin})`
}
