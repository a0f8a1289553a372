import { test } from 'tap'
import { MemoryLeaseStore } from '../ipam/lease-store-memory.ts'
import { makeScene } from '../testing/scene.ts'
import { type Step, steppedPorts } from './steps.ts'

/** Ports on a node in memory, and the text of each step that was taken. */
function watched() {
  const scene = makeScene()
  const leases = new MemoryLeaseStore('boot-1')
  const given = Object.create(scene.ports, { leases: { value: () => leases } })
  const steps: Step[] = []
  const ports = steppedPorts(given, (step) => steps.push(step))
  const texts = () =>
    steps.map(({ kind, does, where, lines }) => `${kind} ${does} ${where}: ${lines().join('; ')}`)
  return { scene, ports, steps, texts }
}

test('steps are told as the commands that do the same, links and namespaces by their names', async (t) => {
  const { scene, ports, texts } = watched()
  scene.kernel.addNamespace('/run/netns/a')
  const { rtnl, sysctl } = ports.kernel.host
  const pod = ports.kernel.openNamespace('/run/netns/a')
  await rtnl.apply({ change: 'create link', link: { kind: 'bridge', name: 'br0' } })
  const { index } = await rtnl.getLink('br0')
  const peer = { name: 'eth0', netnsFd: pod.fd }
  await rtnl.apply({ change: 'create link', link: { kind: 'veth', name: 'veth1', master: index, peer } })
  sysctl.set({ key: 'ipv4/ip_forward', value: '1' })
  await pod.rtnl.apply({ change: 'set link', link: 'eth0', set: { up: true } })
  t.same(texts(), [
    'namespace look pod: open /run/netns/a',
    'links change node: ip link add name br0 type bridge',
    'links look node: ip link show dev br0',
    'links change node: ip link add name veth1 master br0 type veth peer name eth0 netns /run/netns/a',
    'sysctl change node: sysctl -w net/ipv4/ip_forward=1',
    'links change pod: ip link set dev eth0 up',
  ])
})

test('stores, firewall and connections are steps, too', async (t) => {
  const { ports, texts } = watched()
  const { nft } = ports.kernel.host
  ports.leases('/x').transaction(() => undefined)
  ports.leases('/x').read(() => undefined)
  ports.attachments.list()
  await nft.apply([{ verb: 'add', table: { family: 'inet', name: 'podwire' } }])
  await nft.listTables()
  t.same(texts(), [
    'leases change node: a transaction of the leases in /x',
    'leases look node: look at the leases in /x',
    'records look node: look at the records',
    'nftables change node: nft add table inet podwire',
    'nftables look node: nft list tables',
  ])
})

test('a step that fails is told as failed, and fails the caller as before', async (t) => {
  const { ports, steps } = watched()
  await t.rejects(ports.kernel.host.rtnl.getLink('gone'), { code: 'ENODEV' })
  t.throws(() => ports.kernel.openNamespace('/nowhere'))
  t.same(
    steps.map(({ hasFailed }) => hasFailed),
    [true, true],
  )
})

test('steps follow each other in time', async (t) => {
  const { ports, steps } = watched()
  for (const name of ['br0', 'br1'])
    await ports.kernel.host.rtnl.apply({ change: 'create link', link: { kind: 'bridge', name } })
  const [first, second] = steps as [Step, Step]
  t.ok(first.durationMs >= 0 && first.atMs >= 0)
  t.ok(second.atMs >= first.atMs + first.durationMs)
})
