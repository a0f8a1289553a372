// CHECK: whatever drifts is found and named, one thing at a time; and what `repair` then makes of it.

import { type Test, test } from 'tap'
import type { Result } from '../../lib/cni/result.ts'
import type { Namespace } from '../../lib/host/kernel.ts'
import { IpAddress } from '../../lib/ip/address.ts'
import type { MacAddress } from '../../lib/ip/mac.ts'
import { Prefix } from '../../lib/ip/prefix.ts'
import { podwireTable } from '../../lib/nftables/masquerade-rules.ts'
import type { NftOperation } from '../../lib/nftables/operation.ts'
import { spoofTable } from '../../lib/nftables/spoof-table.ts'
import type { LinkSettings } from '../../lib/rtnl/link.ts'
import type { Change } from '../../lib/rtnl/rtnl.ts'
import { makeScene, type Scene } from '../../lib/testing/scene.ts'
import { attach, NETCONF } from './node.fixture.ts'
import { plugin } from './plugin.ts'

const VETH = 'veth01020304'
const CONFIG = { ...NETCONF, hairpinMode: true, portIsolation: true }

const check = (scene: Scene, prevResult: Result) =>
  plugin.check(scene.ports, scene.request('CHECK', CONFIG, { prevResult }))

interface Place {
  readonly host: Namespace
  readonly pod: Namespace
  readonly scene: Scene
}
type Drift = (place: Place) => unknown

const set =
  (where: 'host' | 'pod', name: string, settings: LinkSettings): Drift =>
  async ({ [where]: { rtnl } }) =>
    rtnl.apply({ change: 'set link', link: (await rtnl.getLink(name)).index, set: settings })
const apply =
  (where: 'host' | 'pod', ...changes: readonly Change[]): Drift =>
  ({ [where]: { rtnl } }) =>
    rtnl.apply(...changes)
const deleteAddress =
  (where: 'host' | 'pod', name: string, prefix: string): Drift =>
  async ({ [where]: { rtnl } }) => {
    const dev = (await rtnl.getLink(name)).index
    await rtnl.apply({ change: 'delete address', address: { dev, prefix: Prefix.parse(prefix) } })
  }
const write =
  (where: 'host' | 'pod', key: string, value: string): Drift =>
  ({ [where]: { sysctl } }) =>
    sysctl.set({ key, value })
const nft =
  (...operations: readonly NftOperation[]): Drift =>
  ({ host }) =>
    host.nft.apply(operations)
const masquerade4 = {
  table: podwireTable,
  name: 'masquerade_ipv4',
  type: ['ipv4_addr'],
  value: 'verdict',
} as const
const portMacs = { table: spoofTable, name: 'port_macs', type: ['ifname', 'ether_addr'] } as const
const MAC = '02:00:00:00:00:77' as MacAddress
const defaultRoute = (dst: string): Change => ({ change: 'delete route', route: { dst: Prefix.parse(dst) } })

interface Row {
  readonly name: string
  readonly drift: Drift
  readonly found: string | RegExp
  /** `repair` leaves it: it is the pod's own, or would disturb it. */
  readonly stays?: true
}

const ROWS: readonly Row[] = [
  {
    name: 'the bridge is gone',
    drift: apply('host', { change: 'delete link', link: 'br0' }),
    found: /^bridge br0 is gone; host interface veth01020304 has hairpin none/,
    stays: true,
  },
  {
    name: 'the bridge is another link',
    drift: apply(
      'host',
      { change: 'delete link', link: 'br0' },
      { change: 'create link', link: { kind: 'veth', name: 'br0', peer: { name: 'x' } } },
    ),
    found: /^bridge br0 is a veth link/,
    stays: true,
  },
  {
    name: 'the bridge is down',
    drift: set('host', 'br0', { up: false }),
    found: /^bridge br0 has up false, expected true/,
  },
  {
    name: 'the bridge is promiscuous',
    drift: set('host', 'br0', { promisc: true }),
    found: 'bridge br0 has promisc true, expected false',
    stays: true, // it may be so for another network
  },
  {
    name: 'the bridge has another MAC',
    drift: set('host', 'br0', { mac: MAC }),
    found: /^bridge br0 has mac 02:00:00:00:00:77, expected /,
    stays: true,
  },
  {
    name: 'the wire is gone',
    drift: apply('host', { change: 'delete link', link: VETH }),
    found: 'host interface veth01020304 is gone; pod interface eth0 is gone',
    stays: true,
  },
  {
    name: 'the port has another MAC',
    drift: set('host', VETH, { mac: MAC }),
    found: /^host interface veth01020304 has mac /,
    stays: true,
  },
  {
    name: 'the port has another MTU',
    drift: set('host', VETH, { mtu: 1400 }),
    found: 'host interface veth01020304 has mtu 1400, expected 1500',
  },
  {
    name: 'the port is down',
    drift: set('host', VETH, { up: false }),
    found: 'host interface veth01020304 has up false, expected true',
  },
  {
    name: 'the port was unplugged',
    drift: set('host', VETH, { master: 0 }),
    found: /^host interface veth01020304 has master none, expected \d+; .* hairpin none, .* isolated none/,
  },
  {
    name: 'the port is no hairpin',
    drift: set('host', VETH, { hairpin: false }),
    found: 'host interface veth01020304 has hairpin false, expected true',
  },
  {
    name: 'the port is not isolated',
    drift: set('host', VETH, { isolated: false }),
    found: 'host interface veth01020304 has isolated false, expected true',
  },
  {
    name: 'the port takes routers’ advertisements',
    drift: write('host', `ipv6/conf/${VETH}/accept_ra`, '1'),
    found: 'node has sysctl net/ipv6/conf/veth01020304/accept_ra 1, expected 0',
  },
  {
    name: 'the gateway’s IPv4 address is gone',
    drift: deleteAddress('host', 'br0', '10.1.0.1/24'),
    found: 'bridge br0 has no address 10.1.0.1/24',
  },
  {
    name: 'the gateway’s IPv6 address is gone',
    drift: deleteAddress('host', 'br0', 'fd00:1::1/64'),
    found: 'bridge br0 has no address fd00:1::1/64',
  },
  {
    name: 'IPv4 is not forwarded',
    drift: write('host', 'ipv4/ip_forward', '0'),
    found: 'forwarding is off (net/ipv4/ip_forward)',
  },
  {
    name: 'IPv6 is not forwarded',
    drift: write('host', 'ipv6/conf/all/forwarding', '0'),
    found: 'forwarding is off (net/ipv6/conf/all/forwarding)',
  },
  {
    name: 'the masquerade table is gone',
    drift: nft({ verb: 'delete', table: podwireTable }),
    found:
      /^chain inet podwire postrouting: missing; .*masquerade_ipv4 { 10.1.0.5 }: missing; .*_ipv6 { fd00:1::5 }: missing$/,
  },
  {
    name: 'the masquerade rules are gone',
    drift: nft({ verb: 'flush', table: podwireTable }),
    found: /^chain inet podwire postrouting: no rule .*; chain inet podwire subnet_fd00-1--_64: no rule .*$/,
  },
  {
    name: 'a masquerade element is gone',
    drift: nft({ verb: 'delete', elementsOf: masquerade4, elements: [{ key: ['10.1.0.5'] }] }),
    found: 'element inet podwire masquerade_ipv4 { 10.1.0.5 }: missing',
  },
  {
    name: 'the table of guards is gone',
    drift: nft({ verb: 'delete', table: spoofTable }),
    found: /^chain bridge podwire prerouting: missing; .*checked_ports.*: missing; .*port_macs.*: missing$/,
  },
  {
    name: 'the rule of guards is gone',
    drift: nft({ verb: 'flush', table: spoofTable }),
    found: /^chain bridge podwire prerouting: no rule /,
  },
  {
    name: 'the guard’s MAC is gone',
    drift: nft({
      verb: 'delete',
      elementsOf: portMacs,
      elements: [{ key: [`"${VETH}"`, '0a:58:0a:01:00:05'] }],
    }),
    found: 'element bridge podwire port_macs { "veth01020304" . 0a:58:0a:01:00:05 }: missing',
  },
  {
    name: 'the lease is gone',
    drift: ({ scene }) => scene.leases.clear(),
    found: 'no lease',
    stays: true,
  },
  ...(
    [
      [
        'the pod’s interface has another MAC',
        set('pod', 'eth0', { mac: MAC }),
        /^pod interface eth0 has mac 02/,
      ],
      [
        'the pod’s interface has another MTU',
        set('pod', 'eth0', { mtu: 1400 }),
        'pod interface eth0 has mtu 1400, expected 1500',
      ],
      [
        'the pod’s interface is down',
        set('pod', 'eth0', { up: false }),
        /^pod interface eth0 has up false, expected true; pod has no route default via 10.1.0.1; /,
      ],
      [
        'the pod’s interface is another',
        async ({ pod, host }: Place) => {
          await apply('host', { change: 'delete link', link: VETH })({ pod, host } as Place)
          const peer = { name: 'eth0', netnsFd: pod.fd }
          await apply('host', { change: 'create link', link: { kind: 'veth', name: 'other', peer } })({
            pod,
            host,
          } as Place)
        },
        /^host interface veth01020304 is gone; pod interface eth0 has mac .* has peer \d+, expected none/,
      ],
      [
        'the pod’s interface has another name',
        async ({ pod }: Place) => set('pod', 'eth0', { name: 'eth9' })({ pod } as Place),
        'pod interface eth0 is gone',
      ],
      ['the pod’s loopback is down', set('pod', 'lo', { up: false }), 'pod interface lo is down'],
      [
        'the pod’s IPv4 address is gone',
        deleteAddress('pod', 'eth0', '10.1.0.5/24'),
        /^pod interface eth0 has no address 10.1.0.5\/24/,
      ],
      [
        'the pod’s IPv6 address is gone',
        deleteAddress('pod', 'eth0', 'fd00:1::5/64'),
        /^pod interface eth0 has no address fd00:1::5\/64/,
      ],
      [
        'the pod’s IPv4 default route is gone',
        apply('pod', defaultRoute('0.0.0.0/0')),
        'pod has no route default via 10.1.0.1',
      ],
      [
        'the pod’s IPv6 default route is gone',
        apply('pod', defaultRoute('::/0')),
        'pod has no route default via fd00:1::1',
      ],
      [
        'the pod’s default route goes elsewhere',
        apply('pod', defaultRoute('0.0.0.0/0'), {
          change: 'add route',
          route: { dst: Prefix.parse('0.0.0.0/0'), gateway: IpAddress.parse('10.1.0.99') },
        }),
        'pod has no route default via 10.1.0.1',
      ],
      [
        'the pod checks for duplicates',
        write('pod', 'ipv6/conf/eth0/accept_dad', '1'),
        /sysctl net\/ipv6\/conf\/eth0\/accept_dad 1, expected 0$/,
      ],
      [
        'the pod drops its addresses when it is down',
        write('pod', 'ipv6/conf/eth0/keep_addr_on_down', '0'),
        /keep_addr_on_down 0, expected 1$/,
      ],
      [
        'the pod does not announce itself',
        write('pod', 'ipv4/conf/eth0/arp_notify', '0'),
        /arp_notify 0, expected 1$/,
      ],
      [
        'the pod’s IPv6 is off',
        write('pod', 'ipv6/conf/eth0/disable_ipv6', '1'),
        /has no address fd00:1::5\/64; .*disable_ipv6 1, expected 0$/,
      ],
    ] as const
  ).map(([name, drift, found]): Row => ({ name, drift, found, stays: true })),
]

async function makePod(t: Test): Promise<{ scene: Scene; result: Result; place: Place }> {
  const scene = makeScene()
  const result = await attach(scene, CONFIG)
  const pod = scene.kernel.openNamespace('/run/netns/pod-1')
  t.teardown(() => pod.close())
  return { scene, result, place: { scene, pod, host: scene.kernel.host } }
}

for (const { name, drift, found, stays } of ROWS) {
  test(`CHECK finds it, and repair ${stays ? 'leaves' : 'mends'} it, when ${name}`, async (t) => {
    const { scene, result, place } = await makePod(t)
    await check(scene, result)
    const whole = scene.dump()
    await drift(place)
    const drifted = scene.dump()
    const message =
      typeof found === 'string' && !stays ? `attachment is not as ADD made it: ${found}` : undefined
    const pattern =
      found instanceof RegExp
        ? new RegExp(found.source.replace('^', '^attachment is not as ADD made it: '))
        : undefined
    await t.rejects(check(scene, result), {
      message: message ?? pattern ?? new RegExp(`${quoteMeta(String(found))}$`),
    })
    t.equal(scene.dump(), drifted, 'CHECK changes nothing')

    const repaired = await plugin.repair?.(scene.ports, scene.request('CHECK', CONFIG))
    if (stays) return t.equal(scene.dump(), drifted, 'repair changes nothing')
    t.strictSame(repaired?.left, [])
    t.ok((repaired?.mended.length ?? 0) > 0)
    t.equal(scene.dump(), whole)
    await check(scene, result)
  })
}

function quoteMeta(text: string): string {
  return text.replaceAll(/[.()/[\]{}]/g, '\\$&')
}

const PREV_RESULTS: readonly [name: string, change: (result: Result) => Result, found: RegExp | string][] = [
  [
    'has no interface of the pod',
    (r) => ({ ...r, interfaces: (r.interfaces ?? []).slice(0, 2) }),
    /has no interface eth0 in a sandbox/,
  ],
  [
    'has another namespace',
    (r) => ({
      ...r,
      interfaces: (r.interfaces ?? []).map((one) => (one.sandbox ? { ...one, sandbox: '/x' } : one)),
    }),
    /has eth0 in \/x, CNI_NETNS is \/run\/netns\/pod-1/,
  ],
  ['has no bridge', (r) => ({ ...r, interfaces: (r.interfaces ?? []).slice(1) }), /has no interface br0/],
  [
    'has no port',
    (r) => ({ ...r, interfaces: (r.interfaces ?? []).filter((_, i) => i !== 1) }),
    /has no interface veth01020304/,
  ],
  [
    'has other addresses',
    (r) => ({ ...r, ips: [{ address: '10.1.0.9/24' }] }),
    /has no address 10.1.0.5\/24; prevResult has no address fd00:1::5\/64/,
  ],
]

for (const [name, change, found] of PREV_RESULTS) {
  test(`CHECK finds it when prevResult ${name}`, async (t) => {
    const { scene, result } = await makePod(t)
    await t.rejects(check(scene, change(result)), { code: 100, message: found })
  })
}

test('CHECK of what was never added says so', async (t) => {
  const scene = makeScene()
  await t.rejects(check(scene, { interfaces: [] }), {
    code: 100,
    message: 'attachment is neither recorded nor in prevResult',
  })
  await t.rejects(plugin.check(scene.ports, scene.request('CHECK', CONFIG)), {
    code: 7,
    message: 'Required prevResult missing',
  })
})

test('repair goes on after a failure, and says what it left', async (t) => {
  const { scene, place } = await makePod(t)
  await set('host', VETH, { hairpin: false })(place)
  await write('host', 'ipv4/ip_forward', '0')(place)
  scene.refuse = (operation) => (operation.includes('hairpin on') ? 'EPERM' : undefined)
  const repaired = await plugin.repair?.(scene.ports, scene.request('CHECK', CONFIG))
  t.strictSame(repaired?.mended, ['forwarding is off (net/ipv4/ip_forward)'])
  t.match(repaired?.left, [
    /^host interface veth01020304 has hairpin false, expected true \(ip link set .*EPERM/,
  ])
})

test('repair does not take an address of somebody’s from the bridge', async (t) => {
  const { scene, place } = await makePod(t)
  await deleteAddress('host', 'br0', '10.1.0.1/24')(place)
  const dev = (await place.host.rtnl.getLink('br0')).index
  await place.host.rtnl.apply({
    change: 'add address',
    address: { dev, prefix: Prefix.parse('10.1.0.2/24') },
  })
  const before = scene.dump()
  const repaired = await plugin.repair?.(scene.ports, scene.request('CHECK', CONFIG))
  t.match(repaired?.left, [
    /^bridge br0 has no address 10.1.0.1\/24 \(.*already has an IP address different from/,
  ])
  t.equal(scene.dump(), before)
})

test('repair of what has no record does nothing', async (t) => {
  const scene = makeScene()
  const request = scene.request('CHECK', CONFIG)
  t.strictSame(await plugin.repair?.(scene.ports, request), { mended: [], left: [] })
})
