// GC: what this network has on the node for attachments that are no more. Records first, by the same way as DEL; then
// what has no record (a lost state directory), by the owner that is written on it; then the IPAM's.

import { ipamSection, ipamType } from '../../lib/attach/ipam.ts'
import { findDeadRecords } from '../../lib/attach/recorded.ts'
import { findDelegateGarbage } from '../../lib/cni/delegate.ts'
import type { Garbage } from '../../lib/cni/plugin.ts'
import type { Request } from '../../lib/cni/request.ts'
import { collect, listValid } from '../../lib/host/garbage.ts'
import { isOfNetwork, ownerText } from '../../lib/host/owner.ts'
import type { Ports } from '../../lib/host/ports.ts'
import { listMasquerade, removeMasquerade } from '../../lib/nftables/podwire-table.ts'
import { listSpoofGuards, removeSpoofGuards } from '../../lib/nftables/spoof-table.ts'
import type { Attachment } from '../../lib/state/attachments.ts'
import { PLUGIN } from './attachment.ts'
import { recorded } from './del.ts'

export async function gc(ports: Ports, request: Request): Promise<void> {
  await collect(await findGarbage(ports, request))
}

export async function findGarbage(ports: Ports, request: Request): Promise<Garbage[]> {
  const valid = listValid(request)
  const attachments = ports.attachments.list({ plugin: PLUGIN, network: request.name })
  const type = ipamType(ipamSection(request), PLUGIN)
  return [
    ...findDeadRecords(ports, request, recorded),
    ...(await findStrays(ports, strayRule(request.name, valid, attachments))),
    ...(type === '' ? [] : await findDelegateGarbage(ports, type, request)),
  ]
}

type IsStray = (owner: string) => boolean

/** Of this network, but neither valid nor, where nothing is known of what is valid, recorded as an attachment. */
function strayRule(
  network: string,
  valid: ReturnType<typeof listValid>,
  attachments: readonly Attachment[],
): IsStray {
  // What has no record may be a live pod's: without the runtime's word it stays.
  if (valid === undefined) return () => false
  const known = [...valid, ...attachments] // those recorded are dealt with as attachments
  const owners = new Set(known.map(({ containerId, ifname }) => ownerText({ network, containerId, ifname })))
  return (owner) => isOfNetwork(network, owner) && !owners.has(owner)
}

async function findStrays({ kernel }: Ports, isStray: IsStray): Promise<Garbage[]> {
  const { nft, rtnl } = kernel.host
  const why = 'no attachment is recorded for it, and its owner is not valid'
  const elements = (await listMasquerade(nft)).filter(({ comment }) => isStray(comment))
  const guards = (await listSpoofGuards(nft)).filter(({ comment }) => isStray(comment))
  const links = (await rtnl.listLinks({ kind: 'veth' })).filter(({ alias = '' }) => isStray(alias))
  return [
    ...elements.map((element) => ({
      what: `masquerading of ${element.address} (${element.comment})`,
      why,
      remove: () => removeMasquerade(nft, [element]),
    })),
    ...guards.map((guard) => ({
      what: `guard of port ${guard.port} (${guard.comment})`,
      why,
      remove: () => removeSpoofGuards(nft, [guard]),
    })),
    ...links.map(({ name, alias, index }) => ({
      what: `link ${name} (${alias})`,
      why,
      remove: () => rtnl.apply({ change: 'delete link', link: index }),
    })),
  ]
}
