// VLANs on a node in memory: the fields, and what the verbs make of them.

import { type Test, test } from 'tap'
import type { Result } from '../../lib/cni/result.ts'
import { decode } from '../../lib/cni/schema.ts'
import type { Change } from '../../lib/rtnl/rtnl.ts'
import { makeScene, type Scene } from '../../lib/testing/scene.ts'
import { attach, NETCONF } from './node.fixture.ts'
import { plugin } from './plugin.ts'
import { collectTrunk, parseVlans, vlanTrunkSchema } from './vlan-fields.ts'

const VLAN = { ...NETCONF, vlan: 100 }
const L2 = { cniVersion: '1.1.0', name: 'net', type: 'cni-bridge', bridge: 'br0' }

const trunkOf = (value: unknown) =>
  collectTrunk(decode(vlanTrunkSchema, value, 'vlanTrunk') ?? [])
    .map(({ vid, vidEnd }) => (vid === vidEnd ? `${vid}` : `${vid}-${vidEnd}`))
    .join(' ')

const TRUNKS: readonly [name: string, vlanTrunk: unknown, trunk: string][] = [
  ['it is absent', undefined, ''],
  ['it is empty', [], ''],
  ['an item is empty', [{}], ''],
  ['it is a range', [{ minID: 100, maxID: 105 }], '100-105'],
  ['it is an id', [{ id: 10 }], '10'],
  ['it is an id and a range', [{ id: 10 }, { minID: 100, maxID: 105 }], '10 100-105'],
  ['one item is both', [{ id: 10, minID: 100, maxID: 105 }], '10 100-105'],
  [
    'its items overlap, touch and are in no order',
    [{ minID: 5, maxID: 9 }, { id: 7 }, { id: 10 }, { id: 3 }],
    '3 5-10',
  ],
  ['it is everything', [{ minID: 1, maxID: 4094 }], '1-4094'],
]

for (const [name, vlanTrunk, trunk] of TRUNKS) {
  test(`vlanTrunk is read when ${name}`, async (t) => t.equal(trunkOf(vlanTrunk), trunk))
}

const WRONG_TRUNKS: readonly [item: object, message: string][] = [
  [{ minID: 100 }, 'minID and maxID should be configured simultaneously, maxID is missing'],
  [{ maxID: 105 }, 'minID and maxID should be configured simultaneously, minID is missing'],
  [{ minID: -1, maxID: 105 }, 'incorrect trunk minID parameter'],
  [{ minID: 0, maxID: 105 }, 'incorrect trunk minID parameter'],
  [{ minID: 5000, maxID: 105 }, 'incorrect trunk minID parameter'],
  [{ minID: 100, maxID: 5000 }, 'incorrect trunk maxID parameter'],
  [{ minID: 100, maxID: -1 }, 'incorrect trunk maxID parameter'],
  [{ id: 5000 }, 'incorrect trunk id parameter'],
  [{ id: -1 }, 'incorrect trunk id parameter'],
  [{ minID: 105, maxID: 100 }, 'minID is greater than maxID in trunk parameter'],
  [{ id: 'x' }, 'vlanTrunk[0].id: expected an integer, got a string'],
]

test('vlanTrunk is refused in upstream’s words when an item is wrong', async (t) => {
  for (const [item, message] of WRONG_TRUNKS) {
    t.throws(() => trunkOf([item]), { code: 7, message }, JSON.stringify(item))
  }
})

test('vlan is refused when it is out of range or its gateway cannot be named', async (t) => {
  const given = { bridge: 'br0', isGateway: true, vlanTrunk: undefined, preserveDefaultVlan: false }
  for (const vlan of [-1, 4095]) {
    const message = `invalid VLAN ID ${vlan} (must be between 0 and 4094)`
    t.throws(() => parseVlans({ ...given, vlan }), { code: 7, message })
  }
  const long = { ...given, bridge: 'twelve-chars', vlan: 100 }
  t.throws(() => parseVlans(long), { code: 7, message: /cannot be named "twelve-chars.100": more than 15/ })
  t.match(parseVlans({ ...long, isGateway: false }), { vlan: 100 })
  t.match(parseVlans({ ...long, vlan: 99 }), { vlan: 99 })
  t.equal(parseVlans({ ...given, vlan: 0 }), undefined)
})

const PORTS: readonly [name: string, netconf: object, port: string][] = [
  ['there is a vlan', { vlan: 100 }, 'vlan 100 pvid untagged'],
  [
    'the default one is preserved',
    { vlan: 100, preserveDefaultVlan: true },
    'vlan 1 untagged vlan 100 pvid untagged',
  ],
  [
    'there is a trunk',
    { vlanTrunk: [{ id: 101 }, { minID: 200, maxID: 202 }] },
    'vlan 1 pvid untagged vlan 101 vlan 200 vlan 201 vlan 202',
  ],
  ['there are both', { vlan: 100, vlanTrunk: [{ id: 101 }] }, 'vlan 100 pvid untagged vlan 101'],
  [
    'the trunk has the vlan, too',
    { vlan: 100, vlanTrunk: [{ minID: 100, maxID: 101 }] },
    'vlan 100 pvid untagged vlan 101',
  ],
  ['the trunk is empty', { vlanTrunk: [] }, 'vlan 1 pvid untagged'],
  ['the vlan is the default one', { vlan: 1 }, 'vlan 1 pvid untagged'],
]

for (const [name, fields, port] of PORTS) {
  test(`ADD puts the port into its VLANs, and CHECK agrees, when ${name}`, async (t) => {
    const scene = makeScene()
    const netconf = { ...L2, ...fields }
    const result = await attach(scene, netconf)
    t.match(scene.dump(), ` vlan_filtering\n`)
    t.ok(scene.dump().includes(` master br0 ${port} peer eth0 in`), scene.dump())
    await plugin.check(scene.ports, scene.request('CHECK', netconf, { prevResult: result }))
    await plugin.del(scene.ports, scene.request('DEL', netconf))
    t.notMatch(scene.dump(), 'peer')
  })
}

const gatewayLines = (scene: Scene) =>
  scene
    .dump()
    .split('\n')
    .filter((line) => / (?:br0|br0\.100) /.test(line) && /^(?:link|address)/.test(line))
    .map((line) => line.replaceAll(/ mac \S+/g, '').replaceAll(/veth[0-9a-f]{8}/g, 'vethX'))

test('a gateway with a vlan has an interface of its own, which stays', async (t) => {
  const scene = makeScene()
  const first = await attach(scene, VLAN)
  t.match(first.interfaces?.[3], { name: 'br0.100', mtu: 1500, mac: /./ })
  t.strictSame(
    first.ips?.map((ip) => ip.interface),
    [2, 2],
  )
  const lines = [
    'address br0.100 10.1.0.1/24',
    'address br0.100 fd00:1::1/64',
    'link br0 bridge up mtu 1500 vlan_filtering',
    'link br0.100 veth up mtu 1500 peer vethX',
    'link vethX veth up mtu 1500 master br0 vlan 100 pvid untagged peer br0.100',
  ]
  t.strictSame(
    gatewayLines(scene).filter((line) => !line.includes('eth0 in')),
    lines,
  )
  const second = await attach(scene, VLAN, { containerId: 'pod-2' })
  t.strictSame(second.interfaces?.[3], first.interfaces?.[3])
  for (const containerId of ['pod-1', 'pod-2']) {
    await plugin.del(scene.ports, scene.request('DEL', VLAN, { containerId }))
  }
  t.strictSame(gatewayLines(scene), lines)
})

test('a gateway whose bridge was made again is plugged in again', async (t) => {
  const scene = makeScene()
  await attach(scene, VLAN)
  await plugin.del(scene.ports, scene.request('DEL', VLAN))
  const whole = gatewayLines(scene)
  await scene.kernel.host.rtnl.apply({ change: 'delete link', link: 'br0' })
  await attach(scene, VLAN)
  await plugin.del(scene.ports, scene.request('DEL', VLAN))
  t.strictSame(gatewayLines(scene), whole)
})

test('ADD refuses a link that has the name of the gateway, and leaves nothing', async (t) => {
  const scene = makeScene()
  const link = {
    kind: 'veth',
    name: 'br0.100',
    peer: { name: 'x', netnsFd: scene.kernel.addNamespace('/n').fd },
  }
  await scene.kernel.host.rtnl.apply({ change: 'create link', link } as Change)
  const request = scene.request('ADD', VLAN)
  const before = scene.dump()
  await t.rejects(plugin.add(scene.ports, request), {
    message: '"br0.100" already exists but is not plugged into "br0"',
  })
  t.equal(scene.dump(), before)
})

/** ADD again and again, refusing the first, second, … thing that it asks for. */
async function refuseEach(t: Test, make: () => Promise<Scene>): Promise<number> {
  for (let n = 1; ; n++) {
    const scene = await make()
    const request = scene.request('ADD', VLAN)
    const before = scene.dump()
    let count = 0
    let refused = ''
    scene.refuse = (operation) => {
      count += 1
      if (count === n) refused = operation
      return count === n ? 'EPERM' : undefined
    }
    const failed = await plugin.add(scene.ports, request).then(
      () => false,
      () => true,
    )
    if (refused === '') return n - 1
    if (failed) t.equal(scene.dump(), before, refused)
  }
}

test('ADD with a vlan leaves a node as it was whatever step fails', async (t) => {
  t.ok((await refuseEach(t, async () => makeScene())) > 40)
  await refuseEach(t, async () => {
    const scene = makeScene()
    await attach(scene, VLAN, { containerId: 'other' })
    return scene
  })
  await refuseEach(t, async () => {
    const scene = makeScene()
    await attach(scene, { ...L2, vlan: 200 }, { containerId: 'other' })
    // As for any other pod: once on, it stays on while there is one.
    for (const key of ['ipv4/ip_forward', 'ipv6/conf/all/forwarding']) {
      scene.kernel.host.sysctl.set({ key, value: '1' })
    }
    return scene
  })
})

const NO_FEATURE = 'bridge "br0" cannot filter VLANs: the kernel lacks CONFIG_BRIDGE_VLAN_FILTERING'

test('ADD says so, and leaves nothing, when the kernel has no VLANs', async (t) => {
  for (const hasBridge of [false, true]) {
    const scene = makeScene({ bridgeVlanFiltering: false })
    if (hasBridge) {
      await scene.kernel.host.rtnl.apply({ change: 'create link', link: { kind: 'bridge', name: 'br0' } })
    }
    const request = scene.request('ADD', VLAN)
    const before = scene.dump()
    await t.rejects(plugin.add(scene.ports, request), { message: NO_FEATURE })
    t.equal(scene.dump(), before)
  }
})

test('ADD and STATUS refuse a bridge that does not filter', async (t) => {
  const scene = makeScene()
  await scene.kernel.host.rtnl.apply({ change: 'create link', link: { kind: 'bridge', name: 'br0' } })
  const expected = { message: 'bridge "br0" does not filter VLANs' }
  const request = scene.request('ADD', VLAN)
  const before = scene.dump()
  await t.rejects(plugin.add(scene.ports, request), expected)
  t.equal(scene.dump(), before)
  await t.rejects(plugin.status?.(scene.ports, scene.request('STATUS', VLAN)) ?? Promise.resolve(), {
    ...expected,
    code: 50,
    details: /ip link set br0 type bridge vlan_filtering 1$/,
  })
})

test('STATUS tells of a kernel without VLANs by any bridge of the node', async (t) => {
  const scene = makeScene({ bridgeVlanFiltering: false })
  const status = async (netconf: object) => plugin.status?.(scene.ports, scene.request('STATUS', netconf))
  await status(VLAN)
  await scene.kernel.host.rtnl.apply({ change: 'create link', link: { kind: 'bridge', name: 'docker0' } })
  await t.rejects(status(VLAN), { code: 50, message: NO_FEATURE })
  await status(NETCONF)
})

const index = async (scene: Scene, name: string) => (await scene.kernel.host.rtnl.getLink(name)).index
const PORT = 'veth01020304'

const DRIFTS: readonly [name: string, change: (scene: Scene) => Promise<Change>, found: RegExp][] = [
  [
    'the port is in another VLAN, too',
    async (scene) => ({ change: 'add bridge vlan', link: await index(scene, PORT), vlan: { vid: 7 } }),
    /host interface veth01020304 has vlan 7, 100 pvid untagged, expected 100 pvid untagged$/,
  ],
  [
    'the port has left its VLAN',
    async (scene) => ({ change: 'delete bridge vlan', link: await index(scene, PORT), vlan: { vid: 100 } }),
    /host interface veth01020304 has vlan none, expected 100 pvid untagged$/,
  ],
  [
    'the gateway is gone',
    async () => ({ change: 'delete link', link: 'br0.100' }),
    /gateway interface br0.100 is gone$/,
  ],
  [
    'the gateway is down',
    async () => ({ change: 'set link', link: 'br0.100', set: { up: false } }),
    /gateway interface br0.100 is down; gateway interface br0.100 has no address fd00:1::1\/64$/,
  ],
]

async function makePod(): Promise<{ scene: Scene; result: Result }> {
  const scene = makeScene()
  return { scene, result: await attach(scene, VLAN) }
}

for (const [name, change, message] of DRIFTS) {
  test(`CHECK finds it when ${name}`, async (t) => {
    const { scene, result } = await makePod()
    const check = () => plugin.check(scene.ports, scene.request('CHECK', VLAN, { prevResult: result }))
    await check()
    await scene.kernel.host.rtnl.apply(await change(scene))
    await t.rejects(check(), { code: 100, message })
  })
}

test('repair makes the gateway of a VLAN again, and plugs the port into no other', async (t) => {
  const { scene, result } = await makePod()
  const { rtnl } = scene.kernel.host
  await rtnl.apply(
    { change: 'delete link', link: 'br0.100' },
    { change: 'set link', link: PORT, set: { master: 0 } },
  )
  const repaired = await plugin.repair?.(scene.ports, scene.request('CHECK', VLAN))
  t.strictSame(repaired?.left, [])
  t.strictSame(await rtnl.listBridgeVlans(await index(scene, PORT)), [
    { vid: 100, pvid: true, untagged: true },
  ])
  const { interfaces = [] } = result
  const renamed = await rtnl.getLink('br0.100')
  const prevResult = {
    ...result,
    interfaces: [...interfaces.slice(0, 3), { name: 'br0.100', mac: renamed.mac ?? '' }],
  }
  await plugin.check(scene.ports, scene.request('CHECK', VLAN, { prevResult }))
})
