// The daemon and the shim as a node sees them: whatever becomes of the daemon, a pod gets its network, no address is
// given twice, and nothing is left when the pods are gone.

import { execFileSync } from 'node:child_process'
import {
  chmodSync,
  existsSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { connect, type Socket } from 'node:net'
import { dirname, join } from 'node:path'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { t as root, type Test, test } from 'tap'
import { statField } from '../lib/state/process-stat.ts'
import { podwire } from './harness/contestant.ts'
import { shimmed } from './harness/daemon.ts'
import { type Namespace, TestNode } from './harness/node.ts'
import { DEADLINE_MS } from './harness/play-area.ts'
import { bridgeConfig, type Call, type Config, callPlugin } from './harness/plugin.ts'
import type { Exit } from './harness/process.ts'
import { readWorld } from './harness/world.ts'
import { traceCall } from './robustness/killed-call.ts'

root.setTimeout(DEADLINE_MS)

const FOREIGN_IPAM = `#!/bin/sh
cat >/dev/null
if [ "$CNI_COMMAND" = ADD ] && [ -z "$PODWIRE_RETRY" ]; then
  echo $$ >"$0.new" && mv "$0.new" "$0.pid"
  exec sleep 1000
fi
[ "$CNI_COMMAND" != ADD ] || echo '{"cniVersion":"1.0.0","ips":[{"address":"10.6.0.77/24","gateway":"10.6.0.1"}]}'
`

const RANGES = [[{ subnet: '10.6.0.0/24' }], [{ subnet: 'fd00:6::/64' }]]

/** A node with a daemon, on which a pod has been, so that what stays of a network is there. */
async function open(t: Test) {
  const node = await TestNode.create(shimmed())
  t.teardown(() => node.remove())
  const config: Config = bridgeConfig(node, { ranges: RANGES })
  const call = (command: string, pod: Namespace, more: Partial<Call> = {}) =>
    callPlugin(node, { type: podwire.bridge, command, pod, config, ...more })
  const pods: Namespace[] = []
  for (let i = 0; i < 6; i++) pods.push(await node.addPod(`p${i}`))
  const [first] = pods as [Namespace]
  for (const command of ['ADD', 'DEL']) t.equal((await call(command, first)).status, 0)
  const look = async () => [
    ...(await readWorld(node.name)),
    ...podwire.listLeases(node.dataDir),
    ...podwire.listAttachments(node.stateDir),
  ]
  return { node, config, call, pods, first, look, before: await look() }
}

type Scene = Awaited<ReturnType<typeof open>>

function requireSuccess(t: Test, exits: readonly Exit[], text: string): void {
  t.same(
    exits.filter(({ status, stderr }) => status !== 0 || stderr !== ''),
    [],
    text,
  )
}

function addressesOf({ stdout }: Exit): string[] {
  return (JSON.parse(stdout) as { ips: { address: string }[] }).ips.map(({ address }) => address)
}

/** What the daemon counts, by HTTP on its socket. */
function askStatus({ node }: Scene) {
  const args = ['-s', '-m', '10', '--unix-socket', node.socketPath, 'http://podwire/status']
  return JSON.parse(execFileSync('curl', args, { encoding: 'utf8' })) as {
    ready: boolean
    calls: { verb: string; succeeded: number }[]
    leftToCaller: Record<string, number>
  }
}

/** Names of the daemon's threads that are there from its start, as the kernel keeps them, with their niceness. */
function threadsOf({ node }: Scene): string[] {
  const tasks = `/proc/${node.daemon?.pid}/task`
  const threads = readdirSync(tasks).map((id) => {
    const stat = readFileSync(join(tasks, id, 'stat'), 'utf8')
    const name = stat.slice(stat.indexOf('(') + 1, stat.lastIndexOf(')'))
    return `${name} ${statField(stat, 19)}`
  })
  return threads.filter((thread) => !/^(?:libuv-worker 0|netlink-relay -20)$/.test(thread)).sort()
}

async function requireClean(t: Test, scene: Scene): Promise<void> {
  requireSuccess(t, await Promise.all(scene.pods.map((pod) => scene.call('DEL', pod))), 'every DEL')
  t.same(await scene.look(), scene.before, 'the world is as it was')
}

test('calls are answered by the daemon, and none is left to the caller', {
  timeout: DEADLINE_MS,
}, async (t) => {
  const scene = await open(t)
  const added = await Promise.all(scene.pods.map((pod) => scene.call('ADD', pod)))
  requireSuccess(t, added, 'every ADD')
  t.equal(new Set(added.flatMap(addressesOf)).size, 2 * scene.pods.length)
  const { calls, leftToCaller, ready } = askStatus(scene)
  t.equal(calls.find(({ verb }) => verb === 'ADD')?.succeeded, scene.pods.length + 1)
  t.same(leftToCaller, {})
  t.equal(ready, true)
  const threads = ['DelayedTaskSche 0', 'MainThread -20', 'V8Worker 0']
  t.same(threadsOf(scene), threads, 'none for a debugger')
  await requireClean(t, scene)
})

test('the socket and its directory are closed to others', { timeout: DEADLINE_MS }, async (t) => {
  const { node } = await open(t)
  t.equal(statSync(node.socketPath).mode & 0o777, 0o600)
  t.equal(statSync(dirname(node.socketPath)).mode & 0o777, 0o700)
})

test('a pod gets its network when no daemon is there, and a later daemon takes it back', async (t) => {
  const scene = await open(t)
  await scene.node.daemon?.end('SIGKILL')
  requireSuccess(t, [await scene.call('ADD', scene.first)], 'ADD without a daemon')
  await scene.node.restartDaemon()
  await requireClean(t, scene)
  t.same(askStatus(scene).leftToCaller, {})
})

test('a caller with many variables is heard when no daemon is there', { timeout: DEADLINE_MS }, async (t) => {
  const scene = await open(t)
  await scene.node.daemon?.end('SIGKILL')
  const many = Object.fromEntries(Array.from({ length: 5000 }, (_, i) => [`SERVICE_${i}`, 'x']))
  requireSuccess(t, [await scene.call('ADD', scene.first, { environment: many })], 'ADD')
  t.not((await scene.look()).join(), scene.before.join(), 'it was made')
  requireSuccess(t, [await scene.call('DEL', scene.first, { environment: many })], 'DEL')
  t.same(await scene.look(), scene.before)
})

test('a log that cannot be written costs no pod', { timeout: DEADLINE_MS }, async (t) => {
  const scene = await open(t)
  const own = { environment: { PODWIRE_LOG: '/dev/full' } }
  for (const command of ['ADD', 'DEL'])
    requireSuccess(t, [await scene.call(command, scene.first, own)], `${command} with a log of its own`)
  await scene.node.daemon?.end('SIGTERM')
  const daemon = await scene.node.restartDaemon({ wrapper: ['env', 'PODWIRE_LOG=/dev/full'] })
  await requireClean(t, scene)
  t.same(askStatus(scene).leftToCaller, {})
  t.equal(await daemon.end('SIGTERM'), 0)
})

test('a delegate of a killed daemon is ended by the second try', { timeout: DEADLINE_MS }, async (t) => {
  const scene = await open(t)
  // The daemon's does not end before the daemon does; that of the second try answers at once.
  const directory = t.testdir({ ipam: FOREIGN_IPAM })
  const file = join(directory, 'foreign-ipam')
  renameSync(join(directory, 'ipam'), file)
  chmodSync(file, 0o755)
  const config = { ...scene.config, ipam: { type: 'foreign-ipam' } }
  const directories = [shimmed().directory, directory]
  const answer = scene.call('ADD', scene.first, { config, directories })
  while (!existsSync(`${file}.pid`)) await nextTurn()
  const pid = readFileSync(`${file}.pid`, 'utf8').trim()
  await scene.node.daemon?.end('SIGKILL')
  const { status, stdout } = await answer
  t.equal(status, 0, stdout)
  t.match(stdout, '10.6.0.77/24')
  t.notOk(existsSync(`/proc/${pid}/exe`), 'it has ended')
  requireSuccess(t, [await scene.call('DEL', scene.first, { config, directories })], 'DEL')
})

test('a process of its own and the daemon go on with each other’s pods', {
  timeout: DEADLINE_MS,
}, async (t) => {
  const scene = await open(t)
  const alone = { environment: { PODWIRE_NO_DAEMON: '1' } }
  for (const [adding, other] of [
    [{}, alone],
    [alone, {}],
  ]) {
    const added = await scene.call('ADD', scene.first, adding)
    requireSuccess(t, [added], 'ADD')
    const config = { ...scene.config, prevResult: JSON.parse(added.stdout) }
    requireSuccess(t, [await scene.call('CHECK', scene.first, { ...other, config })], 'CHECK by the other')
    const again = await scene.call('ADD', scene.first, other)
    t.match(again.stdout, /is already attached/, 'a second ADD is refused by the other')
    requireSuccess(t, [await scene.call('CHECK', scene.first, { ...adding, config })], 'and takes nothing')
    requireSuccess(t, [await scene.call('DEL', scene.first, other)], 'DEL by the other')
    t.same(await scene.look(), scene.before)
  }
})

test('a pod gets its network when the daemon is stopped in its tracks', {
  timeout: DEADLINE_MS,
}, async (t) => {
  const scene = await open(t)
  scene.node.daemon?.kill('SIGSTOP')
  requireSuccess(t, [await scene.call('ADD', scene.first)], 'ADD beside a daemon that does not answer')
  requireSuccess(t, [await scene.call('DEL', scene.first)], 'DEL')
  const added = await scene.call('ADD', scene.first)
  requireSuccess(t, [added], 'ADD again')
  scene.node.daemon?.kill('SIGCONT')
  // It reads the three now, before this one: they were made by others, and are nobody's.
  const config = { ...scene.config, prevResult: JSON.parse(added.stdout) }
  requireSuccess(t, [await scene.call('CHECK', scene.first, { config })], 'the pod is as it was made last')
  await requireClean(t, scene)
})

test('nobody is harmed by clients that stall, lie or disappear', { timeout: DEADLINE_MS }, async (t) => {
  const scene = await open(t)
  const header = Buffer.from('PWIR\x01\x01\0\0', 'latin1')
  const length = (bytes: number) => Buffer.from(new Uint32Array([bytes]).buffer)
  const lies = [
    Buffer.alloc(0),
    Buffer.from('P'),
    Buffer.from('EHLO podwire\r\n'),
    Buffer.concat([header, length(0xffffffff)]),
    Buffer.concat([header, length(100), Buffer.from('cni-bridge\0')]),
    Buffer.concat([header, length(4), Buffer.from('\0\0\0\0')]),
    Buffer.from('GET /status HTTP/1.1\r\n'),
  ]
  const sockets: Socket[] = []
  for (let i = 0; i < 100; i++) {
    const socket = connect(scene.node.socketPath).on('error', () => undefined)
    socket.write(lies[i % lies.length] ?? '')
    if (i % 3 === 0) socket.destroy()
    sockets.push(socket)
  }
  const added = await Promise.all(scene.pods.map((pod) => scene.call('ADD', pod)))
  requireSuccess(t, added, 'every ADD')
  for (const socket of sockets) socket.destroy()
  await requireClean(t, scene)
  t.same(askStatus(scene).leftToCaller, {}, 'all by the daemon')
})

test('a daemon that is told to stop finishes, and the next goes on; no call fails', async (t) => {
  const scene = await open(t)
  const { node, pods, call } = scene
  const exits: Exit[] = []
  const keepCalling = async (pod: Namespace) => {
    for (let i = 0; i < 6; i++) for (const verb of ['ADD', 'DEL']) exits.push(await call(verb, pod))
  }
  const calling = Promise.all(pods.map(keepCalling))
  for (let i = 0; i < 2; i++) {
    t.equal(await node.daemon?.end('SIGTERM'), 0, 'exit status')
    await node.restartDaemon()
  }
  await calling
  requireSuccess(t, exits, `${exits.length} calls`)
  await requireClean(t, scene)
})

/** Of all threads, each once. */
function namespacesOf(pid: number): string[] {
  const tasks = readdirSync(`/proc/${pid}/task`)
  return [...new Set(tasks.map((id) => readlinkSync(`/proc/${pid}/task/${id}/ns/net`)))]
}

test('a rehearsal leaves nothing on the node, and pods that come meanwhile are attached', async (t) => {
  const node = await TestNode.create(shimmed())
  t.teardown(() => node.remove())
  await node.daemon?.end('SIGKILL')
  const [world, state] = [await readWorld(node.name), readdirSync(node.stateDir)]
  const daemon = await node.restartDaemon({ rehearses: true })
  const pod = await node.addPod('p')
  const config = {
    cniVersion: '1.0.0',
    name: 'net',
    ipam: { type: podwire.hostLocal, dataDir: node.dataDir, ranges: RANGES },
  }
  for (const command of ['ADD', 'DEL'])
    t.match(await callPlugin(node, { type: podwire.bridge, command, pod, config }), { status: 0 })
  await daemon.says('"msg":"rehearsed"')
  t.strictSame(
    namespacesOf(daemon.pid),
    [readlinkSync(`/proc/${daemon.pid}/ns/net`)],
    'no thread stays in it',
  )
  await node.must('ip', 'link', 'del', 'cni0')
  t.same(await readWorld(node.name), world)
  t.same(readdirSync(node.stateDir), state)
})

test('the counters are told on a port, if asked for: calls, their steps, pools', async (t) => {
  const scene = await open(t)
  const { node, call, first } = scene
  const address = '127.0.0.1:9479'
  const ask = async (path: string) =>
    (await node.exec(['curl', '-s', '-m', '10', `http://${address}${path}`])).stdout
  t.equal(await ask('/metrics'), '', 'not otherwise')
  await node.daemon?.end('SIGTERM')
  await node.restartDaemon({ more: ['--metrics', address] })
  t.equal(await ask('/readyz'), 'ok\n')
  requireSuccess(t, [await call('ADD', first)], 'ADD')
  const page = await ask('/metrics')
  for (const line of [
    'podwire_calls_total{plugin="cni-bridge",verb="ADD",code="0"} 1',
    'podwire_call_duration_seconds_count{plugin="cni-bridge",verb="ADD"} 1',
    ...['parse', 'lease', 'record', 'links', 'pod', 'nftables', 'code'].map(
      (step) => `podwire_step_duration_seconds_count{verb="ADD",step="${step}"} 1`,
    ),
    'podwire_pool_addresses{network="net",range_set="0",family="ipv4"} 253',
    'podwire_pool_used_addresses{network="net",range_set="0",family="ipv4"} 1',
    'podwire_pool_used_addresses{network="net",range_set="1",family="ipv6"} 1',
    'podwire_attachments 1',
    'podwire_scrape_errors_total 0',
  ])
    t.ok(page.includes(`\n${line}\n`), line)
  await requireClean(t, scene)
})

test('what a killed call left half made is gone before the daemon says that it is ready', async (t) => {
  const scene = await open(t)
  await scene.node.daemon?.end('SIGKILL')
  const environment = { PODWIRE_NO_DAEMON: '1' }
  const add = { type: podwire.bridge, command: 'ADD', pod: scene.first, config: scene.config, environment }
  t.ok((await traceCall(scene.node, add, { name: 'sendto', nth: 5 })).killed)
  t.not((await scene.look()).join(), scene.before.join(), 'something is half made')
  await scene.node.restartDaemon()
  const left = (await scene.look()).filter((line) => !scene.before.includes(line))
  t.same(left, [])
})

test('the shim says so when there is neither daemon nor executable', { timeout: DEADLINE_MS }, async (t) => {
  const directory = t.testdir({})
  const shim = join(directory, 'cni-bridge')
  writeFileSync(shim, execFileSync('cat', [join(shimmed().directory, 'podwire-shim')]), { mode: 0o755 })
  const node = await TestNode.create(podwire)
  t.teardown(() => node.remove())
  const pod = await node.addPod('p')
  const call = { type: 'cni-bridge', command: 'ADD', pod, directories: [directory], config: { name: 'net' } }
  const { status, stdout } = await callPlugin(node, { ...call, environment: { PODWIRE_SOCKET: '/nowhere' } })
  t.equal(status, 1)
  t.match(JSON.parse(stdout), { code: 11, msg: /no daemon answers/ })
})
