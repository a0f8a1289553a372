// What cni-ipvlan has of its own; the rest is cmd/cni-macvlan/plugin.test.ts.

import { test } from 'tap'
import type { Result } from '../../lib/cni/result.ts'
import type { MacAddress } from '../../lib/ip/mac.ts'
import { makeScene, refuseEach, type Scene } from '../../lib/testing/scene.ts'
import { plugin } from './plugin.ts'

const NETCONF = { name: 'net', master: 'up0', mode: 'l3', ipam: { type: 'test-ipam' } }

async function start(options = {}): Promise<Scene> {
  const scene = makeScene(options)
  const mac = '02:00:00:00:00:01' as MacAddress
  const link = { kind: 'veth', name: 'up0', mac, up: true, peer: { name: 'far' } } as const
  await scene.kernel.host.rtnl.apply({ change: 'create link', link })
  await scene.kernel.host.rtnl.apply({ change: 'set link', link: 'far', set: { up: true } })
  scene.request('ADD', NETCONF)
  return scene
}

const add = ({ ports, request }: Scene, netconf: object = {}, prevResult?: Result) =>
  plugin.add(
    ports,
    request('ADD', { ...NETCONF, ...netconf }, prevResult === undefined ? {} : { prevResult }),
  )
const del = ({ ports, request }: Scene) => plugin.del(ports, request('DEL', {}, { netns: '' }))
const check = ({ ports, request }: Scene, prevResult: Result) =>
  plugin.check(ports, request('CHECK', NETCONF, { prevResult }))
const line = (scene: Scene) => /^link eth0 .*$/m.exec(scene.dump())?.[0]

test('ADD gives a pod its link, CHECK sees it, DEL takes it away', async (t) => {
  const scene = await start()
  const result = await add(scene)
  t.equal(
    line(scene),
    'link eth0 ipvlan up mtu 1500 mac 02:00:00:00:00:01 on up0 in host mode l3 alias "net pod-1 eth0"',
  )
  t.match(scene.dump(), 'address eth0 10.1.0.5/24')
  await check(scene, result)
  await del(scene)
  t.notMatch(scene.dump(), /eth0|lease|attachment/)
  t.strictSame(scene.kernel.openHandles(), [])
})

test('ADD leaves the node as it was whatever step fails', async (t) => {
  const steps = await refuseEach(
    start,
    (scene) => add(scene),
    (scene, before, refused) => t.equal(scene.dump(), before, refused),
  )
  t.ok(steps > 10, `${steps} steps`)
})

const REFUSED: readonly [what: string, netconf: object, error: { code?: number; message: string }][] = [
  ['a mode that nobody has', { mode: 'x' }, { code: 7, message: 'unknown ipvlan mode: "x"' }],
  ['no ipam', { ipam: {} }, { code: 7, message: 'no plugin name provided' }],
  [
    'a master that is not there',
    { master: 'gone' },
    { message: 'failed to lookup master "gone": Link not found' },
  ],
  [
    'itself as ipam',
    { ipam: { type: 'cni-ipvlan' } },
    { code: 7, message: 'ipam.type: "cni-ipvlan" is no IPAM plugin' },
  ],
]
for (const [what, netconf, error] of REFUSED)
  test(`ADD refuses ${what}, and leaves nothing`, async (t) => {
    const scene = await start()
    const before = scene.dump()
    await t.rejects(async () => add(scene, netconf), error)
    t.equal(scene.dump(), before)
  })

test('a kernel without the kind is told of', async (t) => {
  const scene = await start({ missing: ['link ipvlan'] })
  const error = { message: 'this kernel has no links of kind ipvlan', details: /CONFIG_IPVLAN/ }
  const before = scene.dump()
  await t.rejects(add(scene), { code: 999, ...error })
  t.equal(scene.dump(), before)
  const status = plugin.status?.(scene.ports, scene.request('STATUS', NETCONF))
  await t.rejects(status ?? Promise.resolve(), { code: 50, ...error })
})

test('GC takes away what is not valid, and STATUS is ready', async (t) => {
  const scene = await start()
  await add(scene)
  await plugin.status?.(scene.ports, scene.request('STATUS', NETCONF))
  await plugin.gc?.(scene.ports, scene.request('GC', { ...NETCONF, 'cni.dev/valid-attachments': [] }))
  t.notMatch(scene.dump(), /eth0|attachment/)
})

test('in a chain it takes link and addresses from the plugin before', async (t) => {
  const scene = await start()
  const prevResult: Result = { interfaces: [{ name: 'up0' }], ips: [{ address: '10.7.0.5/24' }] }
  const result = await add(scene, { master: '', ipam: {} }, prevResult)
  t.match(line(scene), 'on up0')
  t.match(result, { interfaces: [{ name: 'eth0' }], ips: [{ address: '10.7.0.5/24', interface: 0 }] })
  await del(scene)
  t.notMatch(scene.dump(), /eth0|attachment/)
  const several: Result = { ...prevResult, interfaces: [{ name: 'up0' }, { name: 'far' }] }
  await t.rejects(add(scene, { master: '', ipam: {} }, several), {
    message: 'chained master failure. PrevResult lacks a single named interface',
  })
})
