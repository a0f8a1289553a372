// What a plugin asks of its ports, seen by the watch.

import { setImmediate as nextTurn } from 'node:timers/promises'
import { test } from 'tap'
import type { Namespace } from '../host/kernel.ts'
import { LazyNft } from '../host/lazy-ports.ts'
import type { Ports } from '../host/ports.ts'
import { IpAddress } from '../ip/address.ts'
import { MemoryLeaseStore } from '../ipam/lease-store-memory.ts'
import type { NftTable } from '../nftables/table.ts'
import { makeScene } from '../testing/scene.ts'
import { CallWatch, operationName } from './call-watch.ts'
import { LoopStretches } from './loop-stretches.ts'
import { CallPorts } from './timed-ports.ts'
import { STEPS } from './timed-steps.ts'

function open(ports: Ports = makeScene().ports) {
  const refused: string[] = []
  const watch = new CallWatch({
    holding: { verb: 'ADD', plugin: 'p' },
    stretches: new LoopStretches(() => 0),
    refusals: {
      kernelRefused: (operation, errno) => void refused.push(`kernel ${operation} ${errno}`),
      storeRefused: (operation, code) => void refused.push(`store ${operation} ${code}`),
    },
  })
  const leases = () => new MemoryLeaseStore('boot-1')
  const asked = () => STEPS.filter((_, i) => watch.spentMs[i] !== undefined)
  return { watch, refused, asked, ports: new CallPorts(ports, { ...ports, leases }, watch) }
}

test('what is asked of each port is a step of its own', async (t) => {
  const scene = makeScene()
  scene.kernel.addNamespace('/run/netns/pod-1')
  const rows: [step: string, ask: (ports: Ports) => unknown][] = [
    ['links', ({ kernel }) => kernel.host.rtnl.listLinks()],
    ['nftables', ({ kernel }) => kernel.host.nft.listTables()],
    ['sysctl', ({ kernel }) => kernel.host.sysctl.find('ipv4/ip_forward')],
    ['connections', ({ kernel }) => kernel.host.conntrack.flush([IpAddress.parse('10.1.0.5')], 1)],
    ['pod', ({ kernel }) => kernel.openNamespace('/run/netns/pod-1').close()],
    ['pod', ({ kernel }) => kernel.openNamespace('/run/netns/pod-1').rtnl.listLinks()],
    ['pod', ({ kernel }) => kernel.openNamespace('/run/netns/pod-1').nft.listTables()],
    ['pod', ({ kernel }) => kernel.openNamespace('/run/netns/pod-1').sysctl.find('ipv4/ip_forward')],
    ['record', ({ attachments }) => attachments.list()],
    ['lease', ({ leases }) => leases('/d').read((reader) => reader.listHeld())],
    ['files', ({ files }) => files.find('/etc/resolv.conf')],
    ['delegate', ({ delegates }) => delegates.exec.run({ file: 'x', stdin: '', environment: {} })],
  ]
  for (const [step, ask] of rows) {
    const { ports, asked } = open(scene.ports)
    await ask(ports)
    t.strictSame(asked(), [step], step)
  }
})

test('the ports answer as they would without a watch', async (t) => {
  const scene = makeScene()
  const { ports } = open(scene.ports)
  t.equal(ports.setMacs, scene.ports.setMacs, 'what one call has seen, the next knows')
  const own = scene.ports.kernel.host
  t.strictSame(await ports.kernel.host.rtnl.listLinks(), await own.rtnl.listLinks())
  t.equal(ports.kernel.host.fd, own.fd)
  t.ok(ports.leases('/d').upstream, 'what is no method is handed on')
  const again = open(scene.ports)
  t.strictSame(again.ports.attachments.list(), [], 'a second call, by the same class')
})

test('what is asked of a port is asked of that one, and of no other of its class', async (t) => {
  const scene = makeScene()
  scene.kernel.addNamespace('/run/netns/pod-1')
  const [node, pod] = [scene.ports.kernel.host, scene.ports.kernel.openNamespace('/run/netns/pod-1')]
  const lazily = (namespace: Namespace): Namespace =>
    Object.create(namespace, {
      inode: { value: namespace.inode },
      fd: { value: namespace.fd },
      rtnl: { value: namespace.rtnl },
      nft: { value: new LazyNft(async () => namespace.nft) },
    })
  const kernel = {
    host: lazily(node),
    openNamespace: () => lazily(pod),
    finish: async () => undefined,
    close: () => undefined,
  }
  const { ports } = open({ ...scene.ports, kernel })
  const table: NftTable = { family: 'inet', name: 'of-a-pod' }
  await ports.kernel.host.nft.listTables()
  await ports.kernel.openNamespace('/run/netns/pod-1').nft.apply([{ verb: 'add', table }])
  t.strictSame(await node.nft.listTables(), [])
  t.match(await pod.nft.listTables(), [{ name: 'of-a-pod' }])
})

test('requests that overlap are one wait, and what nobody was asked for is our own code', async (t) => {
  const { watch, ports } = open()
  await Promise.all([ports.kernel.host.rtnl.listLinks(), ports.kernel.host.rtnl.listLinks()])
  await nextTurn()
  const links = watch.spentMs[STEPS.indexOf('links')] ?? Number.NaN
  watch.finish(links + 7)
  const code = watch.spentMs[STEPS.indexOf('code')] ?? Number.NaN
  t.ok(Math.abs(code - 7) < 1e-6, `${code}`)
})

test('what kernel and stores refuse is counted, once, and thrown as it was', async (t) => {
  const scene = makeScene()
  const { ports, refused } = open(scene.ports)
  await t.rejects(ports.kernel.host.rtnl.getLink('none'), { code: 'ENODEV' })
  t.throws(() => ports.kernel.openNamespace('/nowhere'), { code: 'ENOENT' })
  scene.refuse = () => 'ENOSPC'
  t.throws(() => ports.attachments.probe())
  await nextTurn()
  t.strictSame(refused, ['kernel ip link show ENODEV', 'kernel open netns ENOENT', 'store write EFULL'])
})

test('an operation is called by its first words, and not by what it is about', (t) => {
  for (const [text, name] of [
    ['ip link add br0 type bridge', 'ip link add'],
    ['ip -4 addr add 10.1.0.1/24 dev br0', 'ip addr add'],
    ['add element inet podwire masquerade_ipv4 { 10.1.0.5 }', 'add element'],
    ['list links', 'list links'],
    ['write sysctl net/ipv4/ip_forward: EROFS: read-only file system', 'write sysctl'],
    ['ip link link link link', 'ip link link'],
    ['x"} 1\n', 'other'],
    ['', 'other'],
  ] as const)
    t.equal(operationName(text), name)
  t.end()
})
