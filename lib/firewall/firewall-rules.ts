// The firewall's part of the tables `inet podwire` and `bridge podwire`: a pod is elements of sets.
//
//   table inet podwire {
//     set firewall_pods_ipv4    { type ipv4_addr;          elements = { 10.1.0.5 comment "net 0a1b eth0" } }
//     set firewall_closed_ipv4  { type ipv4_addr }           pods that are not open
//     set firewall_ingress_ipv4 { type ifname . ipv4_addr }  the bridge from which one of them may be reached
//     set firewall_bridges      { type ifname }              that have such pods
//     chain CNI-ADMIN { }                                    the administrator's
//     chain firewall_forward {
//       type filter hook forward priority -1
//       jump CNI-ADMIN
//       iifname @firewall_bridges ip daddr @firewall_closed_ipv4 iifname . ip daddr != @firewall_ingress_ipv4 drop
//       ip saddr @firewall_pods_ipv4 meta mark set meta mark | 0x00001000
//       ip daddr @firewall_pods_ipv4 ct state established,related meta mark set meta mark | 0x00001000
//       ip daddr @firewall_pods_ipv4 ct status dnat meta mark set meta mark | 0x00001000
//       (the same for IPv6)
//     }
//     chain firewall_forwarded { type filter hook forward priority 100;  meta mark set meta mark & 0xffffefff }
//   }
//   table bridge podwire {
//     set isolated_ipv4 { type ipv4_addr }
//     chain forward { type filter hook forward priority 0;  ip daddr @isolated_ipv4 drop }
//   }
//
// The mark is for the chains of other firewalls, between ours (lib/nftables/forward-pass.ts).

import type { Family } from '../ip/address.ts'
import { type NftChain, PRIORITY } from '../nftables/chain.ts'
import { daddr, iifname, saddr } from '../nftables/field.ts'
import { PASS_MARK } from '../nftables/forward-pass.ts'
import type { Layout } from '../nftables/layout.ts'
import { ADDRESS_TYPE, FAMILIES, podwireTable } from '../nftables/masquerade-rules.ts'
import type { OwnedElement } from '../nftables/owned-elements.ts'
import type { NftSet } from '../nftables/set.ts'
import { spoofTable } from '../nftables/spoof-table.ts'
import * as s from '../nftables/statement.ts'
import type { Firewalled } from './firewall.ts'

interface FamilySets {
  readonly pods: NftSet
  readonly closed: NftSet
  readonly ingress: NftSet
  readonly isolated: NftSet
}

const firewallSets: Readonly<Record<Family, FamilySets>> = { 4: setsOf(4), 6: setsOf(6) }

function setsOf(family: Family): FamilySets {
  const type = [ADDRESS_TYPE[family]] as const
  const set = (name: string, comment: string) => ({
    table: podwireTable,
    name: `firewall_${name}_ipv${family}`,
    comment,
  })
  return {
    pods: { ...set('pods', 'pods that other firewalls are to let through'), type },
    closed: { ...set('closed', 'pods that are not open to other bridges'), type },
    ingress: { ...set('ingress', 'the bridge that such a pod is open to'), type: ['ifname', ...type] },
    isolated: {
      table: spoofTable,
      name: `isolated_ipv${family}`,
      comment: 'pods that are not open to their own bridge',
      type,
    },
  }
}

export const firewallBridges: NftSet = {
  table: podwireTable,
  name: 'firewall_bridges',
  type: ['ifname'],
  comment: 'bridges that have pods that are not open',
}

const all = (key: keyof FamilySets) => FAMILIES.map((family) => firewallSets[family][key])
const INET_SETS: readonly NftSet[] = [...all('pods'), ...all('closed'), ...all('ingress'), firewallBridges]
/** Those whose elements have an owner. */
export const OWNED_SETS: readonly NftSet[] = [
  ...all('pods'),
  ...all('closed'),
  ...all('ingress'),
  ...all('isolated'),
]

/** Just before the firewalls of others at 0 (iptables) and 10 (firewalld), and after them. */
const BEFORE_FILTERS = PRIORITY.filter - 1
const AFTER_FILTERS = 100

function forwardHook(name: string, priority: number): NftChain {
  const base = { type: 'filter', hook: 'forward', priority, policy: 'accept' } as const
  return { table: podwireTable, name, base }
}

/** @param adminChains  of all networks */
export function firewallLayout(adminChains: readonly string[]): Layout {
  const admins = [...new Set(adminChains)].sort().map((name) => ({ table: podwireTable, name }))
  return {
    table: podwireTable,
    sets: INET_SETS,
    chains: [
      ...admins.map((chain) => ({ chain, bodies: undefined })),
      {
        chain: forwardHook('firewall_forward', BEFORE_FILTERS),
        bodies: [...admins.map((chain) => [s.jump(chain)]), ...FAMILIES.flatMap(podBodies)],
      },
      { chain: forwardHook('firewall_forwarded', AFTER_FILTERS), bodies: [[s.clearMark(PASS_MARK)]] },
    ],
  }
}

function podBodies(family: Family): s.NftStatement[][] {
  const { pods, closed, ingress } = firewallSets[family]
  const [from, to, pass] = [saddr(family), daddr(family), s.setMark(PASS_MARK)]
  return [
    [s.inSet([iifname], firewallBridges), s.inSet([to], closed), s.notInSet([iifname, to], ingress), s.drop],
    [s.inSet([from], pods), pass],
    [s.inSet([to], pods), s.ctState('established', 'related'), pass],
    // A host port, a Service: somebody has asked for it.
    [s.inSet([to], pods), s.ctStatus('dnat'), pass],
  ]
}

const isolation: NftChain = {
  table: spoofTable,
  name: 'forward',
  base: { type: 'filter', hook: 'forward', priority: PRIORITY.filter, policy: 'accept' },
}

/** What is switched from port to port does not pass the chains above, unless br_netfilter is loaded. */
export const isolationLayout: Layout = {
  table: spoofTable,
  sets: all('isolated'),
  chains: [
    {
      chain: isolation,
      bodies: FAMILIES.map((family) => [s.inSet([daddr(family)], firewallSets[family].isolated), s.drop]),
    },
  ],
}

export function podElements({ addresses, policy, bridge }: Firewalled, comment: string): OwnedElement[] {
  return addresses.flatMap((address) => {
    const { pods, closed, ingress } = firewallSets[address.family]
    const key = [address.toString()]
    return [
      { set: pods, element: { key, comment } },
      ...(policy === 'open' ? [] : [{ set: closed, element: { key, comment } }]),
      ...(policy === 'same-bridge' && bridge !== undefined
        ? [{ set: ingress, element: { key: [quoted(bridge), ...key], comment } }]
        : []),
    ]
  })
}

export function bridgeElements({ policy, bridge }: Firewalled): OwnedElement[] {
  return policy === 'open' || bridge === undefined
    ? []
    : [{ set: firewallBridges, element: { key: [quoted(bridge)] } }]
}

export function isolationElements({ addresses, policy }: Firewalled, comment: string): OwnedElement[] {
  if (policy !== 'isolated') return []
  return addresses.map((address) => ({
    set: firewallSets[address.family].isolated,
    element: { key: [address.toString()], comment },
  }))
}

function quoted(ifname: string): string {
  return `"${ifname}"`
}

/** Names of chains that are not free for an administrator's. */
export function isReservedChain(name: string): boolean {
  return /^(?:postrouting$|subnet_|hostport|firewall_)/.test(name)
}
