import { test } from 'tap'
import type { Result } from '../../lib/cni/result.ts'
import type { MacAddress } from '../../lib/ip/mac.ts'
import type { LinkSettings } from '../../lib/rtnl/link.ts'
import { killEach, makeScene, type Pod, refuseEach, type Scene } from '../../lib/testing/scene.ts'
import { plugin } from './plugin.ts'
import { ALLOW_LIST } from './sysctl-key.ts'

const NETNS = '/run/netns/pod-1'
const RESULT: Result = {
  interfaces: [
    { name: 'host0', mac: '02:00:00:00:00:01', mtu: 1500 },
    { name: 'eth0', mac: '02:00:00:00:00:02', mtu: 1500, sandbox: NETNS },
  ],
}
const EVERYTHING = {
  sysctl: { 'net.core.somaxconn': '500', 'net.ipv4.conf.IFNAME.arp_notify': '1' },
  mac: '02:00:00:00:00:99',
  mtu: 1400,
  promisc: true,
  allmulti: true,
  txQLen: 77,
}

async function start(): Promise<Scene> {
  const scene = makeScene()
  const { netns } = scene.request('ADD', {})
  const pod = scene.kernel.openNamespace(netns)
  const peer = { name: 'eth0', mac: '02:00:00:00:00:02' as MacAddress, netnsFd: pod.fd }
  await scene.kernel.host.rtnl.apply({ change: 'create link', link: { kind: 'veth', name: 'host0', peer } })
  pod.close()
  return scene
}

const add = (
  { ports, request }: Scene,
  fields: object = EVERYTHING,
  pod: Partial<Pod> = { prevResult: RESULT },
) => plugin.add(ports, request('ADD', { name: 'net', ...fields }, pod))
const del = ({ ports, request }: Scene, fields: object = {}, pod: Partial<Pod> = {}) =>
  plugin.del(ports, request('DEL', fields, pod))
const check = ({ ports, request }: Scene, fields: object = EVERYTHING) =>
  plugin.check(ports, request('CHECK', fields, { prevResult: RESULT }))

/** What somebody else does inside the pod. */
async function meddle(
  { kernel }: Scene,
  set: LinkSettings,
  sysctl: Record<string, string> = {},
): Promise<void> {
  const pod = kernel.openNamespace(NETNS)
  pod.sysctl.set(...Object.entries(sysctl).map(([key, value]) => ({ key, value })))
  if (Object.keys(set).length > 0) await pod.rtnl.apply({ change: 'set link', link: 'eth0', set })
  pod.close()
}

const eth0 = (scene: Scene) => /^link eth0 .*$/m.exec(scene.dump())?.[0]

test('ADD sets everything, CHECK sees it, DEL restores it', async (t) => {
  const scene = await start()
  const fresh = scene.dump()
  t.strictSame((await add(scene)).interfaces, [
    RESULT.interfaces?.[0],
    { name: 'eth0', mac: '02:00:00:00:00:99', mtu: 1400, sandbox: NETNS },
  ])
  t.equal(
    eth0(scene),
    'link eth0 veth down mtu 1400 mac 02:00:00:00:00:99 promisc allmulti txqueuelen 77 peer host0 in host',
  )
  t.match(scene.dump(), 'sysctl core/somaxconn 500\n')
  t.match(scene.dump(), 'sysctl ipv4/conf/eth0/arp_notify 1\n')
  await check(scene)
  t.strictSame(scene.kernel.openHandles(), [])
  await del(scene)
  t.equal(scene.dump(), fresh)
  await del(scene)
  t.equal(scene.dump(), fresh, 'a second time')
  t.strictSame(scene.kernel.openHandles(), [])
})

test('DEL restores whatever it is told', async (t) => {
  for (const [what, fields, pod] of [
    ['with another config', { mac: 'nonsense', sysctl: 7 }, {}],
    ['without a namespace', {}, { netns: '' }],
    ['with a namespace that is not there', {}, { netns: '/run/netns/gone' }],
  ] as const) {
    const scene = await start()
    const fresh = scene.dump()
    await add(scene)
    await del(scene, fields, pod)
    t.equal(scene.dump(), fresh, what)
  }
})

test('DEL leaves another namespace alone that is there under the same path', async (t) => {
  const scene = await start()
  await add(scene)
  scene.kernel.removeNamespace(NETNS)
  scene.kernel.addNamespace(NETNS)
  const pod = scene.kernel.openNamespace(NETNS)
  pod.sysctl.set({ key: 'core/somaxconn', value: '500' })
  await del(scene)
  t.equal(pod.sysctl.find('core/somaxconn'), '500')
  pod.close()
  t.notMatch(scene.dump(), 'attachment')
})

test('DEL leaves what others have set since', async (t) => {
  const scene = await start()
  await add(scene)
  await meddle(scene, { mtu: 1300, promisc: false }, { 'core/somaxconn': '600' })
  await del(scene)
  t.equal(eth0(scene), 'link eth0 veth down mtu 1300 mac 02:00:00:00:00:02 peer host0 in host')
  t.match(scene.dump(), 'sysctl core/somaxconn 600\n')
})

test('DEL does not mind that the interface is gone', async (t) => {
  const scene = await start()
  await add(scene)
  await scene.kernel.host.rtnl.apply({ change: 'delete link', link: 'host0' })
  await del(scene)
  t.notMatch(scene.dump(), /somaxconn|attachment/)
})

test('ADD leaves the pod as it was whatever step fails', async (t) => {
  const steps = await refuseEach(start, add, (scene, before, refused) => {
    t.equal(scene.dump(), before, refused)
    t.strictSame(scene.kernel.openHandles(), [])
  })
  t.ok(steps > 4, `${steps} steps`)
})

test('a second ADD remembers what was there before the first', async (t) => {
  const scene = await start()
  const fresh = scene.dump()
  await add(scene)
  await add(scene, { mtu: 1350 })
  t.equal(eth0(scene), 'link eth0 veth down mtu 1350 mac 02:00:00:00:00:02 peer host0 in host')
  await del(scene)
  t.equal(scene.dump(), fresh)
})

const MACS: readonly [what: string, fields: object, args: [string, string][], mac: string][] = [
  ['the config', { mac: '02:00:00:00:00:0a' }, [], '02:00:00:00:00:0a'],
  ['CNI_ARGS', { mac: '02:00:00:00:00:0a' }, [['MAC', '02:00:00:00:00:0b']], '02:00:00:00:00:0b'],
  [
    'runtimeConfig',
    { mac: '02:00:00:00:00:0a', runtimeConfig: { mac: '02:00:00:00:00:0c' } },
    [['MAC', '02:00:00:00:00:0b']],
    '02:00:00:00:00:0c',
  ],
  [
    'args.cni',
    { runtimeConfig: { mac: '02:00:00:00:00:0c' }, args: { cni: { mac: '02:00:00:00:00:0d' } } },
    [['MAC', '02:00:00:00:00:0b']],
    '02:00:00:00:00:0d',
  ],
]
for (const [what, fields, args, mac] of MACS)
  test(`ADD takes the MAC from ${what}`, async (t) => {
    const result = await add(await start(), fields, { prevResult: RESULT, args: new Map(args) })
    t.equal(result.interfaces?.[1]?.mac, mac)
  })

test('ADD adds the sysctls of args.cni to those of the config', async (t) => {
  const scene = await start()
  const args = { cni: { sysctl: { 'net.core.somaxconn': '700' }, mtu: 1300, allmulti: true } }
  await add(scene, { ...EVERYTHING, args })
  t.match(scene.dump(), 'sysctl core/somaxconn 700\n')
  t.match(scene.dump(), 'sysctl ipv4/conf/eth0/arp_notify 1\n')
  t.match(eth0(scene), 'mtu 1300')
})

const REFUSED: readonly [what: string, fields: object, error: { message: string | RegExp; code?: number }][] =
  [
    [
      'a MAC that is none',
      { mac: 'nope' },
      { code: 7, message: 'invalid args nope for MAC addr: address nope: invalid MAC address' },
    ],
    [
      'a sysctl outside net',
      { sysctl: { 'kernel.hostname': 'x' } },
      { code: 7, message: 'invalid net sysctl key: "kernel.hostname"' },
    ],
    [
      'a way out of net',
      { sysctl: { 'net/../kernel/hostname': 'x' } },
      { code: 7, message: /^invalid net sysctl key/ },
    ],
    [
      'a way out of net by dots',
      { sysctl: { 'net...kernel.hostname': 'x' } },
      { code: 7, message: /^invalid net sysctl key/ },
    ],
    ['net itself', { sysctl: { net: 'x' } }, { code: 7, message: /^invalid net/ }],
    [
      'a sysctl that is not there',
      { sysctl: { 'net.ipv4.nope': '1' } },
      { message: /net\/ipv4\/nope: ENOENT/ },
    ],
    ['a value that the kernel refuses', { sysctl: { 'net.core.somaxconn': 'x' } }, { message: /EINVAL/ }],
    [
      'a value that is no string',
      { sysctl: { 'net.core.somaxconn': 500 } },
      { code: 7, message: /^sysctl.*expected a string/ },
    ],
    ['an MTU that cannot be', { mtu: 1 }, { message: /mtu less than device minimum/ }],
  ]
for (const [what, fields, error] of REFUSED)
  test(`ADD refuses ${what}, and leaves nothing`, async (t) => {
    const scene = await start()
    const fresh = scene.dump()
    await t.rejects(add(scene, { ...EVERYTHING, ...fields }), error)
    t.equal(scene.dump(), fresh)
  })

test('ADD refuses an interface that is not there', async (t) => {
  const pod = { ifname: 'eth9', prevResult: RESULT }
  await t.rejects(add(await start(), EVERYTHING, pod), { message: 'failed to get "eth9": Link not found' })
})

test('ADD refuses sysctls that are there twice', async (t) => {
  const scene = await start()
  const request = scene.request('ADD', EVERYTHING, { prevResult: RESULT })
  const stdin = '{"sysctl":{"net.core.somaxconn":"500","net.core.somaxconn":"600"}}'
  await t.rejects(plugin.add(scene.ports, { ...request, stdin }), {
    message: 'duplicated sysctl keys are not allowed',
  })
})

test('ADD refuses to be the first of the chain, in upstream’s words', async (t) => {
  await t.rejects(add(await start(), EVERYTHING, {}), { code: 7, message: 'Required prevResult missing' })
})

test('the interface’s name may have dots, also where a slash is the separator', async (t) => {
  const scene = await start()
  await meddle(scene, {})
  const pod = scene.kernel.openNamespace(NETNS)
  const { index } = await pod.rtnl.getLink('eth0')
  await pod.rtnl.apply({ change: 'set link', link: index, set: { name: 'eth0.7' } })
  pod.close()
  const sysctl = { 'net.ipv4.conf.IFNAME.arp_notify': '1', 'net/ipv4/conf/eth0.7/arp_ignore': '1' }
  await add(scene, { sysctl }, { ifname: 'eth0.7', prevResult: RESULT })
  t.match(scene.dump(), 'sysctl ipv4/conf/eth0.7/arp_notify 1\n')
  t.match(scene.dump(), 'sysctl ipv4/conf/eth0.7/arp_ignore 1\n')
})

test('only sysctls of the allow-list are set where there is one', async (t) => {
  const scene = await start()
  scene.files.set(ALLOW_LIST, '# those of an interface\n\n^net.ipv4.conf.IFNAME.[a-z_]*$\n')
  const refused = {
    code: 7,
    message:
      'Sysctl net.core.somaxconn is not allowed. Only the following sysctls are allowed: [^net.ipv4.conf.IFNAME.[a-z_]*$]',
  }
  await t.rejects(add(scene), refused)
  await t.rejects(
    plugin.status?.(scene.ports, scene.request('STATUS', EVERYTHING)) ?? Promise.resolve(),
    refused,
  )
  await add(scene, { sysctl: { 'net.ipv4.conf.IFNAME.arp_notify': '1' } })
  scene.files.set(ALLOW_LIST, '(\n')
  await t.rejects(add(scene), { message: /allowlist.conf: / })
  await del(scene)
  t.notMatch(scene.dump(), 'arp_notify')
})

test('CHECK names every difference', async (t) => {
  const scene = await start()
  await add(scene)
  await meddle(scene, { mtu: 1300, allmulti: false, txQueueLength: 5 }, { 'core/somaxconn': '600' })
  await t.rejects(check(scene), {
    code: 100,
    message:
      'attachment is not as ADD made it: pod has sysctl net/core/somaxconn 600, expected 500; pod interface eth0 has mtu 1300, expected 1400; pod interface eth0 has allmulti false, expected true; pod interface eth0 has txQueueLength 5, expected 77',
  })
})

test('GC restores pods that are not valid', async (t) => {
  const scene = await start()
  const fresh = scene.dump()
  await add(scene)
  await plugin.gc?.(scene.ports, scene.request('GC', { 'cni.dev/valid-attachments': [] }))
  t.equal(scene.dump(), fresh)
})

test('STATUS is ready, and is not when nothing can be recorded', async (t) => {
  const scene = await start()
  await plugin.status?.(scene.ports, scene.request('STATUS', EVERYTHING))
  scene.refuse = () => 'ENOSPC'
  await t.rejects(plugin.status?.(scene.ports, scene.request('STATUS', EVERYTHING)) ?? Promise.resolve(), {
    code: 50,
  })
})

test('DEL takes back what an ADD left that was killed at any moment', async (t) => {
  const moments = await killEach(
    start,
    (scene) => add(scene),
    async (scene, before, last) => {
      await del(scene, {}, { netns: '' })
      t.equal(scene.dump(), before, last)
      t.strictSame(scene.kernel.openHandles(), [])
    },
  )
  t.ok(moments > 3, `${moments} moments`)
})
