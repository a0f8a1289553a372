import { test } from 'tap'
import type { Result } from '../../lib/cni/result.ts'
import { IpAddress } from '../../lib/ip/address.ts'
import type { MacAddress } from '../../lib/ip/mac.ts'
import { Prefix } from '../../lib/ip/prefix.ts'
import { killEach, makeScene, type Pod, refuseEach, type Scene } from '../../lib/testing/scene.ts'
import { plugin } from './plugin.ts'

const NETCONF = { cniVersion: '1.1.0', name: 'net', device: 'up0', ipam: { type: 'test-ipam' } }

/** up0 is up, with addresses and a default route of the node. */
async function start(): Promise<Scene> {
  const scene = makeScene()
  const { rtnl } = scene.kernel.host
  const mac = '02:00:00:00:00:01' as MacAddress
  await rtnl.apply({
    change: 'create link',
    link: { kind: 'veth', name: 'up0', mac, mtu: 1400, up: true, peer: { name: 'far' } },
  })
  await rtnl.apply({ change: 'set link', link: 'far', set: { up: true } })
  const { index: dev } = await rtnl.getLink('up0')
  for (const text of ['192.0.2.5/24', '2001:db8::5/64'])
    await rtnl.apply({ change: 'add address', address: { dev, prefix: Prefix.parse(text), noDad: true } })
  const route = { dst: Prefix.parse('0.0.0.0/0'), gateway: IpAddress.parse('192.0.2.1'), dev }
  await rtnl.apply({ change: 'add route', route })
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

const onNode = (dump: string) => dump.slice(dump.indexOf('namespace host'))

test('ADD moves the link in, CHECK sees it, DEL moves it back as it was', async (t) => {
  const scene = await start()
  const fresh = scene.dump()
  const result = await add(scene)
  t.equal(line(scene, 'up0'), undefined)
  t.equal(
    line(scene, 'eth0'),
    'link eth0 veth up mtu 1400 mac 02:00:00:00:00:01 peer far in host alias "up0"',
  )
  t.match(scene.dump(), 'address eth0 10.1.0.5/24')
  t.match(result, {
    interfaces: [{ name: 'eth0', mac: '02:00:00:00:00:01', mtu: 1400, sandbox: '/run/netns/pod-1' }],
    ips: [
      { address: '10.1.0.5/24', interface: 0 },
      { address: 'fd00:1::5/64', interface: 0 },
    ],
  })
  await check(scene, result)
  t.strictSame(scene.kernel.openHandles(), [])
  await del(scene)
  t.equal(onNode(scene.dump()), onNode(fresh))
  await del(scene)
  t.strictSame(scene.kernel.openHandles(), [])
})

test('DEL needs neither namespace nor a config that can be read', async (t) => {
  for (const [netconf, pod] of [
    [{ device: 7, ipam: { type: 'x' } }, {}],
    [NETCONF, { netns: '' }],
  ] as const) {
    const scene = await start()
    await add(scene)
    await del(scene, netconf, pod)
    t.match(line(scene, 'up0'), 'up mtu 1400')
    t.notMatch(scene.dump(), /lease|attachment/)
  }
})

test('DEL of what upstream’s plugin has moved goes by the alias', async (t) => {
  const scene = await start()
  await add(scene)
  scene.ports.attachments.delete({
    plugin: 'cni-host-device',
    network: 'net',
    containerId: 'pod-1',
    ifname: 'eth0',
  })
  await del(scene)
  t.match(line(scene, 'up0'), 'veth')
  t.notMatch(scene.dump(), /lease/)
})

test('DEL gives a link its name again that came home by itself', async (t) => {
  const scene = await start()
  await add(scene)
  const pod = scene.kernel.openNamespace('/run/netns/pod-1')
  const { index } = await pod.rtnl.getLink('eth0')
  await pod.rtnl.apply({ change: 'set link', link: index, set: { netnsFd: scene.kernel.host.fd } })
  pod.close()
  scene.kernel.removeNamespace('/run/netns/pod-1')
  await del(scene)
  t.equal(line(scene, 'up0'), 'link up0 veth up mtu 1400 mac 02:00:00:00:00:01 peer far')
  t.match(scene.dump(), 'address up0 192.0.2.5/24')
  t.match(scene.dump(), 'route default via 192.0.2.1 dev up0')
})

test('DEL leaves a link of the node alone that has the alias and is another', async (t) => {
  const scene = await start()
  await add(scene)
  await scene.kernel.host.rtnl.apply(
    { change: 'delete link', link: 'far' },
    { change: 'create link', link: { kind: 'veth', name: 'other', peer: { name: 'x' } } },
    { change: 'set link', link: 'other', set: { alias: 'up0' } },
  )
  await del(scene)
  t.match(line(scene, 'other'), 'alias "up0"')
  t.notMatch(scene.dump(), 'attachment')
})

test('DEL brings home a link whose MAC the pod has changed', async (t) => {
  const scene = await start()
  await add(scene)
  const pod = scene.kernel.openNamespace('/run/netns/pod-1')
  await pod.rtnl.apply({ change: 'set link', link: 'eth0', set: { mac: '02:00:00:00:00:77' as MacAddress } })
  pod.close()
  await del(scene)
  t.equal(line(scene, 'up0'), 'link up0 veth up mtu 1400 mac 02:00:00:00:00:77 peer far')
})

test('ADD leaves the node as it was whatever step fails', async (t) => {
  const steps = await refuseEach(start, add, (scene, before, refused) => {
    t.equal(scene.dump(), before, refused)
    t.strictSame(scene.kernel.openHandles(), [])
  })
  t.ok(steps > 15, `${steps} steps`)
})

test('ADD refuses an attachment that is there', async (t) => {
  const scene = await start()
  await add(scene)
  const before = scene.dump()
  await t.rejects(add(scene), { message: 'pod-1 is already attached to net by eth0' })
  await t.rejects(add(scene, {}, { containerId: 'pod-2' }), {
    message: 'failed to find host device: Link not found',
  })
  scene.kernel.removeNamespace('/run/netns/pod-2')
  t.equal(scene.dump(), before)
})

const SYSFS: readonly [fields: object, file: string, text: string][] = [
  [{ hwaddr: '02:00:00:00:00:01' }, '/nothing', ''],
  [{ kernelpath: '/sys/devices/pci0/x' }, '/sys/devices/pci0/x/net/up0/ifindex', '3\n'],
  [{ pciBusID: '0000:00:19.0' }, '/sys/bus/pci/devices/0000:00:19.0/net/up0/ifindex', '3\n'],
  [
    { pciBusID: 'x', runtimeConfig: { deviceID: 'mlx5_core.sf.4' } },
    '/sys/bus/auxiliary/devices/mlx5_core.sf.4/net/up0/ifindex',
    '3\n',
  ],
  [
    { pciBusID: '0000:00:1a.0' },
    '/sys/class/net/up0/device/../uevent',
    'DRIVER=virtio-pci\nPCI_SLOT_NAME=0000:00:1a.0\n',
  ],
]
for (const [fields, file, text] of SYSFS)
  test(`ADD finds the link by ${JSON.stringify(fields)}`, async (t) => {
    const scene = await start()
    scene.files.set('/sys/class/net/up0/ifindex', '3\n')
    scene.files.set(file, text)
    await add(scene, { device: '', ...fields })
    t.match(line(scene, 'eth0'), 'alias "up0"')
  })

test('a device that a program drives is not moved', async (t) => {
  const scene = await start()
  scene.files.set('/sys/bus/pci/devices/0000:00:19.0/uevent', 'DRIVER=vfio-pci\n')
  const netconf = { ...NETCONF, device: '', pciBusID: '0000:00:19.0' }
  const result = await add(scene, netconf)
  t.strictSame(result.interfaces, undefined)
  t.match(result.ips, [{ address: '10.1.0.5/24' }, {}])
  await plugin.check(scene.ports, scene.request('CHECK', netconf, { prevResult: result }))
  await del(scene)
  t.match(line(scene, 'up0'), 'up')
  t.notMatch(scene.dump(), /lease|attachment/)
})

const REFUSED: readonly [what: string, fields: object, error: { code: number; message: string }][] = [
  [
    'nothing to go by',
    { device: '' },
    { code: 7, message: 'specify either "device", "hwaddr", "kernelpath" or "pciBusID"' },
  ],
  [
    'a device that is not there',
    { device: 'gone' },
    { code: 999, message: 'failed to find host device: Link not found' },
  ],
  ['the loopback', { device: 'lo' }, { code: 999, message: 'failed to find host device: Link not found' }],
  [
    'a MAC that nobody has',
    { device: '', hwaddr: '02:00:00:00:00:99' },
    { code: 999, message: 'failed to find host device: failed to find physical interface' },
  ],
  [
    'a path outside /sys/devices',
    { device: '', kernelpath: '/sys/devices/../class' },
    {
      code: 7,
      message: 'kernel device path "/sys/devices/../class" must be absolute and begin with /sys/devices/',
    },
  ],
  [
    'a way out of the bus',
    { device: '', pciBusID: '../x' },
    { code: 7, message: 'pciBusID: "../x" is none' },
  ],
]
for (const [what, fields, error] of REFUSED)
  test(`ADD refuses ${what}, and leaves nothing`, async (t) => {
    const scene = await start()
    const before = scene.dump()
    await t.rejects(async () => add(scene, fields), error)
    t.equal(scene.dump(), before)
  })

test('ADD refuses a name that the pod has already', async (t) => {
  const scene = await start()
  const pod = scene.kernel.openNamespace('/run/netns/pod-1')
  await pod.rtnl.apply({ change: 'create link', link: { kind: 'veth', name: 'eth0', peer: { name: 'x' } } })
  pod.close()
  const before = scene.dump()
  await t.rejects(add(scene), { message: 'failed to rename device "up0" to "eth0": file exists' })
  t.equal(scene.dump(), before)
})

test('CHECK names what is different, GC sends home what is not valid, STATUS is ready', async (t) => {
  const scene = await start()
  const result = await add(scene)
  const pod = scene.kernel.openNamespace('/run/netns/pod-1')
  await pod.rtnl.apply({ change: 'set link', link: 'eth0', set: { up: false } })
  pod.close()
  await t.rejects(check(scene, result), { code: 100, message: /eth0 has up false, expected true/ })
  await plugin.status?.(scene.ports, scene.request('STATUS', NETCONF))
  await plugin.gc?.(scene.ports, scene.request('GC', { ...NETCONF, 'cni.dev/valid-attachments': [] }))
  t.match(line(scene, 'up0'), 'up mtu 1400')
})

test('DEL takes back what an ADD left that was killed at any moment', async (t) => {
  const moments = await killEach(
    start,
    (scene) => add(scene),
    async (scene, before, last) => {
      await del(scene, {}, { netns: '' })
      t.equal(onNode(scene.dump()), onNode(before), last)
      t.strictSame(scene.kernel.openHandles(), [])
    },
  )
  t.ok(moments > 5, `${moments} moments`)
})
