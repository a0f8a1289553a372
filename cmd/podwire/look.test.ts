// `podwire pools`, `status`, `check` and `show`, on a node in memory.

import { mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Test, test } from 'tap'

import type { Hostport } from '../../lib/hostport/hostport.ts'
import { addHostports, removeHostports } from '../../lib/hostport/hostport-table.ts'
import { IpAddress } from '../../lib/ip/address.ts'
import { allocate } from '../../lib/ipam/allocator.ts'
import type { Pod } from '../../lib/ipam/lease-store.ts'
import { MemoryLeaseStore } from '../../lib/ipam/lease-store-memory.ts'
import { parseRangeSets } from '../../lib/ipam/range-set.ts'
import { podwireTable } from '../../lib/nftables/masquerade-rules.ts'
import { makeNode } from './node.fixture.ts'

/** A directory that has leases: 1 of 5 addresses. The store itself is in memory. */
function makeLeases(t: Test, pod: Pod = { podNamespace: 'demo', podName: 'web' }) {
  const directory = t.testdir({ 'podwire-leases.db': '' })
  const store = new MemoryLeaseStore('boot-1')
  const sets = parseRangeSets({ subnet: '10.1.0.0/29' })
  store.transaction((tx) =>
    allocate(tx, { network: 'net', containerId: 'web', ifname: 'eth0', ...pod, sets, nowMs: 940_000 }),
  )
  return { directory, store }
}

test('podwire pools tells how full a range is, and who holds an address longest', async (t) => {
  const { directory, store } = makeLeases(t)
  const { podwire } = makeNode({ leases: store })
  // The machine's own directory may have leases, too: a store in memory is the same for every directory.
  const { stdout } = await podwire('pools', '--data-dir', directory, '-o', 'wide')
  const isOurs = (line: string) => line.endsWith(directory) || !line.includes('/')
  t.equal(
    stdout
      .split('\n')
      .filter((line, at) => at === 0 || isOurs(line))
      .join('\n'),
    `NETWORK  RANGE              USED  FREE  TOTAL  FULL  OLDEST                   DIRECTORY
net      10.1.0.1-10.1.0.6  1     4     5      20%   60s demo/web (10.1.0.2)  ${directory}
`,
  )
  const pools = JSON.parse((await podwire('pools', '--data-dir', directory, '-o', 'json')).stdout)
  t.match(
    pools.filter(({ dataDir }: { dataDir: string }) => dataDir === directory),
    [{ network: 'net', used: 1, free: 4, total: 5, oldest: { pod: { name: 'web' } }, dataDir: directory }],
  )
  const none = await podwire('pools', '--data-dir', directory, '--network', 'other')
  t.equal(none.stdout, 'no address of network other was handed out since the node booted\n')
  t.match(await podwire('pools', '--data-dir', '/nope'), {
    exitStatus: 1,
    stderr: '/nope has no leases of Podwire',
  })
})

test('a pod without a namespace, as podman’s are, is called by its name alone', async (t) => {
  const { directory, store } = makeLeases(t, { podName: 'd1' })
  const { attach, podwire } = makeNode({ leases: store })
  await attach('d1', '')
  const look = async (...words: string[]) => (await podwire(...words, '--conf-dir', '/nonexistent')).stdout
  t.equal(await look('check'), 'd1 eth0 (net): ok\n1 attachment as ADD made it\n')
  t.match(await look('show', 'd1'), /^pod +d1$/m)
  t.match((await podwire('pools', '--data-dir', directory)).stdout, / d1 \(10\.1\.0\.2\)/)
})

test('podwire check and show tell what somebody has changed', async (t) => {
  const { scene, attach, podwire } = makeNode()
  await attach('web')
  t.strictSame(await podwire('check', '--conf-dir', '/nonexistent'), {
    exitStatus: 0,
    stderr: '',
    stdout: 'demo/web eth0 (net): ok\n1 attachment as ADD made it\n',
  })
  const whole = await podwire('show', 'demo/web', '--conf-dir', '/nonexistent')
  t.match(whole, { exitStatus: 0, stdout: /CHECK: all as ADD made it\n$/ })
  t.notMatch(whole.stdout, /^!/m)

  await scene.kernel.host.nft.apply([{ verb: 'delete', table: podwireTable }])
  await scene.kernel.host.rtnl.apply({ change: 'set link', link: 'br0', set: { up: false } })
  const drifted = await podwire('check', 'web', '--conf-dir', '/nonexistent')
  t.match(drifted, {
    exitStatus: 1,
    stdout:
      /^demo\/web eth0 \(net\): drifted\n {2}bridge br0 has up false, expected true\n.*1 of 1 attachment drifted/s,
  })
  const shown = await podwire('show', 'web', '--conf-dir', '/nonexistent')
  t.equal(shown.exitStatus, 1)
  t.match(shown.stdout, /^! +node: bridge br0 +state +up +down$/m)
  t.match(shown.stdout, /^! +node: nftables +masquerade +10\.1\.0\.5 beyond 10\.1\.0\.0\/24 +missing$/m)
  t.match(shown.stdout, /^ +address +10\.1\.0\.5\/24 +10\.1\.0\.5\/24$/m)
  const [data] = JSON.parse((await podwire('show', 'web', '-o', 'json')).stdout)
  t.match(data, { drifts: [/bridge br0/], records: [{ plugin: 'cni-bridge', record: { bridge: 'br0' } }] })
  t.strictSame(scene.kernel.openHandles(), [], 'namespaces are closed')
})

test('podwire show minds what a later plugin has changed', async (t) => {
  const { scene, attach, podwire } = makeNode()
  await attach('web')
  const { attachments, kernel } = scene.ports
  const record = {
    netns: '/run/netns/web',
    inode: 'x',
    sysctls: [],
    link: { index: 2, set: { mtu: 1400 }, before: {} },
  }
  const key = { plugin: 'cni-later', network: 'net', containerId: 'web', ifname: 'eth0' }
  attachments.put({ ...key, netns: record.netns, record, bootId: 'boot-1', createdAtMs: 5, isComplete: true })
  const pod = kernel.openNamespace('/run/netns/web')
  await pod.rtnl.apply({ change: 'set link', link: 'eth0', set: { mtu: 1400 } })
  pod.close()
  const { stdout, exitStatus } = await podwire('show', 'web', '--conf-dir', '/nonexistent')
  t.equal(exitStatus, 0, stdout)
  t.notMatch(stdout, /^!/m)
  t.match((await podwire('list', '-o', 'wide')).stdout, / 1400 /)
})

test('podwire show tells host ports, and whose they are', async (t) => {
  const { scene, attach, podwire } = makeNode()
  await attach('web')
  const address = IpAddress.parse('10.1.0.5')
  const hostport: Hostport = { protocol: 'tcp', port: 8080, address, podPort: 80 }
  const { attachments, kernel } = scene.ports
  const record = { hostports: [{ ...hostport, address: String(address) }], masquerades: [], localnet: null }
  const key = { plugin: 'cni-portmap', network: 'net', containerId: 'web', ifname: 'eth0' }
  const netns = '/run/netns/web'
  attachments.put({ ...key, netns, record, bootId: 'boot-1', createdAtMs: 5, isComplete: true })
  const row = async () => /host port .*$/m.exec((await podwire('show', 'web')).stdout)?.[0]
  t.match(await row(), /^host port +8080\/tcp to 10\.1\.0\.5:80 +missing$/)
  await addHostports(kernel.host.nft, { hostports: [hostport], masquerades: [] }, 'net web eth0')
  t.match(await row(), /^host port +8080\/tcp to 10\.1\.0\.5:80 +8080\/tcp to 10\.1\.0\.5:80$/)
  await removeHostports(kernel.host.nft, { hostports: [hostport], masquerades: [] }, 'net web eth0')
  await addHostports(kernel.host.nft, { hostports: [hostport], masquerades: [] }, 'net api eth0')
  t.match(await row(), /^host port +8080\/tcp to 10\.1\.0\.5:80 +of net api eth0$/)
})

test('podwire check says what is gone, and what it cannot ask', async (t) => {
  const { scene, attach, podwire } = makeNode()
  await attach('web')
  const at = {
    network: 'net',
    ifname: 'eth0',
    bootId: 'boot-1',
    createdAtMs: 0,
    isComplete: true,
    record: {},
  }
  const { attachments } = scene.ports
  attachments.put({ ...at, plugin: 'cni-newer', containerId: 'web', netns: '/run/netns/web' })
  attachments.put({ ...at, plugin: 'cni-bridge', containerId: 'gone', netns: '/run/netns/gone' })
  const { stdout, exitStatus } = await podwire('check', '--conf-dir', '/nonexistent')
  t.equal(exitStatus, 1)
  t.match(stdout, /gone eth0 \(net\): drifted\n {2}network namespace \/run\/netns\/gone is gone/)
  t.match(stdout, /demo\/web eth0 \(net\): ok\n {2}not checked: there is no plugin cni-newer here\n/)
})

test('podwire show wants to know which pod is meant', async (t) => {
  const { attach, podwire } = makeNode()
  for (const name of ['web-0', 'web-1']) await attach(name)
  t.match(await podwire('show', 'nobody'), {
    exitStatus: 1,
    stderr: 'podwire show: no pod and no container "nobody" is attached\n  podwire list names them all\n',
  })
  t.match(await podwire('show', 'web-'), {
    exitStatus: 1,
    stderr: /"web-" is more than one: demo\/web-0, demo\/web-1/,
  })
})

/** A daemon that tells only this of itself. */
async function serve(t: Test, status: object): Promise<string> {
  const directory = mkdtempSync(join(tmpdir(), 'podwire-')) // a socket's path is short
  t.teardown(() => rmSync(directory, { recursive: true }))
  const path = join(directory, 'd.sock')
  const server = createServer((_, response) => response.end(JSON.stringify(status)))
  await new Promise<void>((resolve) => server.listen(path, resolve))
  t.teardown(() => server.close())
  return path
}

const STATUS = {
  version: '1.2.2',
  pid: 4711,
  ready: true,
  startedAt: new Date(940_000).toISOString(),
  running: 1,
  waiting: 0,
  residentBytes: 50 << 20,
  eventLoopDelayMaxMs: 3.04,
  longestStretches: [
    {
      verb: 'ADD',
      plugin: 'cni-bridge',
      ms: 2.26,
      cpuMs: 1.5,
      steps: { lease: 0.2, links: 0.9, pod: 0.4, sysctl: 0.1 },
    },
    { verb: 'DEL', plugin: 'cni-bridge', ms: 1, cpuMs: 0.5, steps: {} },
  ],
  abandoned: 4,
  calls: [
    { plugin: 'cni-bridge', verb: 'ADD', succeeded: 3, failed: 1, totalMs: 10, p99Ms: 5, perMinute: 0.8 },
    {
      plugin: 'cni-bridge',
      verb: 'DEL',
      succeeded: 1,
      failed: 0,
      totalMs: 20000,
      p99Ms: null,
      perMinute: 0.2,
    },
  ],
  leftToCaller: { 'the daemon is stopping': 2 },
  lastErrors: [
    {
      at: new Date(990_000).toISOString(),
      plugin: 'cni-bridge',
      verb: 'ADD',
      containerId: 'x',
      message: 'no (code 7)',
    },
  ],
}

test('podwire status tells what the daemon says, and what is in the stores', async (t) => {
  const { attach, podwire } = makeNode()
  await attach('web')
  const socket = await serve(t, STATUS)
  const { stdout, exitStatus } = await podwire('status', '--socket', socket)
  t.equal(exitStatus, 0)
  t.equal(
    stdout,
    `Version      1.2.3
Daemon       serving at ${socket}, pid 4711, for 60s, version 1.2.2
Calls        1 running, 0 waiting; 50 MiB resident
Not served   2 (the daemon is stopping)
Abandoned    4: the caller did not wait for the answer
Event loop   3.0 ms late at most; held longest by cni-bridge ADD: 2.3 ms (CPU 1.5, links 0.9, pod 0.4, lease 0.2)
Attachments  1 in 1 network

PLUGIN      VERB  DONE  FAILED  MEAN        99% BELOW  A MINUTE
cni-bridge  ADD   3     1       2.5 ms      5 ms       0.8
cni-bridge  DEL   1     0       20000.0 ms  long       0.2

LAST ERRORS  PLUGIN      VERB  CONTAINER  MESSAGE
10s          cni-bridge  ADD   x          no (code 7)
`,
  )
  const data = JSON.parse((await podwire('status', '--socket', socket, '-o', 'json')).stdout)
  t.match(data, { version: '1.2.3', daemon: { pid: 4711 }, attachments: { count: 1, gone: 0 }, pools: [] })
})

test('podwire status tells what an older daemon tells', async (t) => {
  const { podwire } = makeNode()
  const { eventLoopDelayMaxMs: _, longestStretches: __, abandoned: ___, ...older } = STATUS
  const calls = [{ plugin: 'cni-bridge', verb: 'ADD', succeeded: 3, failed: 1, totalMs: 10 }]
  const { stdout } = await podwire('status', '--socket', await serve(t, { ...older, calls }))
  t.match(stdout, /^cni-bridge +ADD +3 +1 +2\.5 ms +-$/m)
  t.notMatch(stdout, /Event loop|Abandoned/)
})

test('podwire status tells of the stores without a daemon', async (t) => {
  const { attach, podwire } = makeNode()
  await attach('web')
  const { stdout, exitStatus } = await podwire('status')
  t.equal(exitStatus, 0)
  t.match(
    stdout,
    /^Daemon +none at \/nonexistent\/podwire\.sock: each call is served by a process of its own$/m,
  )
  t.match(stdout, /^Attachments +1 in 1 network$/m)
})

test('podwire status fails when a daemon is there and does not serve', async (t) => {
  const { podwire } = makeNode()
  const starting = await serve(t, { ...STATUS, ready: false })
  t.match(await podwire('status', '--socket', starting), { exitStatus: 1, stdout: /not ready/ })
  const other = join(t.testdir({}), 'x')
  t.match(await podwire('status', '--socket', `${other}${'/long'.repeat(40)}`), {
    exitStatus: 1,
    stdout: /EINVAL.*\n +look at its log \(journalctl .* kubectl .*logs POD/,
  })
})
