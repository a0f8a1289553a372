import { test } from 'tap'
import type { Result } from '../../lib/cni/result.ts'
import { podwireTable } from '../../lib/nftables/masquerade-rules.ts'
import { killEach, makeScene, type Pod, refuseEach, type Scene } from '../../lib/testing/scene.ts'
import { plugin } from './plugin.ts'

const NETCONF = {
  cniVersion: '1.1.0',
  name: 'net',
  type: 'cni-ptp',
  ipMasq: true,
  ipam: { type: 'test-ipam' },
}

const add = ({ ports, request }: Scene, netconf: object = NETCONF, pod: Partial<Pod> = {}) =>
  plugin.add(ports, request('ADD', netconf, pod))
const del = ({ ports, request }: Scene, netconf: object = NETCONF, pod: Partial<Pod> = {}) =>
  plugin.del(ports, request('DEL', netconf, pod))
const check = ({ ports, request }: Scene, prevResult: Result) =>
  plugin.check(ports, request('CHECK', NETCONF, { prevResult }))

function start(): Scene {
  const scene = makeScene()
  scene.request('ADD', NETCONF)
  return scene
}

/** Lines of the namespace; the loopback, sysctls and nftables left out. */
const state = (scene: Scene, namespace: string) =>
  scene
    .dump()
    .split(/^namespace /m)
    .find((part) => part.startsWith(`${namespace}\n`))
    ?.split('\n')
    .filter((line) => /^(link|address|route)/.test(line) && !/ lo /.test(line))

test('ADD wires node and pod, CHECK sees it, DEL takes it away', async (t) => {
  const scene = start()
  const result = await add(scene)
  t.strictSame(state(scene, 'host'), [
    'address veth01020304 10.1.0.1/32',
    'address veth01020304 fd00:1::1/128',
    'link veth01020304 veth up mtu 1500 mac 06:06:07:08:09:0a peer eth0 in /run/netns/pod-1 alias "net pod-1 eth0"',
    'route 10.1.0.5/32 dev veth01020304 scope host',
    'route fd00:1::1/128 dev veth01020304 scope global metric 256 connected',
    'route fd00:1::5/128 dev veth01020304 scope global metric 1024',
  ])
  t.strictSame(state(scene, '/run/netns/pod-1'), [
    'address eth0 10.1.0.5/24',
    'address eth0 fd00:1::5/64',
    'link eth0 veth up mtu 1500 mac 0a:58:0a:01:00:05 peer veth01020304 in host',
    'route 10.1.0.0/24 via 10.1.0.1 dev eth0 src 10.1.0.5 scope global',
    'route 10.1.0.1/32 dev eth0 src 10.1.0.5 scope link',
    'route fd00:1::/64 via fd00:1::1 dev eth0 src fd00:1::5 scope global metric 1024',
    'route fd00:1::1/128 dev eth0 src fd00:1::5 scope global metric 1024',
  ])
  for (const text of [
    'sysctl ipv4/conf/all/forwarding 1',
    'sysctl ipv6/conf/veth01020304/accept_ra 0',
    'sysctl ipv6/conf/veth01020304/accept_dad 0',
    '10.1.0.5 comment "net pod-1 eth0"',
  ])
    t.match(scene.dump(), text)
  t.match(result, {
    interfaces: [
      { name: 'veth01020304', mac: '06:06:07:08:09:0a', mtu: 1500 },
      { name: 'eth0', mac: '0a:58:0a:01:00:05', mtu: 1500, sandbox: '/run/netns/pod-1' },
    ],
    ips: [
      { address: '10.1.0.5/24', gateway: '10.1.0.1', interface: 1 },
      { address: 'fd00:1::5/64', gateway: 'fd00:1::1', interface: 1 },
    ],
  })
  t.strictSame(scene.kernel.openHandles(), [], 'no namespace stays open')
  await check(scene, result)
  const beside = scene.dump()
  await add(scene, NETCONF, { containerId: 'pod-2' })
  await del(scene, NETCONF, { containerId: 'pod-2' })
  scene.kernel.removeNamespace('/run/netns/pod-2')
  t.equal(scene.dump(), beside, 'the one beside it stays')
  await del(scene)
  const after = scene.dump()
  t.notOk(/veth|elements|lease|attachment|eth0/.test(after), after)
  await del(scene)
  t.equal(scene.dump(), after, 'a second DEL is fine')
})

test('routes go by any next hop in the pod’s subnet, and CHECK sees them', async (t) => {
  const scene = start()
  scene.routes = [
    { dst: '0.0.0.0/0' },
    { dst: '10.9.0.0/16', gw: '10.1.0.9' },
    { dst: '10.10.0.0/16', gw: '10.1.0.5' },
    { dst: '::/0', gw: 'fd00:1::8' },
    { dst: '::/0', gw: 'fd00:1::9' },
  ]
  const result = await add(scene)
  t.strictSame(
    state(scene, '/run/netns/pod-1')?.filter((line) => /^route (default|10\.9|10\.10)/.test(line)),
    [
      'route 10.10.0.0/16 via 10.1.0.5 dev eth0 scope global',
      'route 10.9.0.0/16 via 10.1.0.9 dev eth0 onlink scope global',
      'route default via 10.1.0.1 dev eth0 scope global',
      'route default via fd00:1::8 dev eth0 onlink scope global metric 1024',
      'route default via fd00:1::9 dev eth0 onlink scope global metric 1024',
    ],
  )
  await check(scene, result)
})

test('ADD refuses a route by a next hop that is nowhere', async (t) => {
  const scene = start()
  scene.routes = [{ dst: '10.9.0.0/16', gw: '10.77.0.9' }]
  await t.rejects(add(scene), {
    message: /ENETUNREACH: Nexthop has invalid gateway$/,
  })
})

test('DEL needs neither namespace nor config', async (t) => {
  for (const [netconf, pod] of [
    [NETCONF, { netns: '' }],
    [{ ...NETCONF, ipMasq: false, ipam: { type: 'other' }, mtu: 'x' }, {}],
  ] as const) {
    const scene = start()
    await add(scene)
    await del(scene, netconf, pod)
    t.notMatch(scene.dump(), /veth|elements|lease|attachment/)
  }
})

test('DEL of what has no record goes by the config and the pod', async (t) => {
  const scene = start()
  await add(scene)
  scene.ports.attachments.delete({ plugin: 'cni-ptp', network: 'net', containerId: 'pod-1', ifname: 'eth0' })
  await del(scene)
  t.notMatch(scene.dump(), /veth|elements|lease/)
})

test('ADD leaves the node as it was whatever step fails', async (t) => {
  const steps = await refuseEach(
    async () => start(),
    (scene) => add(scene),
    (scene, before, refused) => {
      t.equal(scene.dump(), before, refused)
      t.strictSame(scene.kernel.openHandles(), [])
    },
  )
  t.ok(steps > 25, `${steps} steps`)
})

test('ADD leaves other pods alone whatever step fails', async (t) => {
  const withOther = async () => {
    const scene = start()
    await add(scene, NETCONF, { containerId: 'other' })
    return scene
  }
  await refuseEach(
    withOther,
    (scene) => add(scene),
    (scene, before, refused) => t.equal(scene.dump(), before, refused),
  )
})

test('ADD refuses an attachment that is there, and clears away what a killed ADD left', async (t) => {
  const scene = start()
  await add(scene)
  const before = scene.dump()
  await t.rejects(add(scene), { message: 'pod-1 is already attached to net by eth0' })
  t.equal(scene.dump(), before)
  await scene.kernel.host.rtnl.apply({ change: 'delete link', link: 'veth01020304' })
  await add(scene)
  t.equal(state(scene, 'host')?.filter((line) => line.startsWith('link')).length, 1)
})

test('ADD refuses an interface that is there already', async (t) => {
  const scene = start()
  await add(scene, NETCONF, { containerId: 'other', netns: '/run/netns/pod-1' })
  await t.rejects(add(scene), { message: /^container veth name \("eth0"\) peer provided .* already exists$/ })
})

test('ADD brings back what others had when the rules were flushed', async (t) => {
  const scene = start()
  await add(scene, NETCONF, { containerId: 'other' })
  await scene.kernel.host.nft.apply([{ verb: 'destroy', table: podwireTable }])
  await add(scene)
  t.match(scene.dump(), 'comment "net other eth0"')
})

const REFUSED: readonly [what: string, netconf: object, message: string][] = [
  ['no ipam', { ipam: undefined }, 'no plugin name provided'],
  ['itself as ipam', { ipam: { type: 'ptp' } }, 'ipam.type: "ptp" is no IPAM plugin'],
  ['a backend that nobody has', { ipMasqBackend: 'x' }, 'unknown ipmasq backend "x"'],
  ['a larger MTU than there is', { mtu: 65536 }, 'mtu: expected at most 65535, got 65536'],
]
for (const [what, netconf, message] of REFUSED)
  test(`ADD refuses ${what}`, async (t) => {
    await t.rejects(add(start(), { ...NETCONF, ...netconf }), { code: 7, message })
  })

test('dns of the config comes before the IPAM’s, an empty list included', async (t) => {
  const { dns } = await add(start(), { ...NETCONF, dns: { nameservers: [] } })
  t.match(dns, { nameservers: [] })
  t.equal((await add(start(), { ...NETCONF, dns: {} })).dns, undefined)
})

const DRIFTS: readonly [what: string, harm: (scene: Scene) => Promise<unknown>, found: RegExp][] = [
  [
    'the rules are flushed',
    ({ kernel }) => kernel.host.nft.apply([{ verb: 'destroy', table: podwireTable }]),
    /postrouting: missing/,
  ],
  [
    'the node’s end is down',
    ({ kernel }) => kernel.host.rtnl.apply({ change: 'set link', link: 'veth01020304', set: { up: false } }),
    /has up false, expected true; .*node has no route 10.1.0.5\/32 dev veth01020304/,
  ],
  [
    'forwarding is off',
    async ({ kernel }) => kernel.host.sysctl.set({ key: 'ipv4/ip_forward', value: '0' }),
    /forwarding is off \(net\/ipv4\/ip_forward\)/,
  ],
]
for (const [what, harm, found] of DRIFTS)
  test(`CHECK sees and repair mends that ${what}`, async (t) => {
    const scene = start()
    const result = await add(scene)
    await harm(scene)
    await t.rejects(check(scene, result), { code: 100, message: found })
    const repaired = await plugin.repair?.(scene.ports, scene.request('CHECK', NETCONF))
    t.strictSame(repaired?.left, [])
    await check(scene, result)
  })

test('GC takes away what is not valid, recorded or not', async (t) => {
  const scene = start()
  await add(scene)
  await add(scene, NETCONF, { containerId: 'pod-2' })
  scene.ports.attachments.delete({ plugin: 'cni-ptp', network: 'net', containerId: 'pod-2', ifname: 'eth0' })
  await plugin.gc?.(scene.ports, scene.request('GC', NETCONF))
  t.match(scene.dump(), /link veth01020304/)
  await plugin.gc?.(scene.ports, scene.request('GC', { ...NETCONF, 'cni.dev/valid-attachments': [] }))
  t.notMatch(scene.dump(), /veth|elements|attachment/)
})

test('STATUS says that pods suffer, and repair ends it', async (t) => {
  const scene = start()
  await add(scene)
  const status = () => plugin.status?.(scene.ports, scene.request('STATUS', NETCONF)) ?? Promise.resolve()
  await scene.kernel.host.nft.apply([{ verb: 'destroy', table: podwireTable }])
  scene.kernel.host.sysctl.set({ key: 'ipv4/ip_forward', value: '0' })
  await status() // it may be in the making
  scene.nowMs += 60_000
  await t.rejects(status(), {
    code: 51,
    message: /postrouting: missing.*forwarding is off/,
    details: 'podwire repair',
  })
  await plugin.repair?.(scene.ports, scene.request('CHECK', NETCONF))
  await status()
})

test('STATUS says what stands in the way of the next ADD', async (t) => {
  const status = (scene: Scene) =>
    plugin.status?.(scene.ports, scene.request('STATUS', NETCONF)) ?? Promise.resolve()
  await status(start())
  await t.rejects(status(makeScene({ nftables: 'none' })), { code: 50, message: /nftables cannot be used/ })
  const full = start()
  await add(full)
  await add(full, NETCONF, { containerId: 'pod-2' })
  await t.rejects(status(full), { code: 50, message: 'no addresses left' })
})

test('DEL takes back what an ADD left that was killed at any moment', async (t) => {
  const moments = await killEach(
    async () => start(),
    (scene) => add(scene),
    async (scene, _, last) => {
      await del(scene, {}, { netns: '' })
      t.notMatch(scene.dump(), /veth|elements|lease|attachment/, last)
      t.strictSame(scene.kernel.openHandles(), [])
    },
  )
  t.ok(moments > 5, `${moments} moments`)
})
