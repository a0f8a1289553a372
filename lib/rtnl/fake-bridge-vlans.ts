// VLANs of the fake kernel's bridges and ports, by the rules of net/bridge/br_netlink.c and br_vlan.c.

import type { BridgeVlan, BridgeVlanChange } from './bridge-vlan.ts'
import { FakeRefusal } from './fake-refusal.ts'
import type { FakeLink, FakeStack } from './fake-stack.ts'
import type { IfIndex } from './link.ts'

/** What IFLA_BR_VLAN_DEFAULT_PVID is unless somebody changes it. */
export const DEFAULT_PVID = 1
const MAX_VID = 4094

/** A bridge when it is made, and each new port, filtering or not. */
export function joinDefaultVlan(link: FakeLink): void {
  if (!link.stack.network.features.bridgeVlanFiltering) return
  link.vlans.set(DEFAULT_PVID, { pvid: true, untagged: true })
}

export function addBridgeVlan(stack: FakeStack, index: IfIndex, vlan: BridgeVlanChange): void {
  const link = requireVlans(stack, index, vlan)
  const vids = requireVids(vlan)
  if (!stack.network.features.bridgeVlanFiltering) throw new FakeRefusal('EOPNOTSUPP')
  if (vlan.pvid) {
    for (const [vid, flags] of link.vlans) link.vlans.set(vid, { ...flags, pvid: false })
  }
  for (const vid of vids) link.vlans.set(vid, { pvid: vlan.pvid ?? false, untagged: vlan.untagged ?? false })
}

export function deleteBridgeVlan(stack: FakeStack, index: IfIndex, vlan: BridgeVlanChange): void {
  const link = requireVlans(stack, index, vlan)
  for (const vid of requireVids(vlan)) link.vlans.delete(vid)
}

export function describeVlans({ vlans }: FakeLink): BridgeVlan[] {
  return [...vlans].map(([vid, flags]) => ({ vid, ...flags })).sort((a, b) => a.vid - b.vid)
}

function requireVlans(stack: FakeStack, index: IfIndex, { self }: BridgeVlanChange): FakeLink {
  const link = stack.findLink(index)
  if (link === undefined) throw new FakeRefusal('ENODEV')
  if (self ? link.kind !== 'bridge' : link.master === undefined) throw new FakeRefusal('EOPNOTSUPP')
  return link
}

function requireVids({ vid, vidEnd = vid, pvid }: BridgeVlanChange): number[] {
  const isValid = vid >= 1 && vidEnd >= vid && vidEnd <= MAX_VID && !(pvid && vidEnd > vid)
  if (!isValid) throw new FakeRefusal('EINVAL')
  return Array.from({ length: vidEnd - vid + 1 }, (_, i) => vid + i)
}
