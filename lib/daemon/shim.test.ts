// The shim (native/shim.c, built by `npm run build`) and protocol.ts speak of the same bytes.

import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import {
  chmodSync,
  closeSync,
  copyFileSync,
  mkdtempSync,
  openSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { connect, createServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { type Test, test } from 'tap'
import {
  type Call,
  decodeCall,
  encodeCall,
  encodeFrame,
  encodeOutcome,
  encodeRefusal,
  HEADER_BYTES,
  KIND,
  MAX_BODY_BYTES,
  NOTHING,
  PLACES,
  readHeader,
} from './protocol.ts'

const SHIM = join(import.meta.dirname, '../../dist/bin/podwire-shim')
/** Of earlier daemons. */
const ACCEPTED = 16 as typeof KIND.working
const CONFIG = '{"name":"né\0t"}'

/** In the executable's place: it says what it was given. */
const EXECUTABLE = `#!/bin/sh
echo "$CNI_COMMAND call=\${PODWIRE_CALL:+set} retry=$PODWIRE_RETRY $0 $(cat)"
`

const asRoot = { skip: process.geteuid?.() !== 0 && 'only root can become somebody else' }

/** Listens as another user than root, and ends whoever connects. */
const STRANGER = `
  require('node:fs').chownSync(require('node:path').dirname(process.argv[1]), 65534, 0)
  process.setuid(65534)
  require('node:net').createServer((socket) => socket.end('you are mine')).listen(process.argv[1], () => console.log())
`

/** Does not accept whom it lets connect. */
const DEAF = `
  const server = require('node:net').createServer().listen({ path: process.argv[1], backlog: 1 }, () => {
    require('node:fs').writeSync(1, 'listening')
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0)
  })
`

/** Executes what follows with a descriptor that does not block (fcntl(2), O_NONBLOCK). */
function nonBlocking(descriptor: 'STDIN' | 'STDOUT'): string[] {
  return ['perl', '-MFcntl', '-e', `fcntl(${descriptor}, F_SETFL, O_NONBLOCK) or die; exec @ARGV`]
}

interface Way {
  /** A program to run it by. */
  readonly wrapper?: readonly string[]
  readonly stdout?: 'pipe' | number
}

type Reaction = (socket: Socket, call: Call, bytes: Buffer) => void

/** A directory with a shim, an executable beside it, and a daemon that does as it is told. */
async function start(t: Test, reaction?: Reaction) {
  const directory = mkdtempSync(join(tmpdir(), 'pwt-'))
  t.teardown(() => rmSync(directory, { recursive: true }))
  const path = join(directory, 'podwire.sock')
  copyFileSync(SHIM, join(directory, 'shim'))
  writeFileSync(join(directory, 'podwire'), EXECUTABLE)
  chmodSync(join(directory, 'podwire'), 0o755)
  if (reaction !== undefined) {
    const server = createServer(async (socket) => {
      // A shim that has heard enough leaves the rest unread.
      socket.on('error', () => undefined)
      const bytes = await readCall(socket)
      reaction(socket, decodeCall(bytes.subarray(HEADER_BYTES)), bytes)
    })
    server.listen(path)
    await once(server, 'listening')
    t.teardown(() => server.close())
  }
  const launch = (environment: Record<string, string> = {}, { wrapper = [], stdout = 'pipe' }: Way = {}) => {
    const [program = '', ...args] = [...wrapper, join(directory, 'shim')]
    return spawn(program, args, {
      argv0: '/opt/cni/bin/bridge',
      env: { PATH: process.env['PATH'], CNI_COMMAND: 'ADD', PODWIRE_SOCKET: path, ...environment },
      stdio: ['pipe', stdout, 'pipe'],
    })
  }
  const run = (environment: Record<string, string> = {}, onStart = (_pid?: number) => {}) => {
    const child = launch(environment)
    onStart(child.pid)
    child.stdin?.end(CONFIG)
    return outcomeOf(child)
  }
  return { directory, path, launch, run }
}

async function outcomeOf(child: ChildProcess) {
  let [stdout, stderr] = ['', '']
  child.stdout?.on('data', (chunk) => (stdout += chunk))
  child.stderr?.on('data', (chunk) => (stderr += chunk))
  const [exitStatus] = await once(child, 'close')
  return { exitStatus, stdout, stderr }
}

async function readCall(socket: Socket): Promise<Buffer> {
  let bytes = Buffer.alloc(0)
  while (bytes.length < HEADER_BYTES || bytes.length < HEADER_BYTES + readHeader(bytes).length) {
    const [chunk] = await once(socket, 'data')
    bytes = Buffer.concat([bytes, chunk])
  }
  return bytes
}

/** Device and inode, as the shim tells them. */
function identify(path: string): string {
  const { dev, ino } = statSync(path, { bigint: true, throwIfNoEntry: false }) ?? {}
  return dev === undefined || ino === undefined ? NOTHING : `${dev.toString(16)}:${ino.toString(16)}`
}

test('the shim’s call is that of encodeCall, byte by byte, and the daemon’s outcome is relayed', async (t) => {
  const heard: Buffer[] = []
  const { run } = await start(t, (socket, _, bytes) => {
    heard.push(bytes)
    socket.write(Buffer.concat([encodeFrame(ACCEPTED), encodeFrame(KIND.working)]))
    socket.end(encodeOutcome({ exitStatus: 7, stdout: 'öut', stderr: 'err' }))
  })
  const netns = '/proc/self/ns/net'
  t.strictSame(await run({ CNI_NETNS: netns, CNI_ARGS: 'é=ü', PODWIRE_CALL: 'theirs', PODWIRE_RETRY: '1' }), {
    exitStatus: 7,
    stdout: 'öut',
    stderr: 'err',
  })
  const bytes = Buffer.concat(heard)
  const call = decodeCall(bytes.subarray(HEADER_BYTES))
  t.equal(bytes.toString('hex'), encodeCall(call).toString('hex'))
  t.match(call, {
    plugin: 'bridge',
    netns: readlinkSync(netns),
    places: [...PLACES.map(identify), identify(netns)],
    environment: { CNI_COMMAND: 'ADD', CNI_ARGS: 'é=ü', PODWIRE_CALL: /^[0-9a-f]{32}$/ },
    stdin: CONFIG,
  })
  t.notOk('PODWIRE_RETRY' in call.environment)
})

test('places that are not there are nothing', async (t) => {
  let places: readonly string[] = []
  const { run } = await start(t, (socket, call) => {
    places = call.places
    socket.end(encodeOutcome({ exitStatus: 0, stdout: '', stderr: '' }))
  })
  for (const environment of [{}, { CNI_NETNS: '' }, { CNI_NETNS: '/nowhere' }]) {
    await run(environment)
    t.equal(places.at(-1), NOTHING)
  }
})

test('the shim makes the call itself when the daemon does not', async (t) => {
  const rows: [what: string, reaction: Reaction | undefined, retry: string][] = [
    ['no daemon', undefined, 'call= retry='],
    ['it refuses', (socket) => socket.end(encodeRefusal('no')), 'call= retry='],
    [
      'it refuses later',
      (socket) => socket.end(Buffer.concat([encodeFrame(KIND.working), encodeRefusal('no')])),
      'call= retry=',
    ],
    ['it dies at once', (socket) => socket.destroy(), 'call=set retry=1'],
    ['it dies later', (socket) => socket.end(encodeFrame(KIND.working)), 'call=set retry=1'],
    [
      'it dies within its answer',
      (socket) => socket.end(encodeOutcome({ exitStatus: 0, stdout: 'x', stderr: '' }).subarray(0, -1)),
      'call=set retry=1',
    ],
    ['it speaks otherwise', (socket) => socket.end('HTTP/1.1 400 Bad Request'), 'call=set retry=1'],
    [
      'it speaks of what is unknown',
      (socket) => socket.end(encodeFrame(99 as typeof KIND.working)),
      'call=set retry=1',
    ],
  ]
  for (const [what, reaction, retry] of rows) {
    const { run, directory } = await start(t, reaction)
    const { exitStatus, stdout } = await run({ PODWIRE_CALL: '', PODWIRE_RETRY: '9' })
    t.strictSame(
      [exitStatus, stdout],
      [0, `ADD ${retry} ${join(directory, 'podwire')} ${CONFIG.replace('\0', '')}\n`],
      what,
    )
  }
})

test('the shim finds the executable beside it when it was replaced or removed while it asked', async (t) => {
  const changes: Record<string, (shim: string) => void> = {
    replaced: (shim) => {
      copyFileSync(SHIM, `${shim}.new`)
      renameSync(`${shim}.new`, shim)
    },
    removed: (shim) => rmSync(shim),
  }
  for (const [what, change] of Object.entries(changes)) {
    let shim = ''
    const { run, directory } = await start(t, (socket) => {
      change(shim)
      socket.destroy()
    })
    shim = join(directory, 'shim')
    t.match(
      await run(),
      { exitStatus: 0, stdout: `ADD call=set retry=1 ${join(directory, 'podwire')} ` },
      what,
    )
  }
})

test('the shim asks nobody who is not root', asRoot, async (t) => {
  const { run, directory } = await start(t)
  const stranger = spawn(process.execPath, ['-e', STRANGER, join(directory, 'podwire.sock')])
  t.teardown(() => stranger.kill())
  await once(stranger.stdout, 'data')
  t.match(await run(), { exitStatus: 0, stdout: /^ADD call= retry= / })
})

const onX64 = { skip: process.arch !== 'x64' && 'poll(2) has another number here' }

/** With which timeout a process is in poll(2), in ms, -1 for none; undefined while it is elsewhere (proc(5), syscall). */
function patienceOf(pid: number): number | undefined {
  const [number, , , ms = ''] = readFileSync(`/proc/${pid}/syscall`, 'utf8').split(' ')
  return number === '7' ? Number(BigInt.asIntN(32, BigInt(ms))) : undefined
}

test('the shim has more patience when its call has been read', onX64, async (t) => {
  let pid = 0
  const { run } = await start(t, async (socket) => {
    let patience = patienceOf(pid)
    for (; patience === undefined; patience = patienceOf(pid)) await nextTurn() // it is on its way to poll(2)
    t.equal(patience, 3000, 'before it looks whether it was')
    while (patienceOf(pid) !== 15_000) await nextTurn()
    socket.end(encodeOutcome({ exitStatus: 0, stdout: 'late', stderr: '' }))
  })
  t.match(await run({}, (child = 0) => (pid = child)), { exitStatus: 0, stdout: 'late' })
})

/** Resolves when it waits in poll(2) for as long as it takes. */
async function waitsForEver(pid = 0): Promise<void> {
  while (patienceOf(pid) !== -1) await nextTurn()
}

test('the shim waits for a config that comes late when its stdin does not block', onX64, async (t) => {
  const { launch } = await start(t, (socket, { stdin }) =>
    socket.end(encodeOutcome({ exitStatus: 0, stdout: stdin, stderr: '' })),
  )
  const child = launch({}, { wrapper: nonBlocking('STDIN') })
  await waitsForEver(child.pid)
  child.stdin?.end(CONFIG)
  t.match(await outcomeOf(child), { exitStatus: 0, stdout: CONFIG })
})

test('the shim waits for a reader that is slow when its stdout does not block', onX64, async (t) => {
  const stdout = 'x'.repeat(2 << 20)
  const { launch } = await start(t, (socket) =>
    socket.end(encodeOutcome({ exitStatus: 0, stdout, stderr: '' })),
  )
  const child = launch({}, { wrapper: nonBlocking('STDOUT') })
  child.stdin?.end(CONFIG)
  await waitsForEver(child.pid)
  const outcome = await outcomeOf(child)
  t.equal(outcome.exitStatus, 0)
  t.ok(outcome.stdout === stdout, 'it is whole')
})

test('the shim tells the result whatever has become of its stderr', async (t) => {
  const { launch } = await start(t, (socket) =>
    socket.end(encodeOutcome({ exitStatus: 0, stdout: 'result', stderr: 'a line' })),
  )
  const unread = launch()
  unread.stderr?.destroy()
  // So that the next descriptor has its number.
  const closed = launch({}, { wrapper: ['sh', '-c', 'exec "$@" 2>&-', 'sh'] })
  for (const child of [unread, closed]) {
    child.stdin?.end(CONFIG)
    t.match(await outcomeOf(child), { exitStatus: 0, stdout: 'result' })
  }
})

test('the shim reads no config for a command that has none', async (t) => {
  const { launch } = await start(t, (socket, { stdin }) =>
    socket.end(encodeOutcome({ exitStatus: 0, stdout: `stdin "${stdin}"`, stderr: '' })),
  )
  for (const CNI_COMMAND of ['VERSION', '']) {
    // Its stdin stays open.
    t.match(await outcomeOf(launch({ CNI_COMMAND })), { exitStatus: 0, stdout: 'stdin ""' }, CNI_COMMAND)
  }
})

test('the shim leaves a config to the executable, whole, when it is too long to be sent', async (t) => {
  let [heard, sent] = ['', 0]
  const { launch, directory } = await start(t, (socket, { stdin }, { length }) => {
    ;[heard, sent] = [stdin, length]
    socket.end(encodeOutcome({ exitStatus: 0, stdout: 'asked', stderr: '' }))
  })
  const call = (config: string) => {
    const child = launch()
    child.stdin?.end(config)
    return outcomeOf(child)
  }
  await call('')
  const room = HEADER_BYTES + MAX_BODY_BYTES - sent
  const longest = 'x'.repeat(room - 1)
  t.match(await call(longest), { exitStatus: 0, stdout: 'asked' })
  t.ok(heard === longest, 'the longest is sent whole')
  for (const length of [room, room + 1, 3 * room]) {
    const { exitStatus, stdout } = await call('x'.repeat(length))
    t.equal(exitStatus, 0)
    const expected = `ADD call= retry= ${join(directory, 'podwire')} ${'x'.repeat(length)}\n`
    t.ok(stdout === expected, `${length} bytes, of which ${room - 1} could be sent`)
  }
})

test('the shim waits for the rest of a long config when its stdin does not block', onX64, async (t) => {
  const { launch, directory } = await start(t)
  const child = launch({}, { wrapper: nonBlocking('STDIN') })
  const begun = 'x'.repeat(2 * MAX_BODY_BYTES)
  await new Promise((resolve) => child.stdin?.write(begun, resolve))
  await waitsForEver(child.pid)
  child.stdin?.end('rest')
  const { exitStatus, stdout } = await outcomeOf(child)
  t.equal(exitStatus, 0)
  t.ok(stdout === `ADD call= retry= ${join(directory, 'podwire')} ${begun}rest\n`, 'it is whole')
})

test('the shim exits with 1 when the result cannot be written', async (t) => {
  const { launch } = await start(t, (socket) =>
    socket.end(encodeOutcome({ exitStatus: 0, stdout: '{}', stderr: '' })),
  )
  const full = openSync('/dev/full', 'w')
  t.teardown(() => closeSync(full))
  const child = launch({}, { stdout: full })
  child.stdin?.end(CONFIG)
  t.match(await outcomeOf(child), { exitStatus: 1, stderr: '' })
})

/** Connects until there is no room for one more (unix(7), EAGAIN). */
async function fillBacklog(t: Test, path: string): Promise<void> {
  const fill = async () => {
    for (;;) {
      const socket = connect(path)
      t.teardown(() => socket.destroy())
      await once(socket, 'connect')
    }
  }
  await t.rejects(fill(), { code: 'EAGAIN' })
}

test('the shim does not wait for a daemon that accepts nobody', async (t) => {
  const { run, path } = await start(t)
  const deaf = spawn(process.execPath, ['-e', DEAF, path])
  t.teardown(() => deaf.kill())
  await once(deaf.stdout, 'data')
  await fillBacklog(t, path)
  t.match(await run(), { exitStatus: 0, stdout: /^ADD call= retry= / })
})

test('the shim does not wait for a daemon that reads nothing', async (t) => {
  const { run, directory } = await start(t)
  const server = createServer({ pauseOnConnect: true })
  server.listen(join(directory, 'podwire.sock'))
  await once(server, 'listening')
  server.on('connection', (socket) => server.close(() => socket.destroy()))
  t.match(await run(), { exitStatus: 0, stdout: /^ADD call=set retry=1 / })
})

test('PODWIRE_NO_DAEMON asks no daemon', async (t) => {
  const { run } = await start(t, () => t.fail('it was asked'))
  t.match((await run({ PODWIRE_NO_DAEMON: '1' })).stdout, /^ADD call= retry= /)
})

test('the shim without an executable says what the daemon said, or that nobody is there', async (t) => {
  const refusing = await start(t, (socket) => socket.end(encodeRefusal('{"code":11}')))
  rmSync(join(refusing.directory, 'podwire'))
  t.match(await refusing.run(), { exitStatus: 1, stdout: '{"code":11}' })
  const alone = await start(t)
  rmSync(join(alone.directory, 'podwire'))
  const { exitStatus, stdout } = await alone.run()
  t.equal(exitStatus, 1)
  t.match(JSON.parse(stdout), { cniVersion: '1.1.0', code: 11, msg: /no daemon answers/ })
})
