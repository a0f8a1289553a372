// GC of what has no record (a lost state directory): by the owner that is written on it, a link's alias or an element's
// comment.

import type { Garbage } from '../cni/plugin.ts'
import type { Request } from '../cni/request.ts'
import { listValid } from '../host/garbage.ts'
import { isOfNetwork, ownerText } from '../host/owner.ts'
import type { Ports } from '../host/ports.ts'
import { unlessGone } from '../netlink/error.ts'
import { listMasquerade, removeMasquerade } from '../nftables/podwire-table.ts'

/** Whether what says that this is its owner belongs to nobody. */
export type IsStray = (owner: string) => boolean

export const STRAY = 'no attachment is recorded for it, and its owner is not valid'

/** Of this network, but neither valid nor recorded as an attachment: those are dealt with as such. */
export function strayRule({ attachments }: Ports, request: Request): IsStray {
  const valid = listValid(request)
  // What has no record may be a live pod's: without the runtime's word it stays.
  if (valid === undefined) return () => false
  const { name: network } = request
  const known = [...valid, ...attachments.list({ network })]
  const owners = new Set(known.map(({ containerId, ifname }) => ownerText({ network, containerId, ifname })))
  return (owner) => isOfNetwork(network, owner) && !owners.has(owner)
}

export async function findStrayMasquerade({ kernel }: Ports, isStray: IsStray): Promise<Garbage[]> {
  const { nft } = kernel.host
  const elements = (await listMasquerade(nft)).filter(({ comment }) => isStray(comment))
  return elements.map((element) => ({
    what: `masquerading of ${element.address} (${element.comment})`,
    why: STRAY,
    remove: () => removeMasquerade(nft, [element]),
  }))
}

export async function findStrayWires({ kernel }: Ports, isStray: IsStray): Promise<Garbage[]> {
  const { rtnl } = kernel.host
  const links = (await rtnl.listLinks({ kind: 'veth' })).filter(({ alias = '' }) => isStray(alias))
  return links.map(({ name, alias, index }) => ({
    what: `link ${name} (${alias})`,
    why: STRAY,
    remove: () => rtnl.apply({ change: 'delete link', link: index }).catch(unlessGone),
  }))
}
