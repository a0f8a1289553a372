// VLANs of a bridge's ports (net/bridge/br_vlan.c): AF_BRIDGE messages of rtnetlink, as bridge(8) sends them.

import type { Attributes } from '../netlink/attributes.ts'
import { type Operation, type Request, readPayload, request } from '../netlink/request.ts'
import {
  AF_BRIDGE,
  BRIDGE_RTM_DELLINK,
  BRIDGE_RTM_GETLINK,
  BRIDGE_RTM_NEWLINK,
  BRIDGE_RTM_SETLINK,
  type IFLA_BRIDGE,
} from './attributes.ts'
import type { IfIndex } from './link.ts'

const BRIDGE_FLAGS_SELF = 2
const PVID = 2
const UNTAGGED = 4
const RANGE_BEGIN = 8
const RANGE_END = 16
const RTEXT_FILTER_BRVLAN = 2

/** One VLAN, or several that have the same flags, of a port. */
export interface BridgeVlan {
  /** 1–4094 */
  readonly vid: number
  /** The last of a range, which cannot have a pvid; absent for one VLAN. */
  readonly vidEnd?: number
  /** Frames that come in untagged are of this VLAN; a port has one at most. */
  readonly pvid?: boolean
  /** Frames go out without a tag. */
  readonly untagged?: boolean
}

export interface BridgeVlanChange extends BridgeVlan {
  /** Of the bridge itself instead of a port of it. */
  readonly self?: boolean
}

type VlanInfo = { flags: number; vid: number }

/** A VLAN that is there already gets these flags. The kernel looks for the link by its index only. */
export function addBridgeVlanRequest(link: IfIndex, vlan: BridgeVlanChange, operation: Operation): Request {
  return request(BRIDGE_RTM_SETLINK, { ...content(link, vlan), operation })
}

/** The kernel does not mind when it is not there. */
export function deleteBridgeVlanRequest(
  link: IfIndex,
  vlan: BridgeVlanChange,
  operation: Operation,
): Request {
  return request(BRIDGE_RTM_DELLINK, { ...content(link, vlan), operation })
}

function content(link: IfIndex, { self, ...vlan }: BridgeVlanChange) {
  const spec: Attributes<typeof IFLA_BRIDGE> = {
    IFLA_BRIDGE_FLAGS: self ? BRIDGE_FLAGS_SELF : undefined,
    IFLA_BRIDGE_VLAN_INFO: vlanInfos(vlan),
  }
  return { header: { ifi_family: AF_BRIDGE, ifi_index: link }, attributes: { IFLA_AF_SPEC: spec } }
}

function vlanInfos({ vid, vidEnd = vid, pvid, untagged }: BridgeVlan): VlanInfo[] {
  const flags = (pvid ? PVID : 0) | (untagged ? UNTAGGED : 0)
  if (vidEnd === vid) return [{ flags, vid }]
  return [
    { flags: flags | RANGE_BEGIN, vid },
    { flags: flags | RANGE_END, vid: vidEnd },
  ]
}

/** Of all ports: the kernel has no filter. */
export function listBridgeVlansRequest(): Request {
  return request(BRIDGE_RTM_GETLINK, {
    header: { ifi_family: AF_BRIDGE },
    attributes: { IFLA_EXT_MASK: RTEXT_FILTER_BRVLAN },
    operation: 'list bridge vlans',
  })
}

/** @param payload  of an RTM_NEWLINK message of AF_BRIDGE */
export function readBridgeVlans(payload: Uint8Array): { link: IfIndex; vlans: BridgeVlan[] } {
  const { header, attributes } = readPayload(BRIDGE_RTM_NEWLINK, payload)
  const vlans: BridgeVlan[] = []
  for (const { flags, vid } of attributes.IFLA_AF_SPEC?.IFLA_BRIDGE_VLAN_INFO ?? []) {
    vlans.push({ vid, pvid: (flags & PVID) !== 0, untagged: (flags & UNTAGGED) !== 0 })
  }
  return { link: header.ifi_index as IfIndex, vlans }
}
