import { test } from 'tap'
import type { Result } from '../../lib/cni/result.ts'
import { IpAddress } from '../../lib/ip/address.ts'
import { Prefix } from '../../lib/ip/prefix.ts'
import { killEach, makeScene, type Pod, refuseEach, type Scene } from '../../lib/testing/scene.ts'
import { podChanges } from '../../lib/veth/pod-link.ts'
import { plugin } from './plugin.ts'

const NETNS = '/run/netns/pod-1'
const NETCONF = { name: 'net', vrfname: 'blue' }
const RESULT: Result = { interfaces: [{ name: 'eth0', sandbox: NETNS }] }

/** A pod with eth0 and eth1 as plugins before this one leave them. */
async function start(options = {}): Promise<Scene> {
  const scene = makeScene(options)
  const { netns } = scene.request('ADD', {})
  const pod = scene.kernel.openNamespace(netns)
  for (const n of [0, 1]) {
    const peer = { name: `eth${n}`, netnsFd: pod.fd }
    await scene.kernel.host.rtnl.apply({
      change: 'create link',
      link: { kind: 'veth', name: `host${n}`, up: true, peer },
    })
    const { index } = await pod.rtnl.getLink(`eth${n}`)
    const addresses = [`10.${n}.0.5/24`, `fd00:${n}::5/64`].map(Prefix.parse)
    const routes = [{ dst: Prefix.parse('10.9.0.0/16'), gateway: IpAddress.parse(`10.${n}.0.1`) }]
    await pod.rtnl.apply(...podChanges(index, { addresses, routes, enableDad: false }))
  }
  pod.close()
  return scene
}

const add = ({ ports, request }: Scene, fields: object = {}, pod: Partial<Pod> = {}) =>
  plugin.add(ports, request('ADD', { ...NETCONF, ...fields }, { prevResult: RESULT, ...pod }))
const del = ({ ports, request }: Scene, pod: Partial<Pod> = {}) => plugin.del(ports, request('DEL', {}, pod))
const check = ({ ports, request }: Scene) =>
  plugin.check(ports, request('CHECK', NETCONF, { prevResult: RESULT }))
const lines = (scene: Scene) => scene.dump().split('\n')

test('ADD puts the interface into a VRF that it makes, CHECK sees it, DEL takes it back', async (t) => {
  const scene = await start()
  const fresh = scene.dump()
  t.equal(await add(scene), RESULT)
  for (const line of [
    'link blue vrf up mtu 1500 mac 0e:00:00:02:00:04 table 1',
    'address eth0 fd00::5/64',
    'route 10.0.0.0/24 dev eth0 src 10.0.0.5 table 1 scope link connected',
    'route 10.9.0.0/16 via 10.0.0.1 dev eth0 table 1 scope global',
  ])
    t.ok(lines(scene).includes(line), line)
  t.match(scene.dump(), /link eth0 veth up .* master blue/)
  await check(scene)
  await del(scene, { netns: '' })
  t.equal(scene.dump(), fresh)
  await del(scene)
  t.equal(scene.dump(), fresh)
  t.strictSame(scene.kernel.openHandles(), [])
})

test('a VRF serves several interfaces, and goes with the last', async (t) => {
  const scene = await start()
  const fresh = scene.dump()
  await add(scene, { table: 7 })
  await add(scene, {}, { ifname: 'eth1' })
  t.equal(lines(scene).filter((line) => line.startsWith('link blue')).length, 1)
  t.match(scene.dump(), 'route 10.1.0.0/24 dev eth1 src 10.1.0.5 table 7')
  await del(scene)
  t.match(scene.dump(), 'link blue vrf')
  await del(scene, { ifname: 'eth1' })
  t.equal(scene.dump(), fresh)
})

test('an empty VRF that was there stays', async (t) => {
  const scene = await start()
  const pod = scene.kernel.openNamespace(NETNS)
  await pod.rtnl.apply({ change: 'create link', link: { kind: 'vrf', name: 'blue', table: 9, up: true } })
  pod.close()
  const fresh = scene.dump()
  await add(scene)
  t.match(scene.dump(), 'src 10.0.0.5 table 9')
  await del(scene)
  t.equal(scene.dump(), fresh)
})

test('ADD leaves the pod as it was whatever step fails', async (t) => {
  const steps = await refuseEach(
    () => start(),
    (scene) => add(scene),
    (scene, before, refused) => t.equal(scene.dump(), before, refused),
  )
  t.ok(steps > 8, `${steps} steps`)
})

test('DEL takes back what an ADD left that was killed at any moment', async (t) => {
  await killEach(
    () => start(),
    (scene) => add(scene),
    async (scene, before, last) => {
      await del(scene, { netns: '' })
      t.equal(scene.dump(), before, last)
    },
  )
})

const REFUSED: readonly [
  what: string,
  fields: object,
  pod: object,
  error: { code: number; message: string },
][] = [
  [
    'no name',
    { vrfname: '' },
    {},
    { code: 7, message: 'configuration is expected to have a valid vrf name' },
  ],
  [
    'a name that the kernel would make another of',
    { vrfname: 'vrf%d' },
    {},
    { code: 7, message: 'configuration is expected to have a valid vrf name' },
  ],
  [
    'to be the first of its chain',
    {},
    { prevResult: undefined },
    { code: 7, message: 'missing prevResult from earlier plugin' },
  ],
  [
    'an interface that is not there',
    {},
    { ifname: 'eth9' },
    { code: 999, message: 'could not get link by name eth9' },
  ],
  ['a link of another kind', { vrfname: 'eth1' }, {}, { code: 999, message: 'Netlink eth1 is not a VRF' }],
]
for (const [what, fields, pod, error] of REFUSED)
  test(`ADD refuses ${what}, and leaves nothing`, async (t) => {
    const scene = await start()
    const before = scene.dump()
    await t.rejects(add(scene, fields, pod), error)
    t.equal(scene.dump(), before)
  })

test('ADD refuses another table than the VRF has, and an interface that has a master', async (t) => {
  const scene = await start()
  await add(scene)
  const before = scene.dump()
  const other = { ifname: 'eth1' }
  await t.rejects(add(scene, { table: 8 }, other), {
    message: 'VRF blue already exist with different routing table 1',
  })
  await t.rejects(
    plugin.add(
      scene.ports,
      scene.request(
        'ADD',
        { ...NETCONF, name: 'x', vrfname: 'red' },
        { prevResult: RESULT, containerId: 'pod-2', netns: NETNS },
      ),
    ),
    {
      message: 'interface eth0 has already a master set: blue',
    },
  )
  t.equal(scene.dump(), before)
})

test('a kernel without VRFs is told of', async (t) => {
  const scene = await start({ missing: ['link vrf'] })
  const error = { message: 'this kernel has no links of kind vrf', details: /CONFIG_NET_VRF/ }
  const before = scene.dump()
  await t.rejects(add(scene), { code: 999, ...error })
  t.equal(scene.dump(), before)
  const status = plugin.status?.(scene.ports, scene.request('STATUS', NETCONF))
  await t.rejects(status ?? Promise.resolve(), { code: 50, ...error })
})

test('CHECK names what is different, GC takes back what is not valid', async (t) => {
  const scene = await start()
  const fresh = scene.dump()
  await add(scene)
  const pod = scene.kernel.openNamespace(NETNS)
  await pod.rtnl.apply({ change: 'set link', link: 'eth0', set: { master: 0 } })
  pod.close()
  await t.rejects(check(scene), {
    code: 100,
    message: /eth0 has master none, expected 4; pod has no route 10.9.0.0\/16/,
  })
  await plugin.gc?.(scene.ports, scene.request('GC', { ...NETCONF, 'cni.dev/valid-attachments': [] }))
  t.equal(scene.dump(), fresh)
})
