import { test } from 'tap'
import { encodeResult } from '../../lib/cni/result.ts'
import { Prefix } from '../../lib/ip/prefix.ts'
import { LOOPBACK_INDEX } from '../../lib/rtnl/link.ts'
import { makeScene, type Scene } from '../../lib/testing/scene.ts'
import { plugin } from './plugin.ts'

/** As containerd calls it. */
const NETCONF = { cniVersion: '0.3.1', name: 'cni-loopback', type: 'loopback' }

const add = ({ ports, request }: Scene, pod = {}) => plugin.add(ports, request('ADD', NETCONF, pod))
const del = ({ ports, request }: Scene, pod = {}) => plugin.del(ports, request('DEL', NETCONF, pod))
const check = ({ ports, request }: Scene) => plugin.check(ports, request('CHECK', NETCONF))

test('ADD brings lo up, CHECK sees it, DEL takes it down', async (t) => {
  const scene = makeScene()
  const result = await add(scene)
  t.strictSame(encodeResult(result, '0.3.1'), {
    cniVersion: '0.3.1',
    interfaces: [{ name: 'lo', mac: '00:00:00:00:00:00', sandbox: '/run/netns/pod-1' }],
    ips: [
      { version: '4', interface: 0, address: '127.0.0.1/8' },
      { version: '6', interface: 0, address: '::1/128' },
    ],
    dns: {},
  })
  await check(scene)
  await add(scene)
  await del(scene)
  await t.rejects(check(scene), { message: 'loopback interface is down' })
  await del(scene)
  t.notMatch(scene.dump(), 'attachment')
  t.strictSame(scene.kernel.openHandles(), [])
})

test('ADD passes on what the plugins before it have made', async (t) => {
  const prevResult = { interfaces: [{ name: 'eth0', sandbox: '/run/netns/pod-1' }] }
  t.equal(await add(makeScene(), { prevResult }), prevResult)
})

test('DEL needs no namespace', async (t) => {
  const scene = makeScene()
  await add(scene)
  const before = scene.dump()
  await del(scene, { netns: '' })
  await del(scene, { netns: '/run/netns/gone' })
  t.equal(scene.dump(), before)
})

test('ADD refuses the node’s own namespace and one that is not there', async (t) => {
  const scene = makeScene()
  const before = scene.dump()
  await t.rejects(add(scene, { netns: 'host' }), { code: 8 })
  await t.rejects(add(scene, { netns: '/run/netns/gone' }), { code: 8 })
  await del(scene, { netns: 'host' })
  t.equal(scene.dump(), before)
  t.strictSame(scene.kernel.openHandles(), [])
})

for (const [text, message] of [
  ['10.1.0.1/24', 'loopback interface found with non-127 address "10.1.0.1/24"'],
  ['fd00::1/64', 'loopback interface found with non-loopback address "fd00::1/64"'],
] as const)
  test(`ADD refuses a lo that has ${text}, and leaves it down`, async (t) => {
    const scene = makeScene()
    const { netns } = scene.request('ADD', NETCONF)
    const pod = scene.kernel.openNamespace(netns)
    const address = { dev: LOOPBACK_INDEX, prefix: Prefix.parse(text) }
    await pod.rtnl.apply({ change: 'add address', address })
    await t.rejects(add(scene), { code: 999, message })
    t.equal((await pod.rtnl.getLink(LOOPBACK_INDEX)).up, false)
    t.strictSame(
      (await pod.rtnl.listAddresses({ family: 4 })).map(({ prefix }) => String(prefix)),
      text.includes(':') ? [] : [text],
    )
    pod.close()
  })
