// What `cni-bridge` makes for one attachment, as plain JSON. ADD plans it, then does it; CHECK compares the kernel
// with it; DEL takes it back, from the record alone.

import type { AddressRecord } from '../../lib/attach/addressing.ts'
import type { MasqueradeRecord } from '../../lib/attach/masquerade.ts'
import type { PortVlans } from '../../lib/bridge/port-vlans.ts'
import type { Request } from '../../lib/cni/request.ts'
import { attachmentKey } from '../../lib/host/attachment-key.ts'
import { ownerText } from '../../lib/host/owner.ts'
import type { MacAddress } from '../../lib/ip/mac.ts'
import type { SpoofGuard } from '../../lib/nftables/spoof-table.ts'

/** The name under which attachments are recorded. */
export const PLUGIN = 'cni-bridge'

export interface BridgeAttachment extends AddressRecord {
  readonly bridge: string
  readonly promisc: boolean
  /** Gateway addresses on the bridge or the interface of the VLAN, with prefix length; empty unless isGateway. */
  readonly gateways: readonly string[]
  readonly hostIfname: string
  readonly hostMac: MacAddress
  readonly podMac: MacAddress
  readonly mtu: number
  readonly hairpin: boolean
  readonly isolated: boolean
  /** Of the pod's port, on a bridge that keeps VLANs apart; absent when nothing is said of VLANs. */
  readonly vlans?: PortVlans
  /** The pod's interface is up. */
  readonly up: boolean
  readonly enableDad: boolean
  /** The pod's addresses that leave under the node's, each with the subnet in which they do not. */
  readonly masquerade: readonly MasqueradeRecord[]
  /** Frames that do not come from podMac are dropped at the port. */
  readonly macSpoofCheck: boolean
  /** Not by us: what is expected of a pod that upstream's plugin attached. Never recorded. */
  readonly unrecorded?: true
  /** The `ipam` section that the addresses came from; DEL releases them by it, whatever the config says then. */
  readonly ipam: Readonly<Record<string, unknown>> | null
}

export function spoofGuards(
  { macSpoofCheck, hostIfname: port, podMac: mac }: BridgeAttachment,
  request: Request,
): SpoofGuard[] {
  return macSpoofCheck ? [{ port, mac, comment: ownerText(attachmentKey(PLUGIN, request)) }] : []
}
