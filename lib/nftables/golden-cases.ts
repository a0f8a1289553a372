// One case of every kind of object and statement, for tests: what the bytes in golden-bytes.ts are of.

import { IpAddress } from '../ip/address.ts'
import type { NftChain } from './chain.ts'
import { daddr, dport, iifname, l4proto, metaMark, oifname, saddr } from './field.ts'
import type { NftOperation } from './operation.ts'
import type { NftRule } from './rule.ts'
import type { NftMap, NftSet } from './set.ts'
import * as s from './statement.ts'
import type { NftTable } from './table.ts'

export const table: NftTable = { family: 'inet', name: 'golden', comment: 'one of each' }

export const chains: Readonly<Record<'postrouting' | 'prerouting' | 'forward' | 'pods', NftChain>> = {
  postrouting: {
    table,
    name: 'postrouting',
    base: { type: 'nat', hook: 'postrouting', priority: 100, policy: 'accept' },
    comment: 'source',
  },
  prerouting: {
    table,
    name: 'prerouting',
    base: { type: 'nat', hook: 'prerouting', priority: -100, policy: 'accept' },
  },
  forward: { table, name: 'forward', base: { type: 'filter', hook: 'forward', priority: 0, policy: 'drop' } },
  pods: { table, name: 'pods' },
}

export const sets = {
  addresses: { table, name: 'addresses', type: ['ipv4_addr'], comment: 'some pods' },
  addresses6: { table, name: 'addresses6', type: ['ipv6_addr'] },
  links: { table, name: 'links', type: ['ifname'], size: 128 },
  brief: { table, name: 'brief', type: ['ipv4_addr'], timeoutMs: 30_000 },
  subnets: { table, name: 'subnets', type: ['ipv4_addr'], flags: ['interval'] },
  pairs: { table, name: 'pairs', type: ['ipv4_addr', 'ipv4_addr'], flags: ['interval'] },
} as const satisfies Readonly<Record<string, NftSet>>

export const maps = {
  verdicts: {
    table,
    name: 'verdicts',
    type: ['ipv4_addr'],
    value: 'verdict',
    comment: 'what becomes of pods',
  },
  ports: { table, name: 'ports', type: ['inet_proto', 'inet_service'], value: ['ipv4_addr', 'inet_service'] },
  marks: { table, name: 'marks', type: ['ether_addr'], value: ['mark'] },
} as const satisfies Readonly<Record<string, NftMap>>

const source = saddr(4)
const to = daddr(4)
const rule = (chain: NftChain, ...body: s.NftStatement[]): NftRule => ({ chain, body })
const { postrouting, prerouting, forward, pods } = chains

export const rules: readonly NftRule[] = [
  rule(postrouting, s.verdictMap([source], maps.verdicts)),
  rule(postrouting, s.inSet([source, to], sets.pairs), s.returnVerdict),
  rule(postrouting, s.notInSet([saddr(6)], sets.addresses6), s.counter, s.accept),
  { ...rule(postrouting, s.inSet([source], sets.addresses), s.masquerade), comment: 'pods leave here' },
  rule(pods, s.equals(to, '224.0.0.0/4'), s.returnVerdict),
  rule(pods, s.equals(to, '10.1.0.0/24'), s.returnVerdict),
  rule(pods, s.equals(to, '10.1.0.0/25'), s.returnVerdict),
  rule(pods, s.notEquals(to, '10.1.0.1'), s.drop),
  rule(pods, s.equals(daddr(6), 'ff00::/8'), s.returnVerdict),
  rule(pods, s.equals(daddr(6), 'fd00:1::/64'), s.returnVerdict),
  rule(pods, s.equals(source, '10.1.0.1'), s.equals(to, '10.1.0.2'), s.accept),
  rule(pods, s.equals(dport('tcp'), '80'), s.accept),
  rule(pods, s.inRange(dport('udp'), '1000', '2000'), s.accept),
  rule(pods, s.equals(l4proto, 'tcp'), s.accept),
  rule(pods, s.equals(metaMark, '0x00000007'), s.accept),
  rule(pods, s.hasMark(0x4000), s.accept),
  rule(pods, s.setMark(0x4000)),
  rule(forward, s.ctState('established', 'related'), s.accept),
  rule(forward, s.ctStatus('dnat'), s.accept),
  rule(forward, s.equals(iifname, '"eth0"'), s.notEquals(oifname, '"lo"'), s.jump(pods)),
  rule(forward, s.goto(pods)),
  rule(prerouting, s.fibType('daddr', 'local'), s.dnatToMap(4, [l4proto, dport('th')], maps.ports)),
  rule(prerouting, s.equals(dport('tcp'), '8080'), s.dnatTo(IpAddress.parse('10.1.0.5'), 80)),
  rule(prerouting, s.equals(dport('tcp'), '8081'), s.dnatTo(IpAddress.parse('fd00::5'), 80)),
  rule(prerouting, s.equals(to, '10.0.0.1'), s.dnatTo(IpAddress.parse('10.1.0.5'))),
]

/** In an order in which the kernel takes them. */
export const additions: readonly NftOperation[] = [
  { verb: 'add', table },
  ...Object.values(chains).map((chain) => ({ verb: 'add', chain }) as const),
  ...Object.values({ ...sets, ...maps }).map((set) => ({ verb: 'add', set }) as const),
  { verb: 'add', elementsOf: sets.addresses, elements: [{ key: ['10.1.0.5'], comment: 'a pod' }] },
  { verb: 'add', elementsOf: sets.addresses6, elements: [{ key: ['fd00::5'] }] },
  { verb: 'add', elementsOf: sets.links, elements: [{ key: ['"eth0"'] }] },
  { verb: 'add', elementsOf: sets.brief, elements: [{ key: ['10.1.0.9'], timeoutMs: 600_000 }] },
  { verb: 'add', elementsOf: sets.subnets, elements: [{ key: ['255.255.255.0/24'] }] },
  { verb: 'add', elementsOf: sets.pairs, elements: [{ key: ['10.1.0.5', '10.1.0.0/24'], comment: 'own' }] },
  {
    verb: 'add',
    elementsOf: maps.verdicts,
    elements: [{ key: ['10.1.0.5'], comment: 'net 0a1b eth0', value: ['goto pods'] }],
  },
  { verb: 'add', elementsOf: maps.ports, elements: [{ key: ['tcp', '8080'], value: ['10.1.0.5', '80'] }] },
  { verb: 'add', elementsOf: maps.marks, elements: [{ key: ['0a:58:0a:01:00:05'], value: ['0x00000007'] }] },
  ...rules.map((one) => ({ verb: 'add', rule: one }) as const),
]

/** In an order in which the kernel takes them, after the additions. */
export const removals: readonly NftOperation[] = [
  { verb: 'delete', elementsOf: sets.pairs, elements: [{ key: ['10.1.0.5', '10.1.0.0/24'] }] },
  { verb: 'flush', set: sets.addresses },
  { verb: 'flush', chain: forward },
  { verb: 'flush', table },
  { verb: 'delete', set: sets.brief },
  { verb: 'delete', set: maps.verdicts },
  { verb: 'delete', chain: pods },
  { verb: 'delete', table },
]
