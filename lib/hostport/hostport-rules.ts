// Host ports in the table `inet podwire`: one element per mapping, and as many rules whether there is one pod or a
// thousand (docs/adr/0020-hostports.md).
//
//   table inet podwire {
//     map hostport_ipv4 { type inet_proto . inet_service : ipv4_addr . inet_service
//       elements = { tcp . 8080 comment "net 0a1b eth0" : 10.1.0.5 . 80 } }
//     map hostport_on_ipv4 { type ipv4_addr . inet_proto . inet_service : ipv4_addr . inet_service }
//     map hostport_masquerade_ipv4 { type ipv4_addr : verdict
//       elements = { 10.1.0.5 comment "net 0a1b eth0" : goto hostport_from_10.1.0.0_24 } }
//     (the same for IPv6)
//     chain hostports {
//       ip6 daddr ::1 return
//       meta mark set meta mark | 0x00002000
//       dnat ip to ip daddr . meta l4proto . th dport map @hostport_on_ipv4
//       dnat ip to meta l4proto . th dport map @hostport_ipv4
//       (the same for IPv6)
//       meta mark set meta mark & 0xffffdfff
//     }
//     chain hostport_prerouting {
//       type nat hook prerouting priority -99
//       ip daddr 127.0.0.0/8 iifname != "lo" drop
//       fib daddr type local jump hostports
//     }
//     chain hostport_output      { type nat hook output priority -99;      fib daddr type local jump hostports }
//     chain hostport_postrouting { type nat hook postrouting priority srcnat
//       meta mark & 0x00002000 == 0x00002000 ip daddr vmap @hostport_masquerade_ipv4
//       (the same for IPv6) }
//     chain hostport_from_10.1.0.0_24 { ip saddr 10.1.0.0/24 masquerade;  ip saddr 127.0.0.0/8 masquerade }
//     chain hostport_from_any { masquerade }
//     chain hostport_input { type filter hook input priority filter
//       ip daddr 127.0.0.0/8 iifname != "lo" goto hostport_to_loopback }
//     chain hostport_to_loopback { ct status snat,dnat return;  drop }
//   }

import type { Family } from '../ip/address.ts'
import { Prefix } from '../ip/prefix.ts'
import { type NftChain, type NftHook, PRIORITY } from '../nftables/chain.ts'
import { daddr, dport, iifname, l4proto, saddr } from '../nftables/field.ts'
import type { ChainLayout, Layout } from '../nftables/layout.ts'
import { ADDRESS_TYPE, FAMILIES, podwireTable } from '../nftables/masquerade-rules.ts'
import type { OwnedElement } from '../nftables/owned-elements.ts'
import type { NftMap } from '../nftables/set.ts'
import * as s from '../nftables/statement.ts'
import type { Hostport, HostportMasquerade, Hostports } from './hostport.ts'

/**
 * From the translation of a connection's first packet to its leaving: it came by a host port. Upstream's bit
 * (its `markMasqBit`): Kubernetes has 14 and 15, Calico those from 16.
 */
const CAME_BY_HOSTPORT = 1 << 13
const LOOPBACK = '127.0.0.0/8'
const LOOPBACK_IPV6 = '::1'

/**
 * After all that others translate at -100 (Services, Docker): a host port must not take over what was somebody's
 * before (CVE-2019-9946). What is translated already does not come here.
 */
const AFTER_OTHERS = PRIORITY.dstnat + 1

interface FamilyMaps {
  readonly any: NftMap
  /** With the node's address. */
  readonly on: NftMap
  readonly masquerade: NftMap
}

export const hostportMaps: Readonly<Record<Family, FamilyMaps>> = { 4: mapsOf(4), 6: mapsOf(6) }

function mapsOf(family: Family): FamilyMaps {
  const type = ADDRESS_TYPE[family]
  const value = [type, 'inet_service'] as const
  const map = (name: string, comment: string) => ({
    table: podwireTable,
    name: `${name}_ipv${family}`,
    comment,
  })
  return {
    any: {
      ...map('hostport', 'ports of the node that are a pod’s, at any of its addresses'),
      type: ['inet_proto', 'inet_service'],
      value,
    },
    on: {
      ...map('hostport_on', 'ports of the node that are a pod’s, at one of its addresses'),
      type: [type, 'inet_proto', 'inet_service'],
      value,
    },
    masquerade: {
      ...map('hostport_masquerade', 'pods that see the node behind its ports, by their own address'),
      type: [type],
      value: 'verdict',
    },
  }
}

export const ALL_MAPS: readonly NftMap[] = FAMILIES.flatMap((family) => Object.values(hostportMaps[family]))

const hostports: NftChain = { table: podwireTable, name: 'hostports' }
const fromAny: NftChain = { table: podwireTable, name: 'hostport_from_any' }

function hooked(type: 'nat' | 'filter', hook: NftHook, priority: number): NftChain {
  return { table: podwireTable, name: `hostport_${hook}`, base: { type, hook, priority, policy: 'accept' } }
}

/** To an address of the node: what only passes through is nobody's port here (CVE-2025-67499). */
const toUs = [s.fibType('daddr', 'local'), s.jump(hostports)]

/**
 * With route_localnet the kernel lets neighbours send to 127.0.0.1 (CVE-2020-8558). It is their connections that are
 * dropped, once each, before they are translated; and where nothing else passes, at the hook input, what belongs to no
 * connection. A chain that every packet meets would take a round trip a twentieth of its time.
 */
const byWireToLoopback = [s.equals(daddr(4), LOOPBACK), s.notEquals(iifname, '"lo"')]
const toLoopback: NftChain = { table: podwireTable, name: 'hostport_to_loopback' }

const SHARED: readonly ChainLayout[] = [
  {
    chain: hostports,
    bodies: [
      // Linux has no way for it out of the node (there is no route_localnet of IPv6).
      [s.equals(daddr(6), LOOPBACK_IPV6), s.returnVerdict],
      // A translation ends the chain, and the mark stays.
      [s.setMark(CAME_BY_HOSTPORT)],
      ...FAMILIES.flatMap((family) => {
        const { on, any } = hostportMaps[family]
        return [
          [s.dnatToMap(family, [daddr(family), l4proto, dport('th')], on)],
          [s.dnatToMap(family, [l4proto, dport('th')], any)],
        ]
      }),
      [s.clearMark(CAME_BY_HOSTPORT)],
    ],
  },
  { chain: hooked('nat', 'prerouting', AFTER_OTHERS), bodies: [[...byWireToLoopback, s.drop], toUs] },
  { chain: hooked('nat', 'output', AFTER_OTHERS), bodies: [toUs] },
  {
    chain: hooked('nat', 'postrouting', PRIORITY.srcnat),
    bodies: FAMILIES.map((family) => [
      s.hasMark(CAME_BY_HOSTPORT),
      s.verdictMap([daddr(family)], hostportMaps[family].masquerade),
    ]),
  },
  { chain: fromAny, bodies: [[s.masquerade]] },
  { chain: hooked('filter', 'input', PRIORITY.filter), bodies: [[...byWireToLoopback, s.goto(toLoopback)]] },
  // Answers to the node itself have 127.0.0.1 again by now, as has what somebody else sends there on purpose.
  { chain: toLoopback, bodies: [[s.ctStatus('snat', 'dnat'), s.returnVerdict], [s.drop]] },
]

const FROM_PREFIX = 'hostport_from_'

/** `hostport_from_10.1.0.0_24`, `hostport_from_fd00--_64`: as in masquerade-rules.ts. */
function fromChain(from: Prefix): NftChain {
  const name = from.masked().toString().replaceAll(':', '-').replace('/', '_')
  return { table: podwireTable, name: FROM_PREFIX + name }
}

export function subnetOfChain({ name }: NftChain): Prefix | undefined {
  const [, address, length] = /^hostport_from_([0-9a-f.-]+)_([0-9]+)$/.exec(name) ?? []
  if (address === undefined) return undefined
  try {
    return Prefix.parse(`${address.replaceAll('-', ':')}/${length}`)
  } catch {
    return undefined // a chain that someone else named like ours
  }
}

function fromLayout(from: Prefix): ChainLayout {
  const source = saddr(from.family)
  return {
    chain: fromChain(from),
    bodies: [
      [s.equals(source, from.masked().toString()), s.masquerade],
      ...(from.family === 4 ? [[s.equals(source, LOOPBACK), s.masquerade]] : []),
    ],
  }
}

/** @param subnets  of pods that are masqueraded for their neighbours */
export function hostportLayout(subnets: readonly Prefix[]): Layout {
  const distinct = new Map(subnets.map((subnet) => [subnet.masked().toString(), subnet]))
  return {
    table: podwireTable,
    sets: ALL_MAPS,
    chains: [...SHARED, ...[...distinct.values()].map(fromLayout)],
  }
}

export function layoutOf({ masquerades }: Hostports): Layout {
  return hostportLayout(masquerades.flatMap(({ from }) => (from === 'any' ? [] : [from])))
}

export function hostportElement({ protocol, port, hostIp, address, podPort }: Hostport, comment: string) {
  const { any, on } = hostportMaps[address.family]
  const key = [protocol, String(port)]
  const value = [address.toString(), String(podPort)]
  return hostIp === undefined
    ? ({ set: any, element: { key, value, comment }, exclusive: true } as const)
    : ({ set: on, element: { key: [hostIp.toString(), ...key], value, comment }, exclusive: true } as const)
}

function masqueradeElement({ address, from }: HostportMasquerade, comment: string): OwnedElement {
  const chain = from === 'any' ? fromAny : fromChain(from)
  const set = hostportMaps[address.family].masquerade
  return { set, element: { key: [address.toString()], value: [`goto ${chain.name}`], comment } }
}

/** @param comment  whose they are: `<network> <containerId> <ifname>` */
export function elementsOf({ hostports: list, masquerades }: Hostports, comment: string): OwnedElement[] {
  return [
    ...masquerades.map((one) => masqueradeElement(one, comment)),
    ...list.map((one) => hostportElement(one, comment)),
  ]
}
