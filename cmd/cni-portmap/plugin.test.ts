// The plugin on a node in memory.

import { test } from 'tap'
import type { Command } from '../../lib/cni/request.ts'
import type { Result } from '../../lib/cni/result.ts'
import { IpAddress } from '../../lib/ip/address.ts'
import { Prefix } from '../../lib/ip/prefix.ts'
import { podwireTable } from '../../lib/nftables/masquerade-rules.ts'
import { makeScene, type Pod, type Scene } from '../../lib/testing/scene.ts'
import { plugin } from './plugin.ts'

const web = { HostPort: 8080, ContainerPort: 80, Protocol: 'tcp', HostIP: '' }
const dns = { HostPort: 53, ContainerPort: 53, Protocol: 'udp', HostIP: '' }
const netconf = (...portMappings: object[]) => ({
  cniVersion: '1.1.0',
  name: 'net',
  type: 'cni-portmap',
  runtimeConfig: { portMappings },
})
const pod = (number: number, more: Partial<Pod> = {}): Partial<Pod> => ({
  containerId: `pod-${number}`,
  prevResult: resultOf(number),
  ...more,
})

function resultOf(number: number): Result {
  return {
    interfaces: [{ name: 'br0' }, { name: 'eth0', sandbox: `/run/netns/pod-${number}` }],
    ips: [{ address: `10.1.0.${number}/24`, gateway: '10.1.0.1', interface: 1 }],
  }
}

/** With a bridge, and the pods' subnet on it. */
async function makeNode(): Promise<Scene> {
  const scene = makeScene()
  const { rtnl, sysctl } = scene.kernel.host
  await rtnl.apply(
    { change: 'create link', link: { kind: 'bridge', name: 'br0' } },
    { change: 'set link', link: 'br0', set: { up: true } },
  )
  const { index } = await rtnl.getLink('br0')
  await rtnl.apply({ change: 'add address', address: { dev: index, prefix: Prefix.parse('10.1.0.1/24') } })
  sysctl.announce('ipv4/conf/br0/route_localnet', '0')
  return scene
}

function call(scene: Scene, command: Command, conf: object, who: Partial<Pod>): Promise<unknown> {
  const request = scene.request(command, conf, who)
  const verb = command.toLowerCase() as 'add' | 'del' | 'check' | 'gc' | 'status'
  return plugin[verb]?.(scene.ports, request) ?? Promise.reject(new Error(`no ${verb}`))
}

const elements = (scene: Scene) => [...scene.dump().matchAll(/elements = (.*)/g)].map(([, text]) => text)

test('ADD maps ports, CHECK is content, and DEL leaves nothing but the switch of the link', async (t) => {
  const scene = await makeNode()
  scene.request('ADD', {}, pod(5))
  const before = scene.dump()
  t.strictSame(await call(scene, 'ADD', netconf(web, dns), pod(5)), resultOf(5))
  t.strictSame(elements(scene), [
    '{ tcp . 8080 comment "net pod-5 eth0" : 10.1.0.5 . 80, udp . 53 comment "net pod-5 eth0" : 10.1.0.5 . 53 }',
    '{ 10.1.0.5 comment "net pod-5 eth0" : goto hostport_from_10.1.0.0_24 }',
  ])
  await call(scene, 'CHECK', netconf(web, dns), pod(5))
  await call(scene, 'DEL', {}, { containerId: 'pod-5', netns: '' })
  await call(scene, 'DEL', {}, { containerId: 'pod-5', netns: '' })
  const left = scene
    .dump()
    .split('\n')
    .filter((line) => !before.includes(line))
  t.strictSame(left, ['sysctl ipv4/conf/br0/route_localnet 1'])
})

test('ADD passes the result on, and does nothing without ports', async (t) => {
  const scene = await makeNode()
  scene.request('ADD', {}, pod(5))
  const before = scene.dump()
  t.strictSame(await call(scene, 'ADD', netconf(), pod(5)), resultOf(5))
  await call(scene, 'CHECK', netconf(), pod(5))
  await call(scene, 'DEL', netconf(), pod(5))
  t.equal(scene.dump(), before)
  await t.rejects(call(scene, 'ADD', netconf(web), { containerId: 'pod-5' }), {
    code: 7,
    message: 'must be called as chained plugin',
  })
})

test('a port that is taken is refused with who holds it, and nothing is left', async (t) => {
  const scene = await makeNode()
  const args = new Map([
    ['K8S_POD_NAMESPACE', 'shop'],
    ['K8S_POD_NAME', 'web-0'],
  ])
  await call(scene, 'ADD', netconf(web), pod(5, { args }))
  scene.request('ADD', {}, pod(6))
  const before = scene.dump()
  await t.rejects(call(scene, 'ADD', netconf(dns, web), pod(6)), {
    code: 999,
    message:
      'host port 8080/tcp is taken by container pod-5 of pod shop/web-0 on network net, interface eth0',
    details: 'choose another port or hostIP, or end the holder first',
  })
  t.equal(scene.dump(), before)
  await call(scene, 'ADD', netconf({ ...web, Protocol: 'sctp' }, { ...web, HostIP: '192.0.2.1' }), pod(6))
})

test('the holder of a port has a name, and no namespace, where the runtime knows none', async (t) => {
  const scene = await makeNode()
  await call(scene, 'ADD', netconf(web), pod(5, { args: new Map([['K8S_POD_NAME', 'd1']]) }))
  await t.rejects(call(scene, 'ADD', netconf(web), pod(6)), {
    message: 'host port 8080/tcp is taken by container pod-5 of pod d1 on network net, interface eth0',
  })
})

test('a port of a pod whose namespace is gone is free', async (t) => {
  const scene = await makeNode()
  await call(scene, 'ADD', netconf(web, dns), pod(5))
  scene.kernel.removeNamespace('/run/netns/pod-5')
  await call(scene, 'ADD', netconf(web), pod(6))
  t.strictSame(elements(scene), [
    '{ tcp . 8080 comment "net pod-6 eth0" : 10.1.0.6 . 80 }',
    '{ 10.1.0.6 comment "net pod-6 eth0" : goto hostport_from_10.1.0.0_24 }',
  ])
})

test('a port of one that has no record is kept', async (t) => {
  const scene = await makeNode()
  await call(scene, 'ADD', netconf(web), pod(5))
  scene.ports.attachments.delete({
    plugin: 'cni-portmap',
    network: 'net',
    containerId: 'pod-5',
    ifname: 'eth0',
  })
  await t.rejects(call(scene, 'ADD', netconf(web), pod(6)), {
    message: 'host port 8080/tcp is taken by container pod-5 on network net, interface eth0',
    details: /^nothing is recorded of the holder/,
  })
  await call(scene, 'ADD', netconf(web), pod(5)) // its own it takes over
  await call(scene, 'CHECK', netconf(web), pod(5))
})

test('DEL takes away what has no record, by its owner', async (t) => {
  const scene = await makeNode()
  await call(scene, 'ADD', netconf(web), pod(5))
  await call(scene, 'ADD', netconf(dns), pod(6))
  scene.ports.attachments.delete({
    plugin: 'cni-portmap',
    network: 'net',
    containerId: 'pod-5',
    ifname: 'eth0',
  })
  await call(scene, 'DEL', {}, { containerId: 'pod-5' })
  t.notMatch(scene.dump(), 'pod-5 eth0')
  await call(scene, 'CHECK', netconf(dns), pod(6))
})

test('one network of a container goes, and the ports of its other stay', async (t) => {
  const scene = await makeNode()
  await call(scene, 'ADD', netconf(web), pod(5))
  const other: Result = {
    interfaces: [{ name: 'eth1', sandbox: '/run/netns/pod-5' }],
    ips: [{ address: '10.2.0.5/24', interface: 0 }],
  }
  await call(scene, 'ADD', netconf(dns), pod(5, { ifname: 'eth1', prevResult: other }))
  await call(scene, 'DEL', {}, pod(5, { ifname: 'eth1', netns: '' }))
  t.notMatch(scene.dump(), 'eth1"')
  await call(scene, 'CHECK', netconf(web), pod(5))
})

test('CHECK names what is missing, ADD of another pod and repair bring it back', async (t) => {
  const scene = await makeNode()
  const { nft, sysctl } = scene.kernel.host
  await call(scene, 'ADD', netconf(web), pod(5))
  await nft.apply([{ verb: 'delete', table: podwireTable }])
  sysctl.set({ key: 'ipv4/conf/br0/route_localnet', value: '0' })
  await t.rejects(call(scene, 'CHECK', netconf(web), pod(5)), {
    code: 100,
    message: new RegExp(
      'chain inet podwire hostports: missing.*element inet podwire hostport_ipv4 { tcp . 8080 }: missing; ' +
        'node has sysctl net/ipv4/conf/br0/route_localnet 0, expected 1$',
    ),
  })
  await call(scene, 'ADD', netconf(dns), pod(6))
  await call(scene, 'CHECK', netconf(web), pod(5))
  await nft.apply([{ verb: 'delete', table: podwireTable }])
  sysctl.set({ key: 'ipv4/conf/br0/route_localnet', value: '0' })
  const { mended = [], left } = (await plugin.repair?.(scene.ports, scene.request('CHECK', {}, pod(5)))) ?? {}
  t.strictSame(left, [])
  t.ok(mended.includes('element inet podwire hostport_ipv4 { tcp . 8080 }: missing'))
  for (const number of [5, 6]) await call(scene, 'CHECK', netconf(number === 5 ? web : dns), pod(number))
  t.strictSame(await plugin.repair?.(scene.ports, scene.request('CHECK', {}, pod(5))), {
    mended: [],
    left: [],
  })
})

test('ADD and DEL forget the connections that would miss the pod', async (t) => {
  const scene = await makeNode()
  const { conntrack } = scene.kernel.host
  conntrack.add(
    { orig: ['192.0.2.9', '10.1.0.1'], port: 53 },
    { orig: ['192.0.2.9', '8.8.8.8'], port: 53 },
    { orig: ['192.0.2.9', '10.1.0.1'], port: 8080, protocol: 6 },
  )
  const connections = () => scene.dump().match(/connection .*/g)
  await call(scene, 'ADD', netconf(web, dns), pod(5))
  const untouched = [
    'connection 192.0.2.9 > 10.1.0.1, 10.1.0.1 > 192.0.2.9',
    'connection 192.0.2.9 > 8.8.8.8, 8.8.8.8 > 192.0.2.9',
  ]
  t.strictSame(connections(), untouched)
  conntrack.add({
    orig: ['192.0.2.9', '10.1.0.1'],
    reply: ['10.1.0.5', '192.0.2.9'],
    port: 8080,
    protocol: 6,
  })
  await call(scene, 'DEL', {}, { containerId: 'pod-5', netns: '' })
  t.strictSame(connections(), untouched)
})

test('ADD takes everything back when a step fails', async (t) => {
  for (const failing of ['record the attachment', 'destroy element', 'add table', 'route_localnet']) {
    const scene = await makeNode()
    scene.request('ADD', {}, pod(5))
    const before = scene.dump()
    let isReached = false
    scene.refuse = (operation) => {
      if (!operation.includes(failing) || isReached) return undefined
      isReached = true
      return 'EPERM'
    }
    await t.rejects(call(scene, 'ADD', netconf(web), pod(5)), failing)
    t.ok(isReached, `${failing} is reached`)
    t.equal(scene.dump(), before, failing)
  }
})

test('GC takes what is not valid, also what has no record', async (t) => {
  const scene = await makeNode()
  for (const number of [5, 6, 7])
    await call(scene, 'ADD', netconf({ ...web, HostPort: 8000 + number }), pod(number))
  scene.ports.attachments.delete({
    plugin: 'cni-portmap',
    network: 'net',
    containerId: 'pod-6',
    ifname: 'eth0',
  })
  const valid = (...ids: string[]) => ({
    ...netconf(),
    'cni.dev/valid-attachments': ids.map((containerID) => ({ containerID, ifname: 'eth0' })),
  })
  await call(scene, 'GC', netconf(), {})
  t.match(scene.dump(), 'pod-6 eth0', 'without a list, what has no record may be alive')
  const found = await plugin.findGarbage?.(scene.ports, scene.request('GC', valid('pod-7')))
  t.strictSame(
    found?.map(({ what, why }) => `${what}: ${why}`),
    [
      'attachment of network net, container pod-5, interface eth0 (cni-portmap): its attachment is not valid',
      'host port: element inet podwire hostport_ipv4 { tcp . 8006 } (net pod-6 eth0): no attachment is recorded for it, and its owner is not valid',
      'host port: element inet podwire hostport_masquerade_ipv4 { 10.1.0.6 } (net pod-6 eth0): no attachment is recorded for it, and its owner is not valid',
    ],
  )
  await call(scene, 'GC', valid('pod-7'), {})
  t.notMatch(scene.dump(), /pod-[56] eth0/)
  await call(scene, 'CHECK', netconf({ ...web, HostPort: 8007 }), pod(7))
})

test('STATUS is ready on a fresh node, and says what pods have lost', async (t) => {
  const scene = await makeNode()
  await call(scene, 'STATUS', netconf(), {})
  await call(scene, 'ADD', netconf(web), pod(5))
  await scene.kernel.host.nft.apply([{ verb: 'flush', table: podwireTable }])
  await call(scene, 'STATUS', netconf(), {}) // it may be in the making
  scene.nowMs += 20_000
  await t.rejects(call(scene, 'STATUS', netconf(), {}), {
    code: 51,
    message: /^host ports of pods are lost: chain inet podwire hostports: no rule(?!.*are lost)/,
    details: 'podwire repair',
  })
  const bare = makeScene({ nftables: 'none' })
  await t.rejects(call(bare, 'STATUS', netconf(), {}), { code: 50, details: /^host ports need a kernel/ })
})

test('route_localnet is set on the link to the pod, not on a default route’s', async (t) => {
  const scene = makeScene()
  const { rtnl } = scene.kernel.host
  await rtnl.apply({ change: 'create link', link: { kind: 'bridge', name: 'up0' } })
  await rtnl.apply({ change: 'set link', link: 'up0', set: { up: true } })
  const { index } = await rtnl.getLink('up0')
  await rtnl.apply(
    { change: 'add address', address: { dev: index, prefix: Prefix.parse('192.0.2.1/24') } },
    {
      change: 'add route',
      route: { dst: Prefix.parse('0.0.0.0/0'), dev: index, gateway: IpAddress.parse('192.0.2.254') },
    },
  )
  await call(scene, 'ADD', netconf(web), pod(5))
  t.notMatch(scene.dump(), 'route_localnet')
})
