// The tables of rtnetlink: messages and attributes of links, addresses and routes, with the kernel's names.
// linux/if_link.h, if_addr.h, rtnetlink.h; Documentation/netlink/specs/rt-{link,addr,route}.yaml in the kernel.

import { IpAddress } from '../ip/address.ts'
import { macFromBytes } from '../ip/mac.ts'
import {
  type AttributeTable,
  attributeTable,
  nested,
  nestedMessage,
  repeated,
  selected,
  sequence,
} from '../netlink/attributes.ts'
import { bytes, type Codec, flags, named, s32, string, struct, u8, u16, u32 } from '../netlink/codecs.ts'
import type { MessageKind } from '../netlink/request.ts'
import { IFLA_IPVLAN } from './kinds/ipvlan.ts'
import { IFLA_MACVLAN } from './kinds/macvlan.ts'
import { IFLA_VLAN } from './kinds/vlan.ts'
import { IFLA_VRF } from './kinds/vrf.ts'
import { RTM_NEWQDISC, RTM_NEWTFILTER } from './traffic-attributes.ts'

export const AF_INET = 2
export const AF_INET6 = 10
export const AF_BRIDGE = 7

export const addressFamily = { 4: AF_INET, 6: AF_INET6 } as const

const family = named(u8, { inet: AF_INET, bridge: AF_BRIDGE, inet6: AF_INET6 })
const scope = named(u8, { site: 200, link: 253, host: 254, nowhere: 255 })

/** An IPv4 or IPv6 address in network order. */
const ipAddress: Codec<Uint8Array> = {
  ...bytes,
  format: (value) => (value.length === 4 || value.length === 16 ? String(IpAddress.fromBytes(value)) : '?'),
}
/** A link-layer address: mostly a MAC. */
const lladdr: Codec<Uint8Array> = {
  ...bytes,
  format: (value) => (value.length === 6 ? macFromBytes(value) : `${value.length} bytes`),
}

/** net_device flags (linux/if.h); what has no name here is shown as a number. */
const ifFlags = flags(u32, {
  up: 0x1,
  broadcast: 0x2,
  loopback: 0x8,
  running: 0x40,
  noarp: 0x80,
  promisc: 0x100,
  allmulti: 0x200,
  multicast: 0x1000,
  lower_up: 0x10000,
})

export const ifinfomsg = struct('ifinfomsg', [
  ['ifi_family', family],
  ['pad', u8],
  ['ifi_type', u16],
  ['ifi_index', s32],
  ['ifi_flags', ifFlags],
  ['ifi_change', ifFlags],
])

export const IFLA_VETH = attributeTable({
  /** The whole link message of the other end. Written only: kernels do not report it. */
  VETH_INFO_PEER: [1, nestedMessage(ifinfomsg, (): AttributeTable => IFLA)],
})

export const IFLA_BR = attributeTable({
  IFLA_BR_FORWARD_DELAY: [1, u32],
  IFLA_BR_AGEING_TIME: [4, u32],
  IFLA_BR_STP_STATE: [5, u32],
  IFLA_BR_VLAN_FILTERING: [7, u8],
  IFLA_BR_GROUP_FWD_MASK: [9, u16],
  IFLA_BR_MCAST_SNOOPING: [23, u8],
  IFLA_BR_NF_CALL_IPTABLES: [36, u8],
  IFLA_BR_NF_CALL_IP6TABLES: [37, u8],
  IFLA_BR_VLAN_DEFAULT_PVID: [39, u16],
})

/** A bridge's port, as IFLA_INFO_SLAVE_DATA of a link and as IFLA_PROTINFO of AF_BRIDGE messages. */
export const IFLA_BRPORT = attributeTable({
  IFLA_BRPORT_STATE: [1, u8],
  IFLA_BRPORT_PRIORITY: [2, u16],
  IFLA_BRPORT_COST: [3, u32],
  /** Hairpin: a frame may leave through the port that it came in by. */
  IFLA_BRPORT_MODE: [4, u8],
  IFLA_BRPORT_GUARD: [5, u8],
  IFLA_BRPORT_LEARNING: [8, u8],
  IFLA_BRPORT_UNICAST_FLOOD: [9, u8],
  IFLA_BRPORT_ISOLATED: [33, u8],
})

export const IFLA_INFO = attributeTable({
  IFLA_INFO_KIND: [1, string],
  IFLA_INFO_DATA: [
    2,
    selected<Record<string, unknown>>('IFLA_INFO_KIND', () => ({
      veth: nested(() => IFLA_VETH),
      bridge: nested(() => IFLA_BR),
      macvlan: nested(() => IFLA_MACVLAN),
      ipvlan: nested(() => IFLA_IPVLAN),
      vlan: nested(() => IFLA_VLAN),
      vrf: nested(() => IFLA_VRF),
    })),
  ],
  IFLA_INFO_SLAVE_KIND: [4, string],
  IFLA_INFO_SLAVE_DATA: [
    5,
    selected<Record<string, unknown>>('IFLA_INFO_SLAVE_KIND', () => ({
      bridge: nested(() => IFLA_BRPORT),
    })),
  ],
})

export const IFLA = attributeTable({
  IFLA_ADDRESS: [1, lladdr],
  IFLA_BROADCAST: [2, lladdr],
  IFLA_IFNAME: [3, string],
  IFLA_MTU: [4, u32],
  IFLA_LINK: [5, u32],
  IFLA_QDISC: [6, string],
  IFLA_MASTER: [10, u32],
  IFLA_TXQLEN: [13, u32],
  IFLA_OPERSTATE: [16, u8],
  IFLA_LINKMODE: [17, u8],
  IFLA_LINKINFO: [18, nested(() => IFLA_INFO)],
  IFLA_IFALIAS: [20, string],
  IFLA_GROUP: [27, u32],
  IFLA_NET_NS_FD: [28, u32],
  IFLA_EXT_MASK: [29, u32],
  IFLA_PROMISCUITY: [30, u32],
  IFLA_NUM_TX_QUEUES: [31, u32],
  IFLA_NUM_RX_QUEUES: [32, u32],
  IFLA_CARRIER: [33, u8],
  IFLA_LINK_NETNSID: [37, s32],
  IFLA_MIN_MTU: [51, u32],
  IFLA_MAX_MTU: [52, u32],
})

/** By their numbers in linux/ip.h (IPV4_DEVCONF_…): sysctls of `ipv4/conf/<link>`. */
export const IPV4_DEVCONF = attributeTable({ IPV4_DEVCONF_ARP_NOTIFY: [22, u32] })
export const IFLA_INET = attributeTable({ IFLA_INET_CONF: [1, nested(() => IPV4_DEVCONF)] })
/** By address family. */
export const IFLA_OF_FAMILIES = attributeTable({ AF_INET: [AF_INET, nested(() => IFLA_INET)] })

/** What is set; of what is read this would be half, and nobody asks for it. */
export const IFLA_SET = attributeTable({ ...IFLA, IFLA_AF_SPEC: [26, nested(() => IFLA_OF_FAMILIES)] })

const vlanInfo = struct('bridge_vlan_info', [
  ['flags', flags(u16, { master: 1, pvid: 2, untagged: 4, range_begin: 8, range_end: 16 })],
  ['vid', u16],
])
const bridgeVlanInfo: Codec<{ flags: number; vid: number }> = {
  ...vlanInfo,
  format: (value) => vlanInfo.format(value).join(' '),
}

export const IFLA_BRIDGE = attributeTable({
  IFLA_BRIDGE_FLAGS: [0, flags(u16, { master: 1, self: 2 })],
  IFLA_BRIDGE_VLAN_INFO: [2, repeated(bridgeVlanInfo)],
})

/** Of AF_BRIDGE messages (linux/if_bridge.h): those of links have something else in IFLA_AF_SPEC. */
export const IFLA_OF_BRIDGE = attributeTable({
  IFLA_AF_SPEC: [26, nested(() => IFLA_BRIDGE)],
  IFLA_EXT_MASK: [29, u32],
})

const IFA_F = {
  secondary: 0x01,
  nodad: 0x02,
  optimistic: 0x04,
  dadfailed: 0x08,
  deprecated: 0x20,
  tentative: 0x40,
  permanent: 0x80,
  noprefixroute: 0x200,
}

export const ifaddrmsg = struct('ifaddrmsg', [
  ['ifa_family', family],
  ['ifa_prefixlen', u8],
  ['ifa_flags', flags(u8, IFA_F)],
  ['ifa_scope', scope],
  ['ifa_index', u32],
])

export const IFA = attributeTable({
  IFA_ADDRESS: [1, ipAddress],
  IFA_LOCAL: [2, ipAddress],
  IFA_LABEL: [3, string],
  IFA_BROADCAST: [4, ipAddress],
  /** All flags; the header has room for the first eight only. */
  IFA_FLAGS: [8, flags(u32, IFA_F)],
})

export const rtmsg = struct('rtmsg', [
  ['rtm_family', family],
  ['rtm_dst_len', u8],
  ['rtm_src_len', u8],
  ['rtm_tos', u8],
  ['rtm_table', named(u8, { default: 253, main: 254, local: 255 })],
  ['rtm_protocol', named(u8, { kernel: 2, boot: 3, static: 4, ra: 9 })],
  ['rtm_scope', scope],
  ['rtm_type', named(u8, { unicast: 1, local: 2, broadcast: 3, anycast: 4, multicast: 5, blackhole: 6 })],
  ['rtm_flags', u32],
])

export const RTAX = attributeTable({
  RTAX_MTU: [2, u32],
  RTAX_ADVMSS: [8, u32],
})

export const rtnexthop = struct('rtnexthop', [
  ['rtnh_len', u16],
  ['rtnh_flags', u8],
  ['rtnh_hops', u8],
  ['rtnh_ifindex', s32],
])

export const RTA_NEXTHOP = attributeTable({ RTA_GATEWAY: [5, ipAddress] })

export const RTA = attributeTable({
  RTA_DST: [1, ipAddress],
  RTA_SRC: [2, ipAddress],
  RTA_IIF: [3, u32],
  RTA_OIF: [4, u32],
  RTA_GATEWAY: [5, ipAddress],
  RTA_PRIORITY: [6, u32],
  RTA_PREFSRC: [7, ipAddress],
  RTA_METRICS: [8, nested(() => RTAX)],
  RTA_MULTIPATH: [9, sequence(rtnexthop, 'rtnh_len', () => RTA_NEXTHOP)],
  RTA_TABLE: [15, u32],
})

export const fibRuleHdr = struct('fib_rule_hdr', [
  ['family', family],
  ['dst_len', u8],
  ['src_len', u8],
  ['tos', u8],
  ['table', named(u8, { default: 253, main: 254, local: 255 })],
  ['res1', u8],
  ['res2', u8],
  ['action', named(u8, { lookup: 1, goto: 2, nop: 3, blackhole: 6, unreachable: 7, prohibit: 8 })],
  ['flags', u32],
])

export const FRA = attributeTable({
  FRA_DST: [1, ipAddress],
  FRA_SRC: [2, ipAddress],
  FRA_IIFNAME: [3, string],
  FRA_PRIORITY: [6, u32],
  FRA_FWMARK: [10, u32],
  FRA_TABLE: [15, u32],
  FRA_OIFNAME: [17, string],
  FRA_PROTOCOL: [21, u8],
})

function kind<H, T extends MessageKind['attributes']>(
  name: string,
  type: number,
  header: MessageKind<H, T>['header'],
  attributes: T,
): MessageKind<H, T> {
  return { name, type, header, attributes }
}

export const RTM_NEWLINK = kind('RTM_NEWLINK', 16, ifinfomsg, IFLA)
export const RTM_DELLINK = kind('RTM_DELLINK', 17, ifinfomsg, IFLA)
export const RTM_GETLINK = kind('RTM_GETLINK', 18, ifinfomsg, IFLA)
export const RTM_SETLINK = kind('RTM_SETLINK', 19, ifinfomsg, IFLA_SET)
export const BRIDGE_RTM_NEWLINK = kind('RTM_NEWLINK', 16, ifinfomsg, IFLA_OF_BRIDGE)
export const BRIDGE_RTM_DELLINK = kind('RTM_DELLINK', 17, ifinfomsg, IFLA_OF_BRIDGE)
export const BRIDGE_RTM_GETLINK = kind('RTM_GETLINK', 18, ifinfomsg, IFLA_OF_BRIDGE)
export const BRIDGE_RTM_SETLINK = kind('RTM_SETLINK', 19, ifinfomsg, IFLA_OF_BRIDGE)
export const RTM_NEWADDR = kind('RTM_NEWADDR', 20, ifaddrmsg, IFA)
export const RTM_DELADDR = kind('RTM_DELADDR', 21, ifaddrmsg, IFA)
export const RTM_GETADDR = kind('RTM_GETADDR', 22, ifaddrmsg, IFA)
export const RTM_NEWROUTE = kind('RTM_NEWROUTE', 24, rtmsg, RTA)
export const RTM_DELROUTE = kind('RTM_DELROUTE', 25, rtmsg, RTA)
export const RTM_GETROUTE = kind('RTM_GETROUTE', 26, rtmsg, RTA)
export const RTM_NEWRULE = kind('RTM_NEWRULE', 32, fibRuleHdr, FRA)
export const RTM_DELRULE = kind('RTM_DELRULE', 33, fibRuleHdr, FRA)
export const RTM_GETRULE = kind('RTM_GETRULE', 34, fibRuleHdr, FRA)

/** Multicast group for link changes (linux/rtnetlink.h). */
export const RTNLGRP_LINK = 1

/** What the kernel sends: the trace names it. */
export const RTNL_KINDS = [
  RTM_NEWLINK,
  RTM_DELLINK,
  RTM_NEWADDR,
  RTM_DELADDR,
  RTM_NEWROUTE,
  RTM_DELROUTE,
  RTM_NEWRULE,
  RTM_DELRULE,
  RTM_NEWQDISC,
  RTM_NEWTFILTER,
] as unknown as readonly MessageKind[]
