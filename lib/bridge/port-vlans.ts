// The VLANs of a bridge's port (net/bridge/br_vlan.c): what comes in untagged, what comes and goes with tags.

import type { BridgeVlan } from '../rtnl/bridge-vlan.ts'
import { formatVlan } from '../rtnl/format.ts'
import type { IfIndex } from '../rtnl/link.ts'
import type { Change } from '../rtnl/rtnl.ts'

/** From `vid` to `vidEnd`, both of them included. */
export interface VlanRange {
  readonly vid: number
  readonly vidEnd: number
}

export interface PortVlans {
  /** That of untagged frames; 0: none was asked for. */
  readonly vlan: number
  /** VLANs that are tagged at the port, in order and apart from each other. */
  readonly trunk: readonly VlanRange[]
  /** The port stays in the VLAN that the bridge puts every new port in. */
  readonly preserveDefault: boolean
}

/** Where untagged frames of a trunk go when nothing is said, as upstream has it. */
const NATIVE_VLAN = 1

/**
 * Puts a new port into its VLANs.
 *
 * @param defaultPvid  the VLAN that the bridge has put it in; 0 for none
 */
export function portVlanChanges(port: IfIndex, vlans: PortVlans, defaultPvid: number): Change[] {
  const leaves = leavesDefault(vlans) && defaultPvid !== 0
  return [
    ...(leaves ? [{ change: 'delete bridge vlan', link: port, vlan: { vid: defaultPvid } } as const] : []),
    ...addedVlans(vlans).map((vlan): Change => ({ change: 'add bridge vlan', link: port, vlan })),
  ]
}

/** The untagged one last: what is added again loses its flags. */
function addedVlans({ vlan, trunk }: PortVlans): BridgeVlan[] {
  const native = vlan === 0 && trunk.length > 0 ? NATIVE_VLAN : vlan
  return [...trunk, ...(native === 0 ? [] : [{ vid: native, pvid: true, untagged: true }])]
}

function leavesDefault({ vlan, trunk, preserveDefault }: PortVlans): boolean {
  return !preserveDefault && (vlan !== 0 || trunk.length > 0)
}

/** What the port has then, in words: `100 pvid untagged, 200, 201`. */
export function describePortVlans(vlans: PortVlans, defaultPvid: number): string {
  const result = new Map<number, BridgeVlan>()
  if (!leavesDefault(vlans) && defaultPvid !== 0) {
    result.set(defaultPvid, { vid: defaultPvid, pvid: true, untagged: true })
  }
  for (const { vid, vidEnd = vid, pvid = false, untagged = false } of addedVlans(vlans)) {
    if (pvid) for (const [other, flags] of result) result.set(other, { ...flags, pvid: false })
    for (let one = vid; one <= vidEnd; one++) result.set(one, { vid: one, pvid, untagged })
  }
  return formatVlans([...result.values()])
}

export function formatVlans(vlans: readonly BridgeVlan[]): string {
  const sorted = [...vlans].sort((a, b) => a.vid - b.vid)
  return sorted.map(formatVlan).join(', ') || 'none'
}
