import { execFileSync } from 'node:child_process'
import { chmodSync, existsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { type Test, test } from 'tap'
import { requireReady } from '../attach/readiness.ts'
import { CniError } from '../cni/errors.ts'
import type { Plugin } from '../cni/plugin.ts'
import type { Request } from '../cni/request.ts'
import type { Result } from '../cni/result.ts'
import { SPEC_VERSIONS } from '../cni/versions.ts'
import { CallLocks } from '../host/call-lock.ts'
import type { Ports } from '../host/ports.ts'
import { loadNative } from '../native/native.ts'
import { StoreError } from '../state/store-error.ts'
import { makeScene } from '../testing/scene.ts'
import { CallQueue } from './call-queue.ts'
import { CallService, NO_DAEMON } from './call-service.ts'
import { LoopStretches } from './loop-stretches.ts'
import { CallMetrics } from './metrics.ts'
import type { Call } from './protocol.ts'
import type { Client } from './server.ts'
import type { SteppedCall } from './steps.ts'

const NETNS = 'net:[1]'
/** What is behind the paths, for the daemon; nothing is behind others. */
const FILES: Readonly<Record<string, string>> = {
  '/': '1:1',
  '/run': '1:2',
  '/var/lib/cni': '1:3',
  '/run/netns/pod-1': '4:1',
}
const PLACES = ['1:1', '1:2', '1:3', '4:1']
const HERE = clientOf(new AbortController().signal)

function clientOf(gone: AbortSignal, pid = 0): Client {
  return {
    gone,
    pid,
    get isGone() {
      return gone.aborted
    },
  }
}

interface Running {
  readonly request: Request
  readonly ports: Ports
  resolve(result: Result): void
  reject(error: Error): void
}

/** A plugin whose ADD and CHECK end when the test says so; DEL ends at once. */
class TestPlugin implements Plugin<Ports> {
  readonly name = 'cni-test'
  readonly supportedVersions = SPEC_VERSIONS
  readonly running: Running[] = []
  readonly events: string[] = []

  add(ports: Ports, request: Request): Promise<Result> {
    const { promise, resolve, reject } = Promise.withResolvers<Result>()
    this.events.push(`ADD ${request.containerId}`)
    this.running.push({ request, ports, resolve, reject })
    return promise
  }

  get last(): Running {
    const last = this.running.at(-1)
    if (last === undefined) throw new Error('nothing runs')
    return last
  }

  async check(ports: Ports, request: Request): Promise<void> {
    await this.add(ports, request)
  }

  async status(ports: Ports, request: Request): Promise<void> {
    await this.add(ports, request)
  }

  async del(_: Ports, request: Request): Promise<void> {
    this.events.push(`DEL ${request.containerId}`)
  }
}

interface Setting {
  /** Beside FILES. */
  readonly files?: Readonly<Record<string, string>>
  readonly queue?: CallQueue
}

function start(t: Test, { files = {}, queue }: Setting = {}) {
  const plugin = new TestPlugin()
  const path = join(t.testdir(), 'calls.lock')
  const native = loadNative()
  const locks = CallLocks.open(path, native)
  const others = CallLocks.open(path, native)
  const logged: string[] = []
  const log = {
    isDebug: false,
    debug: () => undefined,
    info: (_: object, message: string) => void logged.push(message),
    error: (_: object, message: string) => void logged.push(message),
    child: () => log,
  }
  const metrics = new CallMetrics(() => 0)
  const stepped: SteppedCall[] = []
  const stretches = new LoopStretches(() => 0)
  const service = new CallService({
    ports: { ...makeScene().ports, log },
    locks,
    findPlugin: (name) => (name === 'test' || name === plugin.name ? plugin : undefined),
    metrics,
    stretches,
    netns: NETNS,
    identify: (path) => ({ ...FILES, ...files })[path] ?? '-',
    queue,
    stateDir: '/run/podwire',
    version: '1.2.3',
    serveHttp: () => undefined,
    onSteps: (call) => stepped.push(call),
  })
  t.teardown(() => others.close())
  return { plugin, service, metrics, stretches, locks, others, logged, stepped }
}

function callOf(
  command: string,
  environment: Readonly<Record<string, string>> = {},
  changes: Partial<Call> = {},
): Call {
  return {
    plugin: 'test',
    netns: NETNS,
    places: PLACES,
    environment: {
      CNI_COMMAND: command,
      CNI_CONTAINERID: 'pod-1',
      CNI_IFNAME: 'eth0',
      CNI_NETNS: '/run/netns/pod-1',
      CNI_PATH: '/opt/cni/bin',
      ...environment,
    },
    stdin: '{"cniVersion":"1.1.0","name":"net","type":"test","prevResult":{"cniVersion":"1.1.0"}}',
    ...changes,
  }
}

async function turns(count: number): Promise<void> {
  for (let i = 0; i < count; i++) await nextTurn()
}

test('a call is made by the plugin, counted and logged', async (t) => {
  const { plugin, service, metrics, logged } = start(t)
  const answer = service.answer(callOf('ADD'), HERE)
  await turns(3)
  t.strictSame(service.queue, { running: 1, waiting: 0 })
  t.match(plugin.running[0]?.request, { command: 'ADD', containerId: 'pod-1', name: 'net' })
  plugin.running[0]?.resolve({ ips: [{ address: '10.1.0.5/24' }] })
  t.match(await answer, {
    exitStatus: 0,
    stdout:
      '{\n    "cniVersion": "1.1.0",\n    "ips": [\n        {\n            "address": "10.1.0.5/24"\n        }\n    ]\n}',
    stderr: '',
  })
  await turns(1)
  t.match(metrics.calls, [{ plugin: 'cni-test', verb: 'ADD', succeeded: 1, failed: 0 }])
  t.strictSame(logged, ['done'])
})

test('the steps of a call are told when it is over, whether it failed or not', async (t) => {
  const { plugin, service, stepped } = start(t)
  for (const end of ['resolve', 'reject'] as const) {
    const answer = service.answer(callOf('ADD'), HERE)
    await turns(3)
    plugin.last.ports.attachments.list()
    if (end === 'resolve') plugin.last.resolve({})
    else plugin.last.reject(new Error('no'))
    await answer
  }
  t.match(stepped, [
    { plugin: 'cni-test', hasFailed: false, steps: [{ kind: 'records', does: 'look' }] },
    { plugin: 'cni-test', hasFailed: true, steps: [{ kind: 'records', does: 'look' }] },
  ])
})

test('a call that fails is answered with its error object', async (t) => {
  const { plugin, service, metrics, logged } = start(t)
  const answer = service.answer(callOf('ADD'), HERE)
  await turns(3)
  plugin.running[0]?.reject(new CniError(7, 'no such thing'))
  const { exitStatus, stdout } = (await answer) as { exitStatus: number; stdout: string }
  t.strictSame([exitStatus, JSON.parse(stdout)], [1, { cniVersion: '1.1.0', code: 7, msg: 'no such thing' }])
  await turns(1)
  t.match(metrics.errors, [{ plugin: 'cni-test', verb: 'ADD', message: 'no such thing (code 7)' }])
  t.strictSame(logged, ['refused'])
})

test('a call without a command tells about the plugin by the name that it was called by', async (t) => {
  const { service } = start(t)
  t.match(await service.answer(callOf(''), HERE), {
    exitStatus: 0,
    stdout: '',
    stderr: /^CNI test plugin v1\.2\.3\n/,
  })
})

test('VERSION is answered whatever the caller’s paths are', async (t) => {
  const { service, metrics } = start(t)
  const dummy = { CNI_NETNS: 'dummy', CNI_PATH: 'dummy', CNI_IFNAME: 'dummy' } // as libcni asks
  const call = callOf('VERSION', dummy, { places: ['1:1', '1:2', '1:3', '4:2'] })
  t.match(await service.answer(call, HERE), { exitStatus: 0, stdout: /"supportedVersions"/ })
  t.strictSame(metrics.refusals, {})
})

test('what the daemon cannot do in its caller’s place is left to the caller', async (t) => {
  const { plugin, service, metrics, logged } = start(t)
  const relative = 'the caller’s paths are relative to its working directory'
  const logOfItsOwn = 'the caller wants a log of its own'
  const otherState = 'the caller has another PODWIRE_STATE_DIR'
  const rows: [why: string, call: Call][] = [
    ['no plugin is called "other"', callOf('ADD', {}, { plugin: 'other' })],
    ['the caller is in net:[2], the daemon in net:[1]', callOf('ADD', {}, { netns: 'net:[2]' })],
    ['/ is something else to the caller', callOf('ADD', {}, { places: ['2:1', '1:2', '1:3', '4:1'] })],
    ['/run is something else to the caller', callOf('ADD', {}, { places: ['1:1', '-', '1:3', '4:1'] })],
    [
      '/run/netns/pod-1 is something else to the caller',
      callOf('ADD', {}, { places: ['1:1', '1:2', '1:3', '4:2'] }),
    ],
    [
      '/run/netns/pod-2 is something else to the caller',
      callOf('ADD', { CNI_NETNS: '/run/netns/pod-2' }, { places: ['1:1', '1:2', '1:3', '4:2'] }),
    ],
    ['/ is something else to the caller', callOf('ADD', {}, { places: [] })],
    [otherState, callOf('ADD', { PODWIRE_STATE_DIR: '/other' })],
    [logOfItsOwn, callOf('ADD', { PODWIRE_LOG: 'stderr' })],
    [logOfItsOwn, callOf('ADD', { PODWIRE_TRACE: 'netlink' })],
    [relative, callOf('ADD', { CNI_NETNS: 'run/netns/x' }, { places: ['1:1', '1:2', '1:3', '-'] })],
    [relative, callOf('ADD', { CNI_PATH: '/opt/cni/bin:bin' })],
  ]
  for (const [why, call] of rows) t.strictSame(await service.answer(call, HERE), { refusal: why }, why)
  t.strictSame(plugin.events, [])
  t.strictSame(metrics.calls, [])
  t.match(metrics.refusals, { [relative]: 2, [logOfItsOwn]: 2, [otherState]: 1 })
  t.ok(logged.every((message) => message === 'left to the caller'))
  t.equal(logged.length, rows.length)
})

test('what is not there is no path, and the daemon’s own state directory may be named', async (t) => {
  const { plugin, service } = start(t)
  const environment = { CNI_NETNS: '', CNI_PATH: ':/opt/cni/bin', PODWIRE_STATE_DIR: '/run/podwire' }
  const call = callOf('DEL', environment, { places: ['1:1', '1:2', '1:3', '-'] })
  t.match(await service.answer(call, HERE), { exitStatus: 0 })
  t.strictSame(plugin.events, ['DEL pod-1'])
})

test('a daemon that stops attaches nothing new, finishes what runs, and serves DEL', async (t) => {
  const { plugin, service } = start(t)
  const running = service.answer(callOf('ADD', { CNI_CONTAINERID: 'pod-2' }), HERE)
  await turns(3)
  t.equal(service.isDraining, false)
  service.drain()
  t.equal(service.isDraining, true)
  t.strictSame(await service.answer(callOf('ADD'), HERE), { refusal: 'the daemon is stopping' })
  t.match(await service.answer(callOf('DEL'), HERE), { exitStatus: 0 })
  plugin.running[0]?.resolve({})
  t.match(await running, { exitStatus: 0 })
  t.strictSame(plugin.events, ['ADD pod-2', 'DEL pod-1'])
})

test('calls of one container are made one after the other, by whatever name, of whatever interface', async (t) => {
  const { plugin, service } = start(t)
  const answers = [
    service.answer(callOf('ADD'), HERE),
    service.answer(callOf('DEL', {}, { plugin: 'cni-test' }), HERE),
    service.answer(callOf('ADD', { CNI_IFNAME: 'net1' }), HERE),
    service.answer(callOf('ADD', { CNI_CONTAINERID: 'pod-2' }), HERE),
  ]
  await turns(8)
  t.strictSame(plugin.events, ['ADD pod-1', 'ADD pod-2'])
  t.strictSame(service.queue, { running: 2, waiting: 2 })
  for (const { resolve } of plugin.running) resolve({})
  await turns(10)
  t.strictSame(plugin.events.slice(2), ['DEL pod-1', 'ADD pod-1'], 'DEL ends at once')
  plugin.last.resolve({})
  for (const answer of await Promise.all(answers)) t.match(answer, { exitStatus: 0 })
})

test('calls that change no attachment wait for none', async (t) => {
  const { plugin, service } = start(t)
  const answers = ['ADD', 'CHECK', 'CHECK'].map((command) => service.answer(callOf(command), HERE))
  await turns(6)
  t.equal(plugin.running.length, 3)
  for (const { resolve } of plugin.running) resolve({})
  await Promise.all(answers)
})

test('a call whose caller has gone is not begun', async (t) => {
  const { plugin, service, metrics } = start(t)
  const leaving = new AbortController()
  const first = service.answer(callOf('ADD'), HERE)
  const second = service.answer(callOf('ADD'), clientOf(leaving.signal))
  await turns(3)
  leaving.abort()
  plugin.running[0]?.resolve({})
  await first
  t.strictSame(await second, { refusal: 'the caller is gone' })
  t.strictSame(plugin.events, ['ADD pod-1'])
  await turns(1)
  t.match(metrics.calls, [{ succeeded: 1, failed: 0 }])
})

test('an attachment is locked while it is worked on, and no longer', async (t) => {
  const { plugin, service, others } = start(t)
  const key = { plugin: 'cni-test', containerId: 'pod-1', ifname: 'eth0' }
  for (const end of ['resolve', 'reject'] as const) {
    const answer = service.answer(callOf('ADD'), HERE)
    await turns(3)
    t.equal(others.acquire(key), false)
    plugin.running.shift()?.[end](new Error('failed') as never)
    await answer
    t.equal(others.acquire(key), true)
    others.release(key)
  }
})

test('a call of an attachment that another process works on is left to the caller', async (t) => {
  const { plugin, service, metrics, others } = start(t)
  const key = { plugin: 'cni-test', containerId: 'pod-1', ifname: 'eth0' }
  others.acquire(key)
  const why = 'another process is at this attachment'
  t.strictSame(await service.answer(callOf('ADD'), HERE), { refusal: why })
  t.strictSame(plugin.events, [])
  t.strictSame(metrics.refusals, { [why]: 1 })
  others.release(key)
  t.match(await service.answer(callOf('DEL'), HERE), { exitStatus: 0 })
})

test('a call whose lock cannot be had is left to the caller', async (t) => {
  const { plugin, service, locks } = start(t)
  locks.close()
  t.match(await service.answer(callOf('DEL'), HERE), { refusal: /^its lock cannot be had: .*Bad file/ })
  t.strictSame(plugin.events, [])
})

test('what delegates write to stderr goes to the caller, and they are told to ask no daemon', async (t) => {
  const { plugin, service } = start(t)
  const directory = t.testdir({
    delegate: `#!/bin/sh\necho "daemon: $${NO_DAEMON}, $CNI_IFNAME" >&2\necho '{}'\n`,
    loud: '#!/bin/sh\nhead -c 3000000 /dev/zero | tr "\\0" x >&2\n',
  })
  const delegate = async (type: string) => {
    const answer = service.answer(callOf('ADD'), HERE)
    await turns(3)
    const { ports, request, resolve } = plugin.last
    const file = join(directory, type)
    chmodSync(file, 0o755)
    await ports.delegates.exec.run({ file, stdin: '', environment: request.environment })
    resolve({})
    return (await answer) as { stderr: string }
  }
  t.match(await delegate('delegate'), { exitStatus: 0, stderr: 'daemon: 1, eth0\n' })
  t.equal((await delegate('loud')).stderr.length, 1 << 20, 'no more than there is room for')
})

test('calls that wait for a delegate hold up no others', async (t) => {
  const { plugin, service } = start(t, { queue: new CallQueue({ limit: 1 }) })
  const file = join(t.testdir({ waits: '#!/bin/sh\nread line <"$0.go"\n' }), 'waits')
  chmodSync(file, 0o755)
  execFileSync('mkfifo', [`${file}.go`])
  const first = service.answer(callOf('ADD'), HERE)
  await turns(3)
  const { ports, request, resolve } = plugin.last
  const delegate = ports.delegates.exec.run({ file, stdin: '', environment: request.environment })
  const second = service.answer(callOf('ADD', { CNI_CONTAINERID: 'pod-2' }), HERE)
  while (plugin.events.length < 2) await nextTurn()
  plugin.last.resolve({})
  t.match(await second, { exitStatus: 0 })
  writeFileSync(`${file}.go`, '\n')
  await delegate
  resolve({})
  t.match(await first, { exitStatus: 0 })
})

test('a store of a newer Podwire is left to the caller, beside whom that may lie', async (t) => {
  const { plugin, service, metrics } = start(t)
  const why = 'its schema has version 3, ours 2'
  const cause = new StoreError('ENEWER', { operation: 'open', path: '/x', why, remedy: '' })
  const throws = {
    ADD: () => {
      throw new CniError(999, 'lease', { cause })
    },
    STATUS: () => requireReady([{ code: 50, message: 'no leases', remedy: '', cause }]),
  }
  for (const [command, fail] of Object.entries(throws)) {
    const answer = service.answer(callOf(command), HERE)
    await turns(3)
    try {
      fail()
    } catch (error) {
      plugin.last.reject(error as Error)
    }
    t.match(await answer, { refusal: why }, command)
  }
  t.match(metrics.refusals, { [cause.message]: 2 })
  t.strictSame(metrics.calls, [])
})

test('leases in a directory that is another for the caller are left to it', async (t) => {
  const mounts = { '/proc/7/ns/mnt': '9:7', '/proc/8/ns/mnt': '9:1', '/proc/self/ns/mnt': '9:1' }
  const files = { '/data': '1:8', '/proc/7/root/data': '1:9', '/proc/7/root/run': '1:2', ...mounts }
  const { plugin, service } = start(t, { files })
  for (const { pid, dataDir, isOther } of [
    { pid: 7, dataDir: '/data', isOther: true },
    { pid: 7, dataDir: '/data/not/there/yet', isOther: true },
    { pid: 7, dataDir: '/run/not/there/yet', isOther: false },
    { pid: 8, dataDir: '/data', isOther: false },
    { pid: 0, dataDir: '/data', isOther: false },
  ]) {
    const answer = service.answer(callOf('ADD'), clientOf(new AbortController().signal, pid))
    await turns(3)
    const { ports, reject } = plugin.last
    try {
      ports.leases(dataDir)
    } catch (error) {
      reject(error as Error)
    }
    const name = `${dataDir} of process ${pid}`
    if (isOther) t.strictSame(await answer, { refusal: `${dataDir} is something else to the caller` }, name)
    else t.match(await answer, { exitStatus: 1, stdout: /the leases of these tests/ }, name)
  }
})

test('a delegate that does not end is killed when its caller has gone, and holds up nobody', async (t) => {
  const { plugin, service } = start(t)
  const file = join(t.testdir({ endless: '#!/bin/sh\n: >"$0.runs"; exec sleep 1000\n' }), 'endless')
  chmodSync(file, 0o755)
  const leaving = new AbortController()
  const answer = service.answer(callOf('ADD'), clientOf(leaving.signal))
  await turns(3)
  const { ports, request, reject } = plugin.last
  const delegate = ports.delegates.exec.run({ file, stdin: '', environment: request.environment })
  delegate.catch(reject)
  while (!existsSync(`${file}.runs`)) await nextTurn()
  leaving.abort()
  t.match(await answer, { exitStatus: 1, stdout: /nobody waits for it any more/ })
  t.match(await service.answer(callOf('DEL'), HERE), { exitStatus: 0 }, 'the next call of its attachment')
})

test('a plugin has its own log and delegates, and everything else of the daemon', async (t) => {
  const { plugin, service } = start(t)
  const answer = service.answer(callOf('ADD'), HERE)
  await turns(3)
  const { ports, resolve } = plugin.last
  ports.close()
  t.strictSame(ports.attachments.list(), [], 'the stores stay open')
  t.equal(ports.bootId, 'boot-1')
  t.equal(ports.kernel.host.inode, makeScene().ports.kernel.host.inode)
  resolve({})
  await answer
})
