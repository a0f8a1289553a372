// One container in several networks: a runtime gives all of them the same ports (podman, nerdctl). The first attachment
// has them, and when it goes, the next one does.

import { listOthers } from '../../lib/attach/others.ts'
import type { Request } from '../../lib/cni/request.ts'
import { ownerText } from '../../lib/host/owner.ts'
import type { Ports } from '../../lib/host/ports.ts'
import { findHostportOwner, restoreHostports } from '../../lib/hostport/hostport-table.ts'
import type { Attachment } from '../../lib/state/attachments.ts'
import { hostportsOf, PLUGIN, type PortmapRecord } from './attachment.ts'

/** Other attachments of the request's container. */
function listSiblings(ports: Ports, request: Request): Attachment[] {
  return listOthers(ports, request, { plugin: PLUGIN, containerId: request.containerId })
}

/** The record without the ports that siblings have. */
export async function withoutSiblings(
  ports: Ports,
  request: Request,
  record: PortmapRecord,
): Promise<PortmapRecord> {
  const siblings = new Set(listSiblings(ports, request).map(ownerText))
  if (siblings.size === 0) return record
  const { nft } = ports.kernel.host
  const owners = await Promise.all(
    hostportsOf(record).hostports.map((hostport) => findHostportOwner(nft, hostport)),
  )
  return { ...record, hostports: record.hostports.filter((_, i) => !siblings.has(owners[i] ?? '')) }
}

/** What this attachment gave up is theirs. */
export async function yieldToSiblings(ports: Ports, request: Request): Promise<void> {
  for (const sibling of listSiblings(ports, request)) {
    const hostports = hostportsOf(sibling.record as PortmapRecord)
    await restoreHostports(ports.kernel.host.nft, hostports, ownerText(sibling))
  }
}
