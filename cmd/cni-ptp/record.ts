// What `cni-ptp` makes for one attachment, as plain JSON.

import type { AddressRecord } from '../../lib/attach/addressing.ts'
import type { IpamSection } from '../../lib/attach/ipam.ts'
import type { MasqueradeRecord } from '../../lib/attach/masquerade.ts'
import type { Request } from '../../lib/cni/request.ts'
import type { ResultRoute } from '../../lib/cni/result.ts'
import { attachmentKey } from '../../lib/host/attachment-key.ts'
import { ownerText } from '../../lib/host/owner.ts'
import type { MacAddress } from '../../lib/ip/mac.ts'
import type { SysctlSetting } from '../../lib/sysctl/sysctl.ts'
import { hostSysctls, type WirePlan } from '../../lib/veth/pod-link.ts'

/** The name under which attachments are recorded. */
export const PLUGIN = 'cni-ptp'

export interface PtpRecord extends AddressRecord {
  readonly hostIfname: string
  readonly hostMac: MacAddress
  readonly podMac: MacAddress
  readonly mtu: number
  /** The node's end has the gateways' addresses, without a subnet: 10.1.0.1/32. */
  readonly gateways: readonly string[]
  /** The pod reaches its gateway directly, and its subnet through the gateway. */
  readonly subnetRoutes: readonly (ResultRoute & { readonly src: string })[]
  readonly masquerade: readonly MasqueradeRecord[]
  readonly ipam: IpamSection
}

/**
 * Of the node's end, before it is up. The node asks for a pod's MAC from its link-local address (ndisc_send_ns), and is
 * silent while that one is checked for duplicates; with two ends there is none.
 */
export function hostEndSysctls(hostIfname: string): SysctlSetting[] {
  const acceptDad = { key: `ipv6/conf/${hostIfname}/accept_dad`, value: '0', optional: true }
  return [...hostSysctls(hostIfname), acceptDad]
}

export function wireOf(record: PtpRecord, request: Request): WirePlan {
  const { hostIfname, hostMac, podMac, mtu } = record
  const alias = ownerText(attachmentKey(PLUGIN, request))
  return { hostIfname, hostMac, podIfname: request.ifname, podMac, mtu, alias }
}
