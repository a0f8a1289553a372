// The plugin on the kernel, with frames: a node, pods on its bridge, and a host outside.

import { type Test, test } from 'tap'
import type { Command } from '../../lib/cni/request.ts'
import type { Result } from '../../lib/cni/result.ts'
import { type KernelOptions, LiveKernel } from '../../lib/host/kernel.ts'
import type { Ports } from '../../lib/host/ports.ts'
import { Relay } from '../../lib/netlink/relay.ts'
import { makeNamespace, type TestNamespace } from '../../lib/testing/netns.ts'
import { makeScene } from '../../lib/testing/scene.ts'
import { NETCONF } from './node.fixture.ts'
import { plugin } from './plugin.ts'

/** Reaches it, or gives up after a second. */
function reaches(from: TestNamespace, to: string): boolean {
  try {
    from.run('ping', '-c', '1', '-W', '1', to)
    return true
  } catch {
    return false
  }
}

function makeWorld(t: Test, options: KernelOptions = {}) {
  const [node, outside] = [makeNamespace(t, 'node'), makeNamespace(t, 'out')]
  node.run('ip', 'link', 'add', 'up0', 'type', 'veth', 'peer', 'name', 'eth0', 'netns', outside.name)
  for (const [ns, link, address] of [
    [node, 'up0', '192.0.2.1/24'],
    [outside, 'eth0', '192.0.2.2/24'],
  ] as const) {
    ns.run('ip', 'link', 'set', link, 'up')
    ns.run('ip', 'addr', 'add', address, 'dev', link)
  }
  node.run('ip', 'route', 'add', 'default', 'via', '192.0.2.2')
  const live = new LiveKernel(options)
  const host = live.openNamespace(node.path)
  t.teardown(() => host.close())
  const openNamespace = (path: string) => live.openNamespace(path)
  const kernel = { host, openNamespace, finish: () => live.finish(), close: () => undefined }
  const scene = makeScene()
  const ports: Ports = { ...scene.ports, kernel }
  const request = (command: Command, netconf: object, pod: TestNamespace, prevResult?: Result) => ({
    ...scene.request(command, netconf, { containerId: pod.name, netns: pod.path }),
    prevResult,
  })
  const add = async (netconf: object = NETCONF) => {
    const pod = makeNamespace(t, 'pod')
    const result = await plugin.add(ports, request('ADD', netconf, pod))
    const [address = ''] = (result.ips?.[0]?.address ?? '').split('/')
    return { pod, result, address }
  }
  return { node, outside, scene, ports, request, add }
}

test('a pod that takes another MAC reaches nobody when its MAC is checked', async (t) => {
  const { node, ports, request, add } = makeWorld(t)
  const checked = await add()
  const free = await add({ ...NETCONF, macspoofchk: false })
  t.ok(reaches(checked.pod, free.address) && reaches(checked.pod, '10.1.0.1'))
  const own = checked.result.interfaces?.[2]?.mac ?? ''
  const change = ({ pod }: { pod: TestNamespace }, mac: string) => {
    pod.run('ip', 'link', 'set', 'eth0', 'address', mac)
    pod.run('ip', 'neigh', 'flush', 'dev', 'eth0')
    node.run('ip', 'neigh', 'flush', 'dev', 'br0')
  }
  change(checked, '02:00:00:00:00:99')
  t.notOk(reaches(checked.pod, free.address), 'not the other pod')
  t.notOk(reaches(checked.pod, '10.1.0.1'), 'nor the node')
  t.notMatch(
    node.run('bridge', 'fdb', 'show', 'br', 'br0'),
    /02:00:00:00:00:99/,
    'and the bridge learns nothing',
  )
  change(checked, own)
  t.ok(reaches(checked.pod, free.address))
  change(free, '02:00:00:00:00:98')
  t.ok(reaches(free.pod, '10.1.0.1'), 'a pod that is not checked may')
  await plugin.del(ports, request('DEL', NETCONF, checked.pod))
  t.notMatch(node.run('nft', 'list', 'table', 'bridge', 'podwire'), /elements/)
  t.ok(reaches(free.pod, '10.1.0.1'), 'the other one stays')
})

test('STATUS blames a firewall that keeps pods in, and what it says lets them out', async (t) => {
  const { node, ports, request, add } = makeWorld(t)
  const { pod } = await add()
  const status = async () => plugin.status?.(ports, request('STATUS', NETCONF, pod))
  await status()
  t.ok(reaches(pod, '192.0.2.2'))
  node.run('iptables', '-P', 'FORWARD', 'DROP')
  t.notOk(reaches(pod, '192.0.2.2'))
  const error = await status().catch((thrown: { code: number; message: string; details: string }) => thrown)
  t.match(error, { code: 51, message: /chain ip filter FORWARD \(policy drop\) drops what pods on br0 send/ })
  for (const command of (error?.details ?? '').split('; ')) node.run('sh', '-c', command)
  t.ok(reaches(pod, '192.0.2.2'))
  await status()
})

const DRIFTS: readonly [name: string, command: string, found: RegExp][] = [
  ['nft flush ruleset', 'nft flush ruleset', /postrouting: missing.*masquerade_ipv4.*prerouting: missing/],
  ['a port was unplugged', 'ip link set veth01020304 nomaster', /has master none/],
  [
    'a port is no longer isolated',
    'bridge link set dev veth01020304 isolated off',
    /isolated false, expected true/,
  ],
  ['a port has another MTU', 'ip link set veth01020304 mtu 1400', /has mtu 1400, expected 1500/],
  ['the gateway’s address is gone', 'ip addr del 10.1.0.1/24 dev br0', /has no address 10.1.0.1\/24/],
  ['the bridge was set down', 'ip link set br0 down', /bridge br0 has up false/],
  [
    'forwarding was switched off',
    'echo 0 >/proc/sys/net/ipv4/ip_forward',
    /forwarding is off \(net\/ipv4\/ip_forward\)/,
  ],
]

test('repair mends what others took from a pod that runs', async (t) => {
  const { node, ports, request, add } = makeWorld(t)
  const netconf = { ...NETCONF, portIsolation: true }
  const { pod, result } = await add(netconf)
  const check = () => plugin.check(ports, request('CHECK', netconf, pod, result))
  await check()
  for (const [name, command, found] of DRIFTS) {
    node.run('sh', '-c', command)
    await t.rejects(check(), { code: 100, message: found }, name)
    const repaired = await plugin.repair?.(ports, request('CHECK', netconf, pod))
    t.strictSame(repaired?.left, [], name)
    await check()
    t.ok(reaches(pod, '192.0.2.2'), `${name}: the pod is well`)
  }
})

test('DEL forgets the connections of a masqueraded pod', async (t) => {
  const { node, ports, request, add } = makeWorld(t)
  const [gone, stays] = [await add(), await add()]
  for (const { pod } of [gone, stays]) t.ok(reaches(pod, '192.0.2.2'))
  const tracked = () => node.run('conntrack', '-L')
  t.match(tracked(), `src=${gone.address} `)
  await plugin.del(ports, request('DEL', NETCONF, gone.pod))
  t.notMatch(tracked(), `src=${gone.address} `)
  t.match(tracked(), `src=${stays.address} `)
})

test('a vlan is in force, or refused with nothing left where the kernel has none', async (t) => {
  const { node, scene, ports, request } = makeWorld(t)
  const netconf = { ...NETCONF, vlan: 100 }
  const pod = makeNamespace(t, 'pod')
  const links = () => [
    node.run('ip', '-o', 'link'),
    pod.run('ip', '-o', 'link'),
    scene.ports.attachments.list(),
  ]
  const before = links()
  const added = await plugin.add(ports, request('ADD', netconf, pod)).catch((error: Error) => error)
  if (added instanceof Error) {
    t.match(added, {
      message: 'bridge "br0" cannot filter VLANs: the kernel lacks CONFIG_BRIDGE_VLAN_FILTERING',
      remedy: /CONFIG_BRIDGE_VLAN_FILTERING=y/,
    })
    return t.strictSame(links(), before)
  }
  t.ok(reaches(pod, '10.1.0.1'))
  await plugin.check(ports, request('CHECK', netconf, pod, added))
})

test('ADD asks the kernel six times, and once more with masquerade', async (t) => {
  let asked = 0
  const relay = new Relay({ isWanted: () => true, onAnswered: () => asked++ })
  const { add } = makeWorld(t, { relay })
  for (const [ipMasq, expected] of [
    [false, 6],
    [true, 7],
  ] as const) {
    await add({ ...NETCONF, macspoofchk: false, ipMasq }) // finds what to make and to read once
    asked = 0
    await add({ ...NETCONF, macspoofchk: false, ipMasq })
    t.equal(asked, expected)
  }
})
