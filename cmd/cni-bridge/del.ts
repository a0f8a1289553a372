// DEL: everything that ADD made is taken back, from the record alone: with no namespace, an edited config, a second
// time, and for what was never added. Its address is given back when nothing is let through for it any more.

import { delRecorded, type RecordedPlugin } from '../../lib/attach/recorded.ts'
import { unplug } from '../../lib/attach/unplug.ts'
import type { Request } from '../../lib/cni/request.ts'
import { attachmentKey } from '../../lib/host/attachment-key.ts'
import { Failures } from '../../lib/host/failures.ts'
import { ownerText } from '../../lib/host/owner.ts'
import type { Ports } from '../../lib/host/ports.ts'
import { type BridgeAttachment, PLUGIN, spoofGuards } from './attachment.ts'

export const recorded: RecordedPlugin<BridgeAttachment> = {
  plugin: PLUGIN,
  takeBack,
  ipamOf: ({ ipam }) => ipam,
}

export async function del(ports: Ports, request: Request): Promise<void> {
  if (await delRecorded(ports, request, recorded)) return
  const { removeUnrecorded } = await import('./del-unrecorded.ts')
  await removeUnrecorded(ports, request)
}

async function takeBack(ports: Ports, request: Request, attachment: BridgeAttachment): Promise<void> {
  const { nft } = ports.kernel.host
  const failures = new Failures()
  const wire = { ...attachment, alias: ownerText(attachmentKey(PLUGIN, request)) }
  await unplug(ports, request, { wire, masquerade: attachment.masquerade, failures })
  // After its port: until then the pod can send.
  if (attachment.macSpoofCheck) {
    const { removeSpoofGuards } = await import('../../lib/nftables/spoof-table.ts')
    await failures.attempt(() => removeSpoofGuards(nft, spoofGuards(attachment, request)))
  }
  failures.throwIfAny()
}
