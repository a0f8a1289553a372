// The shim (native/shim.c, built by `npm run build`) and protocol.ts speak of the same bytes.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import {
  chmodSync,
  copyFileSync,
  mkdtempSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { createServer, type Socket } from 'node:net'
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
  const run = async (environment: Record<string, string> = {}, onStart = (_pid?: number) => {}) => {
    const child = spawn(join(directory, 'shim'), {
      argv0: '/opt/cni/bin/bridge',
      env: { PATH: process.env['PATH'], CNI_COMMAND: 'ADD', PODWIRE_SOCKET: path, ...environment },
    })
    onStart(child.pid)
    let [stdout, stderr] = ['', '']
    child.stdout.on('data', (chunk) => (stdout += chunk))
    child.stderr.on('data', (chunk) => (stderr += chunk))
    child.stdin.end(CONFIG)
    const [exitStatus] = await once(child, 'close')
    return { exitStatus, stdout, stderr }
  }
  return { directory, run }
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
    const { exitStatus, stdout } = await run()
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

/** The timeout with which a process is in poll(2), in ms; undefined while it is in something else (proc(5), syscall). */
function patienceOf(pid: number): number | undefined {
  const [number, , , ms] = readFileSync(`/proc/${pid}/syscall`, 'utf8').split(' ')
  return number === '7' ? Number(ms) : undefined
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
