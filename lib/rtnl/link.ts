// Links: the kernel's network interfaces (RTM_*LINK). Values, and their way to and from messages.

import type { MacAddress } from '../ip/mac.ts'
import { macFromBytes, macToBytes } from '../ip/mac.ts'
import type { Attributes } from '../netlink/attributes.ts'
import { NLM_F_CREATE, NLM_F_EXCL } from '../netlink/message.ts'
import { type Operation, operationText, type Request, readKnown, request } from '../netlink/request.ts'
import {
  type IFLA,
  type IFLA_BR,
  type IFLA_BRPORT,
  type IFLA_INFO,
  RTM_DELLINK,
  RTM_GETLINK,
  RTM_NEWLINK,
  RTM_SETLINK,
} from './attributes.ts'

import type { NewDummy } from './kinds/dummy.ts'
import {
  type IFLA_IPVLAN,
  type IpvlanMode,
  ipvlanData,
  type NewIpvlan,
  readIpvlanMode,
} from './kinds/ipvlan.ts'
import {
  type IFLA_MACVLAN,
  type MacvlanMode,
  macvlanData,
  type NewMacvlan,
  readMacvlanMode,
} from './kinds/macvlan.ts'
import { type IFLA_VLAN, type NewVlan, vlanData } from './kinds/vlan.ts'
import { type IFLA_VRF, type NewVrf, vrfData } from './kinds/vrf.ts'

declare const brand: unique symbol
export type IfIndex = number & { readonly [brand]: 'IfIndex' }
/** 1–15 characters, no white space, `/` or `:`. */
export type IfName = string
/** An interface by its index, or by its name in the namespace of the socket. */
export type LinkRef = IfIndex | IfName

/** The loopback interface is the first of every namespace (net/core/dev.c, LOOPBACK_IFINDEX). */
export const LOOPBACK_INDEX = 1 as IfIndex

const IFF_UP = 0x1
const IFF_PROMISC = 0x100
const IFF_ALLMULTI = 0x200
const IFF_LOWER_UP = 0x10000
const RTEXT_FILTER_SKIP_STATS = 8
const OPERSTATES = ['UNKNOWN', 'NOTPRESENT', 'DOWN', 'LOWERLAYERDOWN', 'TESTING', 'DORMANT', 'UP'] as const
export type OperState = (typeof OPERSTATES)[number]
const PORT_STATES = ['disabled', 'listening', 'learning', 'forwarding', 'blocking'] as const

export interface BridgePort {
  readonly state: (typeof PORT_STATES)[number]
  readonly hairpin: boolean
  readonly isolated: boolean
}

export interface Link {
  readonly index: IfIndex
  readonly name: IfName
  /** Absent for links without Ethernet addresses. */
  readonly mac?: MacAddress
  readonly mtu: number
  /** Administratively up (IFF_UP). */
  readonly up: boolean
  /** The lower layer is up: for a veth, the other end. */
  readonly lowerUp: boolean
  readonly operstate: OperState
  readonly promisc: boolean
  /** Receives all multicast frames. */
  readonly allmulti?: boolean
  /** Packets that may wait to be sent. */
  readonly txQueueLength?: number
  /** `veth`, `bridge`, …; absent for hardware and loopback. */
  readonly kind?: string
  readonly master?: IfIndex
  /** Of a veth: the other end's index, in the namespace where that end is. */
  readonly peerIndex?: IfIndex
  /** Set when the other end is in another namespace. */
  readonly peerNetnsid?: number
  /** Of a link that lies on another: that one's index, in the namespace where it is. */
  readonly parentIndex?: IfIndex
  /** Set when it is in another namespace. */
  readonly parentNetnsid?: number
  readonly macvlanMode?: MacvlanMode
  readonly ipvlanMode?: IpvlanMode
  readonly vlanId?: number
  /** Of a VRF: its routing table. */
  readonly vrfTable?: number
  readonly alias?: string
  readonly bridgePort?: BridgePort
  /** Of a bridge. */
  readonly vlanFiltering?: boolean
  /** Of a bridge: the VLAN that a new port is in, 0 for none; absent without CONFIG_BRIDGE_VLAN_FILTERING. */
  readonly vlanDefaultPvid?: number
}

interface NewLinkCommon {
  readonly name: IfName
  readonly mac?: MacAddress
  readonly mtu?: number
  readonly up?: boolean
  readonly master?: IfIndex
}

export interface NewBridge extends NewLinkCommon {
  readonly kind: 'bridge'
  readonly vlanFiltering?: boolean
}

export interface NewVeth extends NewLinkCommon {
  readonly kind: 'veth'
  /** Of each direction, whatever the number of CPUs. */
  readonly queues?: number
  /**
   * The other end, born in the namespace behind `netnsFd` under its final name: it is never moved. It cannot be
   * brought up by this message (ENOTCONN: it is configured before the two ends are tied, drivers/net/veth.c).
   */
  readonly peer: {
    readonly name: IfName
    readonly mac?: MacAddress
    readonly mtu?: number
    readonly queues?: number
    readonly netnsFd?: number
  }
}

/** What is sent to it comes back as received by the link that had it before (drivers/net/ifb.c): so it can be shaped. */
export interface NewIfb extends NewLinkCommon {
  readonly kind: 'ifb'
}

export type NewLink = NewBridge | NewVeth | NewIfb | NewMacvlan | NewIpvlan | NewVlan | NewVrf | NewDummy

/** What changes; what is absent stays. */
export interface LinkSettings {
  readonly name?: IfName
  readonly up?: boolean
  readonly mac?: MacAddress
  readonly mtu?: number
  readonly promisc?: boolean
  readonly allmulti?: boolean
  readonly txQueueLength?: number
  /**
   * Moves the link into the namespace behind it: it is set down, loses addresses and routes, and gets its new name
   * there, if one is given with it. The name that it has must be free there too, unless a new one is given.
   */
  readonly netnsFd?: number
  /** 0 takes the link from its master. */
  readonly master?: IfIndex | 0
  readonly alias?: string
  readonly hairpin?: boolean
  readonly isolated?: boolean
  /**
   * The sysctl ipv4/conf/<link>/arp_notify: whether the link announces its addresses when it comes up. Not together with
   * `up`, which the kernel minds first (do_setlink), nor with a port's settings.
   */
  readonly arpNotify?: boolean
}

function flagBits({ up, promisc, allmulti }: Pick<LinkSettings, 'up' | 'promisc' | 'allmulti'>): {
  ifi_flags: number
  ifi_change: number
} {
  return {
    ifi_flags: (up ? IFF_UP : 0) | (promisc ? IFF_PROMISC : 0) | (allmulti ? IFF_ALLMULTI : 0),
    ifi_change:
      (up === undefined ? 0 : IFF_UP) |
      (promisc === undefined ? 0 : IFF_PROMISC) |
      (allmulti === undefined ? 0 : IFF_ALLMULTI),
  }
}

function commonAttributes(link: {
  name?: IfName
  mac?: MacAddress
  mtu?: number
  master?: number
  queues?: number
}): Attributes<typeof IFLA> {
  return {
    IFLA_NUM_TX_QUEUES: link.queues,
    IFLA_NUM_RX_QUEUES: link.queues,
    IFLA_IFNAME: link.name,
    IFLA_ADDRESS: link.mac === undefined ? undefined : macToBytes(link.mac),
    IFLA_MTU: link.mtu,
    IFLA_MASTER: link.master,
  }
}

export function createLinkRequest(link: NewLink, operation: Operation): Request {
  const data = kindData(link)
  return request(RTM_NEWLINK, {
    flags: NLM_F_CREATE | NLM_F_EXCL,
    header: flagBits(link),
    attributes: {
      ...commonAttributes(link),
      ...placeAttributes(link),
      IFLA_LINKINFO: { IFLA_INFO_KIND: link.kind, IFLA_INFO_DATA: data },
    },
    operation,
  })
}

/** Of a link that lies on another: on which, and where it is born. */
function placeAttributes(link: { parent?: IfIndex; netnsFd?: number } | object): Attributes<typeof IFLA> {
  const { parent, netnsFd } = link as { parent?: IfIndex; netnsFd?: number }
  return { IFLA_LINK: parent, IFLA_NET_NS_FD: netnsFd }
}

function kindData(link: NewLink): Record<string, unknown> | undefined {
  switch (link.kind) {
    case 'bridge':
      return bridgeData(link)
    case 'veth':
      return vethData(link)
    case 'macvlan':
      return macvlanData(link)
    case 'ipvlan':
      return ipvlanData(link)
    case 'vlan':
      return vlanData(link)
    case 'vrf':
      return vrfData(link)
    case 'ifb':
    case 'dummy':
      return undefined
  }
}

function bridgeData(link: NewBridge): Record<string, unknown> | undefined {
  return link.vlanFiltering === undefined ? undefined : { IFLA_BR_VLAN_FILTERING: Number(link.vlanFiltering) }
}

function vethData(link: NewVeth): Record<string, unknown> {
  const { netnsFd, ...peer } = link.peer
  const attributes = { ...commonAttributes(peer), IFLA_NET_NS_FD: netnsFd }
  return { VETH_INFO_PEER: { header: {}, attributes } }
}

/**
 * RTM_NEWLINK without CREATE changes an existing link, found by index or by name, its bridge port included. The port
 * must exist already: becoming one and setting it up (`master` and `hairpin`) takes two messages.
 *
 * @throws RangeError for a new name for a link given by name: both would be IFLA_IFNAME
 */
export function setLinkRequest(ref: LinkRef, settings: LinkSettings, operation: Operation): Request {
  if (typeof ref === 'string' && settings.name !== undefined)
    throw new RangeError(`${operationText(operation)}: rename by index`)
  const { hairpin, isolated, arpNotify } = settings
  const hasPort = hairpin !== undefined || isolated !== undefined
  if (arpNotify !== undefined && (hasPort || settings.up !== undefined))
    throw new RangeError(`${operationText(operation)}: arp_notify in a message of its own`)
  const kind = hasPort ? RTM_NEWLINK : RTM_SETLINK
  return request(kind as typeof RTM_SETLINK, {
    header: { ...refHeader(ref), ...flagBits(settings) },
    attributes: {
      ...commonAttributes(settings),
      ...refAttributes(ref),
      IFLA_TXQLEN: settings.txQueueLength,
      IFLA_NET_NS_FD: settings.netnsFd,
      IFLA_IFALIAS: settings.alias,
      IFLA_AF_SPEC:
        arpNotify === undefined
          ? undefined
          : { AF_INET: { IFLA_INET_CONF: { IPV4_DEVCONF_ARP_NOTIFY: Number(arpNotify) } } },
      IFLA_LINKINFO: hasPort ? portAttributes(settings) : undefined,
    },
    operation,
  })
}

function portAttributes({ hairpin, isolated }: LinkSettings): Attributes<typeof IFLA_INFO> {
  const port: Attributes<typeof IFLA_BRPORT> = {
    IFLA_BRPORT_MODE: hairpin === undefined ? undefined : Number(hairpin),
    IFLA_BRPORT_ISOLATED: isolated === undefined ? undefined : Number(isolated),
  }
  return { IFLA_INFO_SLAVE_KIND: 'bridge', IFLA_INFO_SLAVE_DATA: port }
}

export function deleteLinkRequest(ref: LinkRef, operation: Operation): Request {
  return request(RTM_DELLINK, { header: refHeader(ref), attributes: refAttributes(ref), operation })
}

/** Links of one group (`ip link set group`) can be deleted by one message. */
export function joinGroupRequest(index: IfIndex, group: number, operation: Operation): Request {
  return request(RTM_SETLINK, { header: { ifi_index: index }, attributes: { IFLA_GROUP: group }, operation })
}

export function deleteGroupRequest(group: number, operation: Operation): Request {
  return request(RTM_DELLINK, { attributes: { IFLA_GROUP: group }, operation })
}

export function getLinkRequest(ref: LinkRef, operation: Operation): Request {
  return request(RTM_GETLINK, {
    header: refHeader(ref),
    attributes: { ...refAttributes(ref), IFLA_EXT_MASK: RTEXT_FILTER_SKIP_STATS },
    operation,
  })
}

export interface LinkFilter {
  readonly kind?: string
  readonly master?: IfIndex
}

export function listLinksRequest(filter: LinkFilter): Request {
  return request(RTM_GETLINK, {
    attributes: {
      IFLA_EXT_MASK: RTEXT_FILTER_SKIP_STATS,
      IFLA_MASTER: filter.master,
      IFLA_LINKINFO: filter.kind === undefined ? undefined : { IFLA_INFO_KIND: filter.kind },
    },
    operation: 'list links',
  })
}

function refHeader(ref: LinkRef): { ifi_index?: number } {
  return typeof ref === 'number' ? { ifi_index: ref } : {}
}

function refAttributes(ref: LinkRef): Attributes<typeof IFLA> {
  return typeof ref === 'number' ? {} : { IFLA_IFNAME: ref }
}

type Writable<T> = { -readonly [K in keyof T]: T[K] }

/** @param payload  of an RTM_NEWLINK message */
export function readLink(payload: Uint8Array): Link {
  const { header, attributes: a } = readKnown(RTM_NEWLINK, payload)
  const flags = header.ifi_flags
  const link: Writable<Link> = {
    index: header.ifi_index as IfIndex,
    name: a.IFLA_IFNAME ?? '',
    mtu: a.IFLA_MTU ?? 0,
    up: (flags & IFF_UP) !== 0,
    lowerUp: (flags & IFF_LOWER_UP) !== 0,
    operstate: OPERSTATES[a.IFLA_OPERSTATE ?? 0] ?? 'UNKNOWN',
    promisc: (flags & IFF_PROMISC) !== 0,
  }
  if (a.IFLA_ADDRESS?.length === 6) link.mac = macFromBytes(a.IFLA_ADDRESS)
  if ((flags & IFF_ALLMULTI) !== 0) link.allmulti = true
  if (a.IFLA_TXQLEN !== undefined) link.txQueueLength = a.IFLA_TXQLEN
  if (a.IFLA_MASTER !== undefined) link.master = a.IFLA_MASTER as IfIndex
  if (a.IFLA_IFALIAS !== undefined) link.alias = a.IFLA_IFALIAS
  if (a.IFLA_LINK !== undefined) readOther(link, a.IFLA_LINK, a)
  if (a.IFLA_LINKINFO !== undefined) readLinkInfo(link, a.IFLA_LINKINFO)
  return link
}

/** IFLA_LINK is the other end of a veth, and of other kinds the link that they lie on. */
function readOther(link: Writable<Link>, index: number, a: Attributes<typeof IFLA>): void {
  const isVeth = a.IFLA_LINKINFO?.IFLA_INFO_KIND === 'veth'
  const netnsid = a.IFLA_LINK_NETNSID
  link[isVeth ? 'peerIndex' : 'parentIndex'] = index as IfIndex
  if (netnsid !== undefined) link[isVeth ? 'peerNetnsid' : 'parentNetnsid'] = netnsid
}

type KindData = typeof IFLA_MACVLAN & typeof IFLA_IPVLAN & typeof IFLA_VLAN & typeof IFLA_VRF

function readLinkInfo(link: Writable<Link>, info: Attributes<typeof IFLA_INFO>): void {
  const { IFLA_INFO_KIND: kind, IFLA_INFO_DATA: data } = info
  if (kind !== undefined) link.kind = kind
  if (data !== undefined && kind === 'bridge') readBridge(link, data)
  else if (data !== undefined && kind !== 'veth') readKindData(link, data)
  if (info.IFLA_INFO_SLAVE_KIND === 'bridge' && info.IFLA_INFO_SLAVE_DATA !== undefined)
    link.bridgePort = readPort(info.IFLA_INFO_SLAVE_DATA)
}

function readBridge(link: Writable<Link>, data: Attributes<typeof IFLA_BR>): void {
  if (data.IFLA_BR_VLAN_FILTERING !== undefined) link.vlanFiltering = data.IFLA_BR_VLAN_FILTERING === 1
  if (data.IFLA_BR_VLAN_DEFAULT_PVID !== undefined) link.vlanDefaultPvid = data.IFLA_BR_VLAN_DEFAULT_PVID
}

function readKindData(link: Writable<Link>, data: Attributes<KindData>): void {
  const macvlanMode = readMacvlanMode(data.IFLA_MACVLAN_MODE)
  const ipvlanMode = readIpvlanMode(data.IFLA_IPVLAN_MODE)
  if (macvlanMode !== undefined) link.macvlanMode = macvlanMode
  if (ipvlanMode !== undefined) link.ipvlanMode = ipvlanMode
  if (data.IFLA_VLAN_ID !== undefined) link.vlanId = data.IFLA_VLAN_ID
  if (data.IFLA_VRF_TABLE !== undefined) link.vrfTable = data.IFLA_VRF_TABLE
}

function readPort(port: Attributes<typeof IFLA_BRPORT>): BridgePort {
  return {
    state: PORT_STATES[port.IFLA_BRPORT_STATE ?? 0] ?? 'disabled',
    hairpin: port.IFLA_BRPORT_MODE === 1,
    isolated: port.IFLA_BRPORT_ISOLATED === 1,
  }
}
