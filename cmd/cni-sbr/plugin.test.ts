import { test } from 'tap'
import type { Result } from '../../lib/cni/result.ts'
import { IpAddress } from '../../lib/ip/address.ts'
import { Prefix } from '../../lib/ip/prefix.ts'
import { killEach, makeScene, type Pod, refuseEach, type Scene } from '../../lib/testing/scene.ts'
import { podChanges } from '../../lib/veth/pod-link.ts'
import { plugin } from './plugin.ts'

const NETNS = '/run/netns/pod-1'
const NETCONF = { name: 'net' }
const RESULT: Result = {
  interfaces: [{ name: 'host0' }, { name: 'eth0', sandbox: NETNS }],
  ips: [
    { address: '10.1.0.5/24', gateway: '10.1.0.1', interface: 1 },
    { address: 'fd00:1::5/64', gateway: 'fd00:1::1', interface: 1 },
  ],
}

/** A pod with eth0 as a plugin before this one leaves it. */
async function start(): Promise<Scene> {
  const scene = makeScene()
  const { netns } = scene.request('ADD', {})
  const pod = scene.kernel.openNamespace(netns)
  const peer = { name: 'eth0', netnsFd: pod.fd }
  await scene.kernel.host.rtnl.apply({
    change: 'create link',
    link: { kind: 'veth', name: 'host0', up: true, peer },
  })
  const { index } = await pod.rtnl.getLink('eth0')
  const addresses = ['10.1.0.5/24', 'fd00:1::5/64'].map(Prefix.parse)
  const routes = ['10.1.0.1', 'fd00:1::1'].map((text) => {
    const gateway = IpAddress.parse(text)
    return { dst: Prefix.parse(gateway.family === 4 ? '0.0.0.0/0' : '::/0'), gateway }
  })
  await pod.rtnl.apply(...podChanges(index, { addresses, routes, enableDad: false }))
  pod.close()
  return scene
}

const add = ({ ports, request }: Scene, fields: object = {}, pod: Partial<Pod> = { prevResult: RESULT }) =>
  plugin.add(ports, request('ADD', { ...NETCONF, ...fields }, pod))
const del = ({ ports, request }: Scene, pod: Partial<Pod> = {}) =>
  plugin.del(ports, request('DEL', { table: 'x' }, pod))
const check = ({ ports, request }: Scene) =>
  plugin.check(ports, request('CHECK', NETCONF, { prevResult: RESULT }))
const routing = (scene: Scene) =>
  scene
    .dump()
    .split('\n')
    .filter((line) => /^(?:route|rule) /.test(line))

const IN_TABLE = [
  'route 10.1.0.0/24 dev eth0 src 10.1.0.5 table 100 scope link connected',
  'route default via 10.1.0.1 dev eth0 table 100 scope global',
  'route default via fd00:1::1 dev eth0 table 101 scope global metric 1024',
  'route fd00:1::/64 dev eth0 table 101 scope global metric 256 connected',
  'rule from 10.1.0.5/32 lookup 100 pref 32765',
  'rule from fd00:1::5/128 lookup 101 pref 32765',
]

test('ADD moves the interface’s routes to a table of their own, and DEL back', async (t) => {
  const scene = await start()
  const fresh = scene.dump()
  t.equal(await add(scene), RESULT)
  t.strictSame(routing(scene), IN_TABLE)
  await check(scene)
  t.strictSame(scene.kernel.openHandles(), [])
  await del(scene)
  t.equal(scene.dump(), fresh)
  await del(scene)
  t.equal(scene.dump(), fresh, 'a second time')
  t.strictSame(scene.kernel.openHandles(), [])
})

test('DEL needs no namespace, and does not mind an interface that is gone', async (t) => {
  const scene = await start()
  const fresh = scene.dump()
  await add(scene)
  await del(scene, { netns: '' })
  t.equal(scene.dump(), fresh)
  await add(scene)
  await scene.kernel.host.rtnl.apply({ change: 'delete link', link: 'host0' })
  t.match(scene.dump(), 'rule from')
  await del(scene)
  t.notMatch(scene.dump(), /rule|attachment/)
})

test('ADD leaves the pod as it was whatever step fails', async (t) => {
  const steps = await refuseEach(start, add, (scene, before, refused) => {
    t.equal(scene.dump(), before, refused)
    t.strictSame(scene.kernel.openHandles(), [])
  })
  t.ok(steps > 10, `${steps} steps`)
})

test('a second ADD begins from what was before the first', async (t) => {
  const scene = await start()
  const fresh = scene.dump()
  await add(scene)
  await add(scene)
  t.strictSame(routing(scene), IN_TABLE)
  await del(scene)
  t.equal(scene.dump(), fresh)
})

test('each interface has the first table that is free', async (t) => {
  const scene = await start()
  const pod = scene.kernel.openNamespace(NETNS)
  await pod.rtnl.apply({ change: 'add rule', rule: { family: 6, table: 100 } })
  const { index: dev } = await pod.rtnl.getLink('eth0')
  await pod.rtnl.apply({ change: 'add route', route: { dst: Prefix.parse('10.9.0.0/16'), dev, table: 101 } })
  pod.close()
  await add(scene)
  t.match(scene.dump(), 'rule from 10.1.0.5/32 lookup 102')
})

test('a table that the config names gets rules, and its routes and the main table’s are left alone', async (t) => {
  const scene = await start()
  const pod = scene.kernel.openNamespace(NETNS)
  const { index: dev } = await pod.rtnl.getLink('eth0')
  const gateway = IpAddress.parse('10.1.0.9')
  await pod.rtnl.apply({
    change: 'add route',
    route: { dst: Prefix.parse('0.0.0.0/0'), gateway, dev, table: 1000 },
  })
  pod.close()
  const fresh = scene.dump()
  const before = routing(scene)
  const named = { table: 1000, gateways: ['10.1.0.8'], addSourceHints: true }
  await add(scene, named)
  t.strictSame(routing(scene), [
    ...before,
    'rule from 10.1.0.5/32 lookup 1000 pref 32765',
    'rule from fd00:1::5/128 lookup 1000 pref 32765',
  ])
  await check(scene)
  await plugin.add(scene.ports, scene.request('ADD', { name: 'other' }, { prevResult: RESULT }))
  t.match(scene.dump(), 'rule from 10.1.0.5/32 lookup 100 ', 'another interface chooses its own')
  await plugin.del(scene.ports, scene.request('DEL', { name: 'other' }, {}))
  await del(scene)
  t.equal(scene.dump(), fresh)
})

test('gateways and source hints', async (t) => {
  const scene = await start()
  await add(scene, { gateways: ['10.1.0.9'], addSourceHints: true })
  const lines = routing(scene)
  t.ok(lines.includes('route default via 10.1.0.9 dev eth0 src 10.1.0.5 table 100 scope global'))
  t.ok(
    lines.includes('route default via fd00:1::1 dev eth0 src fd00:1::5 table 101 scope global metric 1024'),
  )
  await check(scene)
})

test('each address has its own gateway', async (t) => {
  const scene = await start()
  const ips = [
    { address: '10.1.0.5/24', gateway: '10.1.0.1', interface: 1 },
    { address: '10.1.0.6/24', gateway: '10.1.0.2', interface: 1 },
  ]
  await add(scene, {}, { prevResult: { ...RESULT, ips } })
  const lines = routing(scene)
  t.ok(lines.includes('route default via 10.1.0.1 dev eth0 table 100 scope global'))
  t.ok(lines.includes('route default via 10.1.0.2 dev eth0 table 101 scope global'))
  t.equal(lines.filter((line) => line.includes('default') && !line.includes('::')).length, 2)
})

test('a route by a next hop that only it calls a neighbour moves, and comes back', async (t) => {
  const scene = await start()
  const pod = scene.kernel.openNamespace(NETNS)
  const { index: dev } = await pod.rtnl.getLink('eth0')
  const gateway = IpAddress.parse('10.77.0.1')
  await pod.rtnl.apply({
    change: 'add route',
    route: { dst: Prefix.parse('10.9.0.0/16'), gateway, dev, onLink: true },
  })
  pod.close()
  const fresh = scene.dump()
  await add(scene)
  t.ok(routing(scene).includes('route 10.9.0.0/16 via 10.77.0.1 dev eth0 onlink table 100 scope global'))
  await check(scene)
  await del(scene)
  t.equal(scene.dump(), fresh)
})

test('only addresses of the interface get rules', async (t) => {
  const scene = await start()
  const ips = [
    { address: '10.1.0.5/24', interface: 1 },
    { address: '10.2.0.5/24', interface: 0 },
  ]
  await add(scene, {}, { prevResult: { ...RESULT, ips } })
  t.strictSame(
    routing(scene).filter((line) => line.startsWith('rule')),
    ['rule from 10.1.0.5/32 lookup 100 pref 32765'],
  )
})

const REFUSED: readonly [
  what: string,
  fields: object,
  pod: Partial<Pod>,
  error: { code: number; message: string },
][] = [
  [
    'to be the first of its chain',
    {},
    {},
    { code: 7, message: 'This plugin must be called as chained plugin' },
  ],
  [
    'an interface without addresses',
    {},
    { prevResult: { interfaces: RESULT.interfaces ?? [] } },
    { code: 999, message: 'No IP addresses supplied on interface: eth0' },
  ],
  [
    'an interface that is not there',
    {},
    { ifname: 'eth9', prevResult: { ips: [{ address: '10.1.0.5/24' }] } },
    { code: 999, message: 'Cannot find network interface eth9: Link not found' },
  ],
  [
    'two gateways of a family',
    { gateways: ['10.1.0.1', '10.1.0.2'] },
    { prevResult: RESULT },
    { code: 7, message: 'gateways: more than one for IPv4' },
  ],
  [
    'a gateway that is none',
    { gateways: ['x'] },
    { prevResult: RESULT },
    { code: 7, message: 'gateways[0]: invalid IP address "x"' },
  ],
]
for (const [what, fields, pod, error] of REFUSED)
  test(`ADD refuses ${what}, and leaves nothing`, async (t) => {
    const scene = await start()
    const before = scene.dump()
    await t.rejects(add(scene, fields, pod), error)
    t.equal(scene.dump(), before)
  })

test('CHECK names what is lost, and GC takes back what is not valid', async (t) => {
  const scene = await start()
  const fresh = scene.dump()
  await add(scene)
  const pod = scene.kernel.openNamespace(NETNS)
  const source = Prefix.parse('10.1.0.5/32')
  await pod.rtnl.apply({ change: 'delete rule', rule: { family: 4, source, table: 100 } })
  await pod.rtnl.apply({ change: 'delete route', route: { dst: Prefix.parse('0.0.0.0/0'), table: 100 } })
  pod.close()
  await t.rejects(check(scene), {
    code: 100,
    message:
      /: pod has no rule from 10.1.0.5\/32 lookup 100; pod has no route default via 10.1.0.1 table 100$/,
  })
  await plugin.gc?.(scene.ports, scene.request('GC', { ...NETCONF, 'cni.dev/valid-attachments': [] }))
  t.equal(scene.dump(), fresh)
  await plugin.status?.(scene.ports, scene.request('STATUS', NETCONF))
})

test('DEL takes back what an ADD left that was killed at any moment', async (t) => {
  const moments = await killEach(
    start,
    (scene) => add(scene),
    async (scene, before, last) => {
      await del(scene, { netns: '' })
      t.equal(scene.dump(), before, last)
      t.strictSame(scene.kernel.openHandles(), [])
    },
  )
  t.ok(moments > 5, `${moments} moments`)
})

test('of two interfaces that chose one table at the same moment, the second gives up', async (t) => {
  const scene = await start()
  const request = scene.request('ADD', NETCONF, { prevResult: RESULT })
  const { attachments } = scene.ports
  const list = attachments.list.bind(attachments)
  let asked = 0
  // The other's record appears between planning and doing.
  attachments.list = (filter) => {
    asked += 1
    if (asked > 1)
      attachments.put({
        plugin: 'cni-sbr',
        network: 'net',
        containerId: 'pod-1',
        ifname: 'eth1',
        netns: NETNS,
        record: { ways: [{ table: 101 }] },
        bootId: scene.ports.bootId,
        createdAtMs: 0,
        isComplete: false,
      })
    return list(filter)
  }
  await t.rejects(plugin.add(scene.ports, request), { code: 11, message: /^routing table 101 is taken/ })
  t.notMatch(scene.dump(), 'rule')
})
