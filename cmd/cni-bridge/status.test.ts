import { test } from 'tap'
import { IpAddress } from '../../lib/ip/address.ts'
import { Prefix } from '../../lib/ip/prefix.ts'
import { iifname } from '../../lib/nftables/field.ts'
import type { NftOperation } from '../../lib/nftables/operation.ts'
import { accept, equals } from '../../lib/nftables/statement.ts'
import { makeScene, type Scene } from '../../lib/testing/scene.ts'
import { attach, NETCONF } from './node.fixture.ts'
import { plugin } from './plugin.ts'

const status = async (scene: Scene, netconf: object = NETCONF) =>
  plugin.status?.(scene.ports, scene.request('STATUS', netconf, { containerId: '', ifname: '', netns: '' }))

const filter = { family: 'ip', name: 'filter' } as const
const forward = {
  table: filter,
  name: 'FORWARD',
  base: { type: 'filter', hook: 'forward', priority: 0, policy: 'drop' },
} as const
const drop: readonly NftOperation[] = [
  { verb: 'add', table: filter },
  { verb: 'add', chain: forward },
]
const docker: NftOperation = { verb: 'add', chain: { table: filter, name: 'DOCKER-USER' } }
const letIn: NftOperation = {
  verb: 'add',
  rule: { chain: forward, body: [equals(iifname, '"br0"'), accept] },
}

const IN_THE_WAY =
  'chain ip filter FORWARD (policy drop) drops what pods on br0 send out of the node: it is of '
const ACCEPTS = 'iptables -I FORWARD -i br0 -j ACCEPT; iptables -I FORWARD -o br0 -j ACCEPT'

interface Row {
  readonly name: string
  readonly node?: Parameters<typeof makeScene>[0]
  readonly netconf?: object
  /** Pods that are attached before, long ago. */
  readonly pods?: number
  readonly change?: (scene: Scene) => unknown
  /** Code, message, details; ready without. */
  readonly answer?: readonly [code: number, message: string | RegExp, details: string]
}

const rules =
  (...operations: readonly NftOperation[]) =>
  ({ kernel }: Scene) =>
    kernel.host.nft.apply(operations)
const flushRuleset = async ({ kernel: { host } }: Scene) => {
  const tables = await host.nft.listTables()
  await host.nft.apply(tables.map((table) => ({ verb: 'delete', table }) as const))
}
const link =
  (name: string, set: object) =>
  ({ kernel: { host } }: Scene) =>
    host.rtnl.apply({ change: 'set link', link: name, set })
const NO_FORWARDING = 'forwarding is off (net/ipv4/ip_forward), and pods have a gateway on this node'

const ROWS: readonly Row[] = [
  { name: 'the node is fresh' },
  { name: 'a pod is attached', pods: 1 },
  {
    name: 'the store cannot be written',
    change: (scene) => {
      scene.refuse = (operation) => (operation === 'probe the store' ? 'ENOSPC' : undefined)
    },
    answer: [
      50,
      'attachments cannot be recorded: write "/run/podwire/attachments.db": EFULL: no space',
      'free space',
    ],
  },
  {
    name: 'the kernel has no nftables',
    node: { nftables: 'none' },
    answer: [
      50,
      /^the kernel’s nftables cannot be used: list tables: EINVAL/,
      'ipMasq and macspoofchk need a kernel with CONFIG_NF_TABLES (modprobe nf_tables) and CAP_NET_ADMIN',
    ],
  },
  {
    name: 'the kernel has no nftables, and none are needed',
    node: { nftables: 'none' },
    netconf: { ...NETCONF, ipMasq: false, macspoofchk: false },
  },
  { name: 'the IPAM is not ready', pods: 2, answer: [50, 'no addresses left', 'a larger range'] },
  {
    name: 'the IPAM cannot be found',
    netconf: { ...NETCONF, ipam: { type: 'nowhere' } },
    answer: [999, 'failed to find plugin "nowhere" in path []', ''],
  },
  { name: 'there is no IPAM', netconf: { ...NETCONF, ipam: {} } },
  {
    name: 'a firewall drops',
    change: rules(...drop),
    answer: [51, `${IN_THE_WAY}rules of iptables`, ACCEPTS],
  },
  {
    name: 'Docker drops',
    change: rules(...drop, docker),
    answer: [
      51,
      `${IN_THE_WAY}Docker`,
      'iptables -I DOCKER-USER -i br0 -j ACCEPT; iptables -I DOCKER-USER -o br0 -j ACCEPT',
    ],
  },
  {
    name: 'a firewall drops, and there is a legacy one',
    change: (scene) => {
      scene.files.set('/proc/net/ip_tables_names', 'nat\nfilter\n')
      return rules(...drop)(scene)
    },
    answer: [
      51,
      `${IN_THE_WAY}rules of iptables`,
      `${ACCEPTS} (rules of iptables-legacy, which are there as well, cannot be looked into: iptables-legacy -S FORWARD)`,
    ],
  },
  {
    name: 'there is only a legacy firewall',
    change: ({ files }) => files.set('/proc/net/ip_tables_names', 'filter\n'),
  },
  { name: 'a firewall lets pods through', change: rules(...drop, letIn) },
  {
    name: 'a firewall drops, and the network is not routed',
    change: rules(...drop),
    netconf: { ...NETCONF, isDefaultGateway: false },
  },
  {
    name: 'a firewall drops IPv4, and pods have IPv6 only',
    change: rules(...drop),
    netconf: { ...NETCONF, ipam: { type: 'test-ipam', RANGES: [[{ Subnet: 'fd00:1::/64' }]] } },
  },
  {
    name: 'a firewall lets out by the uplink',
    change: async (scene) => {
      const { rtnl } = scene.kernel.host
      const peer = { name: 'x' }
      await rtnl.apply({ change: 'create link', link: { kind: 'veth', name: 'up0', up: true, peer } })
      await rtnl.apply({ change: 'set link', link: 'x', set: { up: true } })
      const dev = (await rtnl.getLink('up0')).index
      await rtnl.apply(
        { change: 'add address', address: { dev, prefix: Prefix.parse('192.0.2.2/24') } },
        {
          change: 'add route',
          route: { dst: Prefix.parse('0.0.0.0/0'), gateway: IpAddress.parse('192.0.2.1'), dev },
        },
      )
      const { oifname } = await import('../../lib/nftables/field.ts')
      await rules(...drop, {
        verb: 'add',
        rule: { chain: forward, body: [equals(oifname, '"up0"'), accept] },
      })(scene)
    },
  },
  {
    name: 'the rules of pods were flushed',
    pods: 1,
    change: flushRuleset,
    answer: [
      51,
      /^chain inet podwire postrouting: missing; .*subnet_10.1.0.0_24.*; chain bridge podwire prerouting: missing$/,
      'podwire repair',
    ],
  },
  {
    name: 'the rules were flushed, of a pod that may be in the making',
    pods: 1,
    change: async (scene) => {
      await flushRuleset(scene)
      scene.nowMs -= 50_000
    },
  },
  {
    name: 'forwarding was switched off',
    pods: 1,
    change: ({ kernel }) => kernel.host.sysctl.set({ key: 'ipv4/ip_forward', value: '0' }),
    answer: [51, NO_FORWARDING, 'podwire repair'],
  },
  {
    name: 'the bridge is down',
    pods: 1,
    change: link('br0', { up: false }),
    answer: [51, 'bridge br0 is down, and pods are on it', 'podwire repair'],
  },
  {
    name: 'the bridge is gone',
    pods: 1,
    change: ({ kernel }) => kernel.host.rtnl.apply({ change: 'delete link', link: 'br0' }),
    answer: [51, 'bridge br0 is gone, and pods were on it', 'podwire repair'],
  },
  {
    name: 'several things are wrong',
    pods: 2,
    change: ({ kernel }) => kernel.host.sysctl.set({ key: 'ipv4/ip_forward', value: '0' }),
    answer: [51, `${NO_FORWARDING}; no addresses left`, 'podwire repair; a larger range'],
  },
  {
    name: 'the config is wrong',
    netconf: { ...NETCONF, mtu: 'big' },
    answer: [7, 'mtu: expected an integer, got a string', ''],
  },
]

for (const { name, node, netconf, pods = 0, change, answer } of ROWS) {
  test(`STATUS ${answer === undefined ? 'is ready' : `answers ${answer[0]}`} when ${name}`, async (t) => {
    const scene = makeScene(node)
    for (let i = 1; i <= pods; i++) await attach(scene, NETCONF, { containerId: `pod-${i}` })
    scene.nowMs += 60_000
    await change?.(scene)
    const before = scene.dump()
    const asked = status(scene, netconf)
    if (answer === undefined) await asked
    else await t.rejects(asked, { code: answer[0], message: answer[1], details: answer[2] })
    t.equal(scene.dump(), before, 'nothing is changed')
  })
}
