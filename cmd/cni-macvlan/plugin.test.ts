// cni-macvlan on a node in memory; its thin relatives are played where they differ (their own tests).

import { test } from 'tap'
import type { Result } from '../../lib/cni/result.ts'
import type { MacAddress } from '../../lib/ip/mac.ts'
import { Prefix } from '../../lib/ip/prefix.ts'
import { killEach, makeScene, type Pod, refuseEach, type Scene } from '../../lib/testing/scene.ts'
import { plugin } from './plugin.ts'

const NETCONF = {
  cniVersion: '1.1.0',
  name: 'net',
  type: 'cni-macvlan',
  master: 'up0',
  ipam: { type: 'test-ipam' },
}

async function start(options = {}): Promise<Scene> {
  const scene = makeScene(options)
  const { rtnl } = scene.kernel.host
  const peer = { name: 'far' }
  await rtnl.apply(
    {
      change: 'create link',
      link: { kind: 'veth', name: 'up0', mac: '02:00:00:00:00:01' as MacAddress, up: true, peer },
    },
    { change: 'set link', link: 'far', set: { up: true } },
  )
  scene.request('ADD', NETCONF)
  return scene
}

const add = ({ ports, request }: Scene, netconf: object = {}, pod: Partial<Pod> = {}) =>
  plugin.add(ports, request('ADD', { ...NETCONF, ...netconf }, pod))
const del = ({ ports, request }: Scene, netconf: object = NETCONF, pod: Partial<Pod> = {}) =>
  plugin.del(ports, request('DEL', netconf, pod))
const check = ({ ports, request }: Scene, prevResult: Result) =>
  plugin.check(ports, request('CHECK', NETCONF, { prevResult }))
const line = (scene: Scene, name: string) => new RegExp(`^link ${name} .*$`, 'm').exec(scene.dump())?.[0]

test('ADD gives a pod a macvlan, CHECK sees it, DEL takes it away', async (t) => {
  const scene = await start()
  const result = await add(scene)
  t.equal(
    line(scene, 'eth0'),
    'link eth0 macvlan up mtu 1500 mac 0a:58:0a:01:00:05 on up0 in host mode bridge alias "net pod-1 eth0"',
  )
  for (const text of [
    'address eth0 10.1.0.5/24',
    'sysctl ipv4/conf/eth0/arp_notify 1',
    'sysctl ipv6/conf/eth0/ndisc_notify 1',
  ])
    t.match(scene.dump(), text)
  t.strictSame(result.interfaces, [
    { name: 'eth0', mac: '0a:58:0a:01:00:05', mtu: 1500, sandbox: '/run/netns/pod-1' },
  ])
  t.match(result.ips, [
    { address: '10.1.0.5/24', interface: 0 },
    { address: 'fd00:1::5/64', interface: 0 },
  ])
  t.strictSame(scene.kernel.openHandles(), [])
  await check(scene, result)
  await del(scene)
  t.notMatch(scene.dump(), /macvlan|lease|attachment/)
  await del(scene)
  t.strictSame(scene.kernel.openHandles(), [])
})

test('DEL needs neither namespace, master nor a config that can be read', async (t) => {
  for (const [netconf, pod] of [
    [{ ...NETCONF, mode: 'x', master: 'gone', mtu: 'y' }, {}],
    [NETCONF, { netns: '' }],
  ] as const) {
    const scene = await start()
    await add(scene)
    await del(scene, netconf, pod)
    t.notMatch(scene.dump(), /macvlan|lease|attachment/)
  }
})

test('DEL of what has no record goes by the config and the pod', async (t) => {
  const scene = await start()
  await add(scene)
  scene.ports.attachments.delete({
    plugin: 'cni-macvlan',
    network: 'net',
    containerId: 'pod-1',
    ifname: 'eth0',
  })
  await del(scene)
  t.notMatch(scene.dump(), /macvlan|lease/)
})

test('DEL is fine when the namespace is gone', async (t) => {
  const scene = await start()
  await add(scene)
  scene.kernel.removeNamespace('/run/netns/pod-1')
  await del(scene)
  t.notMatch(scene.dump(), /lease|attachment/)
})

test('ADD leaves the node as it was whatever step fails', async (t) => {
  const steps = await refuseEach(start, add, (scene, before, refused) => {
    t.equal(scene.dump(), before, refused)
    t.strictSame(scene.kernel.openHandles(), [])
  })
  t.ok(steps > 15, `${steps} steps`)
})

test('ADD refuses an attachment that is there, and clears away what a killed ADD left', async (t) => {
  const scene = await start()
  await add(scene)
  const before = scene.dump()
  await t.rejects(add(scene), { message: 'pod-1 is already attached to net by eth0' })
  t.equal(scene.dump(), before)
  const pod = scene.kernel.openNamespace('/run/netns/pod-1')
  await pod.rtnl.apply({ change: 'delete link', link: 'eth0' })
  pod.close()
  await add(scene)
  t.match(line(scene, 'eth0'), 'macvlan')
})

test('ADD takes the link of the default route when no master is named', async (t) => {
  const scene = await start()
  await t.rejects(add(scene, { master: '' }), { message: 'no default route interface found' })
  const { rtnl } = scene.kernel.host
  const { index: dev } = await rtnl.getLink('up0')
  await rtnl.apply({ change: 'add route', route: { dst: Prefix.parse('0.0.0.0/0'), dev } })
  await add(scene, { master: '' })
  t.match(line(scene, 'eth0'), 'on up0 in host')
})

test('ADD takes a master inside the pod when asked to', async (t) => {
  const scene = await start()
  const pod = scene.kernel.openNamespace('/run/netns/pod-1')
  await pod.rtnl.apply({ change: 'create link', link: { kind: 'veth', name: 'net0', peer: { name: 'x' } } })
  await add(scene, { master: 'net0', linkInContainer: true }, { ifname: 'net1' })
  t.match(line(scene, 'net1'), 'on net0 mode bridge')
  await del(scene, NETCONF, { ifname: 'net1' })
  t.equal(line(scene, 'net1'), undefined)
  pod.close()
})

const FIELDS: readonly [fields: object, text: string][] = [
  [{ mode: 'private' }, 'mode private'],
  [{ mode: 'passthru' }, 'mac 02:00:00:00:00:01 on up0'],
  [{ mtu: 1400 }, 'mtu 1400'],
  [{ mac: '02:00:00:00:00:07' }, 'mac 02:00:00:00:00:07'],
  [{ mac: '02:00:00:00:00:07', runtimeConfig: { mac: '02:00:00:00:00:08' } }, 'mac 02:00:00:00:00:08'],
]
for (const [fields, text] of FIELDS)
  test(`${JSON.stringify(fields)} makes a link with ${text}`, async (t) => {
    const scene = await start()
    await add(scene, fields)
    t.match(line(scene, 'eth0'), text)
  })

test('a network without ipam gives a link without addresses', async (t) => {
  const scene = await start()
  const result = await add(scene, { ipam: {} })
  t.match(line(scene, 'eth0'), 'macvlan up')
  t.strictSame(result.ips, [])
})

const REFUSED: readonly [
  what: string,
  netconf: object,
  error: { code?: number; message: string | RegExp },
][] = [
  ['a mode that nobody has', { mode: 'x' }, { code: 7, message: 'unknown macvlan mode: "x"' }],
  [
    'a master that is not there',
    { master: 'gone' },
    { message: 'failed to lookup master "gone": Link not found' },
  ],
  [
    'a larger MTU than the master’s',
    { mtu: 1501 },
    { code: 7, message: 'invalid MTU 1501, must be [0, master MTU(1500)]' },
  ],
  ['a negative MTU', { mtu: -1 }, { code: 7, message: 'invalid MTU -1, must be [0, master MTU(1500)]' }],
  [
    'itself as ipam',
    { ipam: { type: 'macvlan' } },
    { code: 7, message: 'ipam.type: "macvlan" is no IPAM plugin' },
  ],
]
for (const [what, netconf, error] of REFUSED)
  test(`ADD refuses ${what}, and leaves nothing`, async (t) => {
    const scene = await start()
    const before = scene.dump()
    await t.rejects(add(scene, netconf), error)
    t.equal(scene.dump(), before)
  })

test('ADD refuses a name that the pod has already', async (t) => {
  const scene = await start()
  const pod = scene.kernel.openNamespace('/run/netns/pod-1')
  await pod.rtnl.apply({ change: 'create link', link: { kind: 'veth', name: 'eth0', peer: { name: 'x' } } })
  pod.close()
  const before = scene.dump()
  await t.rejects(add(scene), { message: 'failed to rename macvlan to "eth0": file exists' })
  t.equal(scene.dump(), before)
})

test('a kernel without macvlan is told of', async (t) => {
  const scene = await start({ missing: ['link macvlan'] })
  const error = { message: 'this kernel has no links of kind macvlan', details: /CONFIG_MACVLAN/ }
  const before = scene.dump()
  await t.rejects(add(scene), { code: 999, ...error })
  t.equal(scene.dump(), before)
  await t.rejects(plugin.status?.(scene.ports, scene.request('STATUS', NETCONF)) ?? Promise.resolve(), {
    code: 50,
    ...error,
  })
})

test('CHECK names what is different', async (t) => {
  const scene = await start()
  const result = await add(scene)
  const pod = scene.kernel.openNamespace('/run/netns/pod-1')
  await pod.rtnl.apply({ change: 'set link', link: 'eth0', set: { up: false } })
  await t.rejects(check(scene, result), { code: 100, message: /eth0 has up false, expected true/ })
  await pod.rtnl.apply({ change: 'delete link', link: 'eth0' })
  await t.rejects(check(scene, result), { code: 100, message: /pod interface eth0 is gone/ })
  pod.close()
})

test('GC and STATUS', async (t) => {
  const scene = await start()
  await add(scene)
  await plugin.status?.(scene.ports, scene.request('STATUS', NETCONF))
  const gone = { ...NETCONF, master: 'gone' }
  await t.rejects(plugin.status?.(scene.ports, scene.request('STATUS', gone)) ?? Promise.resolve(), {
    code: 50,
  })
  await plugin.gc?.(scene.ports, scene.request('GC', { ...NETCONF, 'cni.dev/valid-attachments': [] }))
  t.notMatch(scene.dump(), /macvlan|attachment/)
})

test('DEL takes back what an ADD left that was killed at any moment', async (t) => {
  const moments = await killEach(
    start,
    (scene) => add(scene),
    async (scene, before, last) => {
      await del(scene, {}, { netns: '' })
      t.equal(withoutLoopback(scene.dump()), withoutLoopback(before), last)
      t.strictSame(scene.kernel.openHandles(), [])
    },
  )
  t.ok(moments > 5, `${moments} moments`)
})

/** What ADD brings up of the loopback stays. */
function withoutLoopback(dump: string): string {
  return dump.replaceAll(/^(?:link|address) lo .*\n/gm, '')
}
