import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import {
  closeSync,
  existsSync,
  mkdtempSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { request as httpRequest } from 'node:http'
import { connect, createServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { type Test, test } from 'tap'
import { loadNative } from '../native/native.ts'
import { createHttpEndpoint } from './http.ts'
import {
  type Call,
  decodeOutcome,
  encodeCall,
  encodeFrame,
  encodeOutcome,
  HEADER_BYTES,
  KIND,
  MAX_BODY_BYTES,
  readHeader,
} from './protocol.ts'
import { type Answer, type Client, DaemonServer, type ServerOptions, type Service } from './server.ts'

const CALL: Call = {
  plugin: 'cni-bridge',
  netns: 'net:[1]',
  places: ['1:1', '1:2', '1:3', '-'],
  environment: { CNI_COMMAND: 'ADD' },
  stdin: '{}',
}
const DONE = { exitStatus: 0, stdout: 'result', stderr: '' }

interface Ask {
  readonly call: Call
  readonly client: Client
  answer(answer: Answer): void
}

/** Answers when the test says so. */
class TestService implements Service {
  readonly #asks: Ask[] = []
  readonly #readers: ((ask: Ask) => void)[] = []
  status: () => object = () => ({ ready: true })
  readonly serveHttp = createHttpEndpoint({
    isReady: () => false,
    status: () => this.status(),
    metrics: async () => 'podwire 1\n',
  })
  readonly refusals: string[] = []

  answer(call: Call, client: Client): Promise<Answer> {
    const { promise, resolve } = Promise.withResolvers<Answer>()
    const ask = { call, client, answer: resolve }
    const reader = this.#readers.shift()
    if (reader === undefined) this.#asks.push(ask)
    else reader(ask)
    return promise
  }

  refused(reason: string): void {
    this.refusals.push(reason)
  }

  next(): Promise<Ask> {
    const ask = this.#asks.shift()
    return ask === undefined ? new Promise((resolve) => this.#readers.push(resolve)) : Promise.resolve(ask)
  }
}

/** A socket's path has 107 bytes, which tap's own directory may exceed. */
function makeDirectory(t: Test): string {
  const directory = mkdtempSync(join(tmpdir(), 'pwt-'))
  t.teardown(() => rmSync(directory, { recursive: true }))
  return directory
}

async function start(t: Test, options: Partial<ServerOptions> = {}) {
  const service = new TestService()
  const path = join(makeDirectory(t), 'run/podwire/podwire.sock')
  const server = new DaemonServer(service, { path, native: loadNative(), ...options })
  server.lock()
  server.listen()
  const sockets: Socket[] = []
  let closing: Promise<void> | undefined
  const close = () => {
    closing ??= server.close()
    return closing
  }
  t.teardown(() => {
    for (const socket of sockets) socket.destroy()
    return close()
  })
  const open = async () => {
    const socket = connect(path)
    sockets.push(socket)
    await once(socket, 'connect')
    return new TestClient(socket)
  }
  return { service, server, path, open, close }
}

interface Frame {
  readonly kind: number
  readonly body: Buffer
}

class TestClient {
  readonly socket: Socket
  readonly #frames: AsyncGenerator<Frame>
  #ahead: Promise<Frame | undefined> | undefined

  constructor(socket: Socket) {
    this.socket = socket
    // Cut off by the server: the frames end.
    socket.on('error', () => undefined)
    this.#frames = readFrames(socket)
  }

  write(...bytes: (Uint8Array | string)[]): void {
    for (const one of bytes) this.socket.write(one)
  }

  /** @returns undefined when the server has closed */
  next(): Promise<Frame | undefined> {
    const next = this.ahead()
    this.#ahead = undefined
    return next
  }

  /** What `next` will be. */
  ahead(): Promise<Frame | undefined> {
    this.#ahead ??= this.#frames.next().then(({ value }) => value)
    return this.#ahead
  }

  /** What it hears when the call is over. */
  async hearLast(): Promise<string> {
    for (;;) {
      const heard = await this.hear()
      if (heard !== 'working') return heard
    }
  }

  /** The next frame, by the name of its kind, and what it says. */
  async hear(): Promise<string> {
    const frame = await this.next()
    if (frame === undefined) return 'end'
    const kind = Object.entries(KIND).find(([, number]) => number === frame.kind)?.[0]
    if (kind === 'outcome') return `outcome ${JSON.stringify(decodeOutcome(frame.body))}`
    if (kind !== 'refused') return `${kind}`
    const { cniVersion, code, msg } = JSON.parse(frame.body.toString())
    return `refused ${cniVersion} ${code} ${msg}`
  }
}

async function* readFrames(socket: Socket): AsyncGenerator<Frame> {
  let bytes: Buffer = Buffer.alloc(0)
  for await (const chunk of socket) {
    bytes = Buffer.concat([bytes, chunk as Buffer])
    while (bytes.length >= HEADER_BYTES) {
      const { kind, length } = readHeader(bytes)
      if (bytes.length < HEADER_BYTES + length) break
      yield { kind, body: bytes.subarray(HEADER_BYTES, HEADER_BYTES + length) }
      bytes = bytes.subarray(HEADER_BYTES + length)
    }
  }
}

/** A client whose call is served: on a busy machine one may be too late. */
async function openServed(service: TestService, open: () => Promise<TestClient>) {
  const asked = service.next()
  for (;;) {
    const client = await open()
    client.write(encodeCall(CALL))
    const ask = await Promise.race([asked, client.ahead().then(() => undefined)])
    if (ask !== undefined) return { client, ask }
  }
}

const refusal = (why: string) => `refused 1.1.0 11 the daemon does not serve this call: ${why}`

test('the socket is root’s alone, and so are the directories that are made for it', async (t) => {
  const { path } = await start(t)
  const mode = (file: string) => (statSync(file).mode & 0o777).toString(8)
  t.equal(mode(path), '600')
  t.equal(mode(join(path, '..')), '700')
  t.equal(mode(join(path, '../..')), '700')
  t.equal(mode(`${path}.lock`), '600')
  t.ok(statSync(path).isSocket())
})

test('a second daemon is refused, and the first goes on; when that has ended it is not', async (t) => {
  const { service, path, open, close } = await start(t)
  const second = new DaemonServer(new TestService(), { path, native: loadNative() })
  t.throws(() => second.lock(), {
    code: 'ERUNNING',
    message: `ERUNNING: another daemon holds "${path}.lock"; stop it first, or give another --socket`,
  })
  const client = await open()
  client.write(encodeCall(CALL))
  const ask = await service.next()
  ask.answer(DONE)
  t.match(await client.hear(), /^outcome /)
  await close()
  second.lock()
  second.listen()
  await second.close()
})

test('a socket that a dead daemon left is replaced', async (t) => {
  const directory = makeDirectory(t)
  const path = join(directory, 'podwire.sock')
  const dead = createServer().listen(join(directory, 'dead'))
  await once(dead, 'listening')
  renameSync(join(directory, 'dead'), path)
  await new Promise((resolve) => dead.close(resolve))
  t.ok(statSync(path).isSocket(), 'it is left')
  const server = new DaemonServer(new TestService(), { path, native: loadNative() })
  server.lock()
  server.listen()
  const client = connect(path)
  await once(client, 'connect')
  client.destroy()
  await server.close()
})

test('a socket that somebody removed is made anew', async (t) => {
  const { service, open, path } = await start(t, { heartbeatMs: 1 })
  rmSync(path)
  while (!existsSync(path)) await nextTurn()
  const client = await open()
  client.write(encodeCall(CALL))
  const ask = await service.next()
  ask.answer({ refusal: 'a reason' })
  t.equal(await client.hear(), refusal('a reason'))
  t.equal(statSync(path).mode & 0o777, 0o600)
})

test('a socket that is another’s by now stays', async (t) => {
  const { path, close } = await start(t)
  rmSync(path)
  writeFileSync(path, 'theirs')
  await close()
  t.equal(readFileSync(path, 'utf8'), 'theirs')
})

test('a path that no socket can have is refused', (t) => {
  const path = `/${'x'.repeat(107)}`
  const server = new DaemonServer(new TestService(), { path, native: loadNative() })
  t.throws(() => server.lock(), {
    code: 'EPATH',
    message: `EPATH: "${path}" is longer than the 107 bytes of a socket's path`,
  })
  t.end()
})

test('a call is answered with its outcome', async (t) => {
  const { service, open } = await start(t)
  const client = await open()
  client.write(encodeCall(CALL))
  const ask = await service.next()
  t.strictSame({ ...ask.call, environment: { ...ask.call.environment } }, CALL)
  ask.answer({ exitStatus: 1, stdout: 'öut', stderr: 'err' })
  t.equal(await client.hear(), 'outcome {"exitStatus":1,"stdout":"öut","stderr":"err"}')
  t.equal(await client.hear(), 'end')
})

test('a call that the service refuses is told to be made by the caller', async (t) => {
  const { service, open } = await start(t)
  const client = await open()
  client.write(encodeCall(CALL))
  const ask = await service.next()
  ask.answer({ refusal: 'a reason' })
  t.equal(await client.hear(), refusal('a reason'))
  t.equal(await client.hear(), 'end')
})

test('a call may come byte by byte, and what comes after it is passed over', async (t) => {
  const { service, open } = await start(t)
  const client = await open()
  const bytes = encodeCall(CALL)
  for (const byte of bytes.subarray(0, -1)) {
    client.write(Uint8Array.of(byte))
    await nextTurn()
  }
  client.write(bytes.subarray(-1), encodeCall(CALL))
  const ask = await service.next()
  client.write('more')
  ask.answer(DONE)
  t.match(await client.hear(), /^outcome /)
  t.equal(await client.hear(), 'end')
})

test('what is no call is refused with the reason', async (t) => {
  const header = (hex: string, length: number) => {
    const bytes = Buffer.from(`${hex}0000${'00000000'}`, 'hex')
    bytes.writeUInt32LE(length, 8)
    return bytes
  }
  const rows: [what: string, bytes: Uint8Array, why: string][] = [
    ['another protocol', Buffer.from('SSH-2.0-x\r\n....'), 'daemon protocol: this is no frame'],
    ['a newer shim', header('505749520201', 2), 'daemon protocol: version 2, the daemon knows 1'],
    [
      'a frame of ours',
      encodeFrame(KIND.working),
      'daemon protocol: a client does not send frames of kind 17',
    ],
    [
      'one byte too long',
      header('505749520101', MAX_BODY_BYTES + 1),
      `daemon protocol: ${MAX_BODY_BYTES + 1} bytes, ${MAX_BODY_BYTES} at most`,
    ],
    [
      'strings that do not end',
      Buffer.concat([header('505749520101', 3), Buffer.from('a\0b')]),
      'daemon protocol: a call ends within its strings',
    ],
  ]
  const { open, service } = await start(t)
  for (const [what, bytes, why] of rows) {
    const client = await open()
    client.write(bytes)
    t.equal(await client.hear(), refusal(why), what)
    t.equal(await client.hear(), 'end', what)
    t.equal(service.refusals.pop(), 'bad_request')
  }
})

test('a client that does not say what it wants is given up, and others are served meanwhile', async (t) => {
  const { service, open } = await start(t, { requestTimeoutMs: 50 })
  const silent = await open()
  const halfHeader = await open()
  halfHeader.write('PWIR\x01')
  const halfBody = await open()
  halfBody.write(encodeCall(CALL).subarray(0, 20))
  const { client: good, ask } = await openServed(service, open)
  for (const client of [silent, halfHeader, halfBody])
    t.equal(await client.hear(), refusal('the request did not come in time'))
  t.strictSame(service.refusals, ['slow_request', 'slow_request', 'slow_request'])
  ask.answer(DONE)
  t.match(await good.hearLast(), /^outcome /, 'a call may take longer than a request')
})

test('one client more than fits is refused, and fits when another has gone', async (t) => {
  const { service, open } = await start(t, { maxClients: 1 })
  const first = await open()
  first.write(encodeCall(CALL))
  const ask = await service.next()
  const second = await open()
  t.equal(await second.hear(), refusal('1 clients are being served'))
  t.strictSame(service.refusals, ['too_many'])
  ask.answer(DONE)
  t.match(await first.hear(), /^outcome /)
  t.equal(await first.hear(), 'end')
  // The server hears of the second one's end when it does.
  const third = await openServed(service, open)
  third.ask.answer(DONE)
  t.match(await third.client.hear(), /^outcome /)
})

test('a client that is being served hears that it still is, one that is not hears nothing', async (t) => {
  const { service, open } = await start(t, { heartbeatMs: 2, requestTimeoutMs: 100 })
  const waiting = await open()
  const { client, ask } = await openServed(service, open)
  t.equal(await client.hear(), 'working')
  t.equal(await client.hear(), 'working')
  ask.answer(DONE)
  t.match(await client.hearLast(), /^outcome /)
  t.equal(await client.hear(), 'end', 'nothing after the outcome')
  t.match(await waiting.hear(), /^refused /)
})

test('a client hears nothing while calls are held up', async (t) => {
  let [areHeldUp, asked] = [true, 0]
  const held = () => {
    asked++
    return areHeldUp
  }
  const { service, open } = await start(t, { heartbeatMs: 1, areHeldUp: held })
  const { client, ask } = await openServed(service, open)
  let hasHeard = false
  void client.ahead().then(() => {
    hasHeard = true
  })
  while (asked < 5) await nextTurn()
  t.notOk(hasHeard)
  areHeldUp = false
  t.equal(await client.hear(), 'working')
  ask.answer(DONE)
  t.match(await client.hearLast(), /^outcome /)
})

/** Connects to the path that is its argument when told, and tells when that has ended. */
const CLIENT = `
  process.stdin.once('data', () => {
    const socket = require('node:net').connect(process.argv[1])
    socket.on('error', () => undefined).on('close', () => console.log('closed')).resume()
  })
  console.log('ready')
`

test('without descriptors a client is let go at once, and others are served when there are some', async (t) => {
  const { service, open, path } = await start(t, { requestTimeoutMs: 1 << 30 })
  const client = spawn(process.execPath, ['-e', CLIENT, path], { stdio: ['pipe', 'pipe', 'inherit'] })
  t.teardown(() => client.kill())
  await once(client.stdout, 'data')
  const http = await open()
  const before = execFileSync('prlimit', [
    '--pid',
    `${process.pid}`,
    '--nofile',
    '--raw',
    '--noheadings',
    '-o',
    'SOFT',
  ])
  execFileSync('prlimit', ['--pid', `${process.pid}`, '--nofile=100:'])
  const files: number[] = []
  try {
    for (;;) files.push(openSync('/dev/null', 'r'))
  } catch (error) {
    t.match(error, { code: 'EMFILE' })
  }
  client.stdin.write('go')
  const [text] = await once(client.stdout, 'data')
  t.equal(String(text), 'closed\n')
  http.write('GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n')
  t.equal(await http.next(), undefined, 'a page takes one, too')
  for (const fd of files) closeSync(fd)
  execFileSync('prlimit', ['--pid', `${process.pid}`, `--nofile=${String(before).trim()}:`])
  const next = await openServed(service, open)
  next.ask.answer(DONE)
  t.match(await next.client.hear(), /^outcome /)
})

test('a client that disappears before its call is whole is forgotten', async (t) => {
  const { open, server } = await start(t)
  const client = await open()
  client.write(encodeCall(CALL).subarray(0, 20))
  client.socket.destroy()
  const other = await open()
  other.write('X'.repeat(12))
  t.match(await other.hear(), /no frame/, 'the daemon has heard of both')
  other.socket.destroy()
  while (server.clients > 0) await nextTurn()
})

test('a client that disappears during its call is known to be gone, and close() waits for the call', async (t) => {
  const { service, open, close } = await start(t, { heartbeatMs: 2 })
  const client = await open()
  client.write(encodeCall(CALL))
  const ask = await service.next()
  const { gone } = ask.client
  t.strictSame([ask.client.isGone, gone.aborted], [false, false])
  client.socket.destroy()
  while (!gone.aborted) await nextTurn()
  t.strictSame([ask.client.isGone, ask.client.gone.aborted], [true, true])
  let isClosed = false
  const closed = close().then(() => {
    isClosed = true
  })
  // A whole life of another connection: what would come of close() has come by then.
  const other = createServer().listen(join(makeDirectory(t), 'other'))
  await once(other, 'listening')
  await new Promise((resolve) => other.close(resolve))
  t.equal(isClosed, false, 'the call runs')
  ask.answer(DONE)
  await closed
})

/** Says its argument, in hex, to the other one, and is gone. */
const HASTY = `
  const socket = require('node:net').connect(process.argv[1])
  socket.write(Buffer.from(process.argv[2], 'hex'), () => socket.destroy())
`

test('a client that was gone before its call was read is known to be', async (t) => {
  const { service, path } = await start(t)
  // The daemon is held meanwhile: its event loop is this one.
  execFileSync(process.execPath, ['-e', HASTY, path, encodeCall(CALL).toString('hex')])
  const { client, answer } = await service.next()
  t.equal(client.isGone, true)
  answer(DONE)
})

test('close() waits for what is put off until the last answer is sent', async (t) => {
  const { service, open, close } = await start(t)
  const client = await open()
  client.write(encodeCall(CALL))
  const ask = await service.next()
  const closed = close()
  let isDone = false
  ask.answer(DONE)
  process.nextTick(() => process.nextTick(() => (isDone = true)))
  await closed
  t.ok(isDone)
})

test('close() answers what runs, refuses what has not begun, and hears nobody new', async (t) => {
  const { service, open, close, path } = await start(t, { heartbeatMs: 2 })
  const idle = await open()
  const half = await open()
  half.write('PWIR')
  const busy = await open()
  busy.write(encodeCall(CALL))
  const ask = await service.next()
  const closed = close()
  t.equal(await idle.hear(), refusal('the daemon is stopping'))
  t.equal(await half.hear(), refusal('the daemon is stopping'))
  const late = connect(path)
  const [error] = await once(late, 'error').catch((thrown) => [thrown])
  t.match(error, { code: /ENOENT|ECONNREFUSED/ })
  t.equal(await busy.hear(), 'working', 'heartbeats go on')
  ask.answer(DONE)
  t.match(await busy.hearLast(), /^outcome /)
  await closed
})

test('close() does not cut off an answer that is being read', async (t) => {
  const { service, open, close } = await start(t, { requestTimeoutMs: 60_000, heartbeatMs: 60_000 })
  const client = await open()
  client.write(encodeCall(CALL))
  const stdout = 'x'.repeat(1 << 20)
  const ask = await service.next()
  ask.answer({ ...DONE, stdout })
  await nextTurn()
  const closed = close()
  await nextTurn()
  let length = 0
  for await (const chunk of client.socket) length += (chunk as Buffer).length
  t.equal(length, encodeOutcome({ ...DONE, stdout }).length, 'all of it')
  await closed
})

test('a client that never reads is cut off, and does not hold up close()', async (t) => {
  const { service, open, close } = await start(t, { requestTimeoutMs: 500, heartbeatMs: 1 })
  const answerLarge = async () => (await service.next()).answer({ ...DONE, stdout: 'x'.repeat(1 << 20) })
  const answers = [answerLarge(), answerLarge()]
  for (const client of [await open(), await open()]) client.write(encodeCall(CALL))
  await Promise.all(answers)
  await close()
})

test('a client that is refused while it speaks is heard to its end', async (t) => {
  const { open } = await start(t)
  const client = await open()
  client.write('no frame at all')
  t.match(await client.hear(), /no frame/)
  const error = await new Promise((resolve) => client.socket.write('more', resolve))
  t.notOk(error)
  client.socket.end()
  t.equal(await client.hear(), 'end')
})

interface Response {
  readonly status: number | undefined
  readonly type: string | undefined
  readonly text: string
}

async function ask(path: string, url: string, method = 'GET'): Promise<Response> {
  const request = httpRequest({ socketPath: path, path: url, method }).end()
  const [response] = await once(request, 'response')
  const chunks: Buffer[] = []
  for await (const chunk of response) chunks.push(chunk)
  return {
    status: response.statusCode,
    type: response.headers['content-type'],
    text: Buffer.concat(chunks).toString(),
  }
}

test('the same socket speaks HTTP', async (t) => {
  const { path } = await start(t)
  const plain = 'text/plain; charset=utf-8'
  const none = { status: 404, type: plain, text: 'there are /healthz, /readyz, /status and /metrics\n' }
  const rows: [url: string, expected: Response, method?: string][] = [
    ['/healthz', { status: 200, type: plain, text: 'ok\n' }],
    ['/healthz', { status: 200, type: plain, text: '' }, 'HEAD'],
    ['/readyz', { status: 503, type: plain, text: 'not ready\n' }],
    ['/status?x=1', { status: 200, type: 'application/json', text: '{\n  "ready": true\n}\n' }],
    ['/metrics', { status: 200, type: 'text/plain; version=0.0.4; charset=utf-8', text: 'podwire 1\n' }],
    ['/', none],
    ['/metrics/', none],
  ]
  for (const [url, expected, method] of rows) t.strictSame(await ask(path, url, method), expected, url)
})

test('a page that cannot be made is an error of that page only', async (t) => {
  const { path, service } = await start(t)
  service.status = () => {
    throw new Error('the store cannot be read')
  }
  t.match(await ask(path, '/status'), { status: 500, text: 'the store cannot be read\n' })
  t.match(await ask(path, '/healthz'), { status: 200 })
})

test('HTTP in pieces is one request, and the connection ends with the answer', async (t) => {
  const { open } = await start(t)
  const { socket } = await open()
  for (const piece of ['G', 'ET /healthz HT', 'TP/1.1\r\nHost: x\r\n', 'Connection: keep-alive\r\n\r\n']) {
    socket.write(piece)
    await nextTurn()
  }
  let text = ''
  for await (const chunk of socket) text += String(chunk)
  t.match(text, /^HTTP\/1.1 200 OK\r\n[\s\S]*connection: close\r\n[\s\S]*\r\n\r\nok\n$/i)
})

test('what begins like HTTP and is not is refused in its way', async (t) => {
  const { open } = await start(t)
  const { socket } = await open()
  socket.write('G\0\r\n\r\n')
  let text = ''
  for await (const chunk of socket) text += String(chunk)
  t.match(text, /^HTTP\/1.1 400 Bad Request/)
})

/** What a program has open that this process starts: `ls` has the directory as one more. */
function inherited(): string {
  return execFileSync('ls', ['/proc/self/fd'], { encoding: 'utf8' })
}

test('a program that is started while there are clients has none of their connections', async (t) => {
  const { path, service, open } = await start(t)
  const before = inherited()
  // Those that come in one turn are accepted together.
  const clients = await Promise.all([open(), open(), open()])
  for (const client of clients) client.write(encodeCall(CALL))
  const asks = [await service.next(), await service.next(), await service.next()]
  service.status = () => ({ inherited: inherited() })
  const { text } = await ask(path, '/status')
  t.equal(JSON.parse(text).inherited, before)
  for (const { answer } of asks) answer(DONE)
  for (const client of clients) t.equal(await client.hearLast(), `outcome ${JSON.stringify(DONE)}`)
})

test('half a request of HTTP is given up', async (t) => {
  const { open, server } = await start(t, { requestTimeoutMs: 50 })
  const { socket } = await open()
  socket.resume()
  socket.write('GET /healthz HTTP/1.1\r\n')
  await once(socket, 'close')
  while (server.clients > 0) await nextTurn()
})

test('half a request of HTTP does not hold up close()', async (t) => {
  const { open, close } = await start(t, { requestTimeoutMs: 1 << 30 })
  const { socket } = await open()
  socket.write('GET /healthz HTTP/1.1\r\n')
  const other = await open()
  other.write('X'.repeat(12))
  t.match(await other.hear(), /no frame/, 'the daemon has read what came before')
  await close()
})

test('close() of a server that never listened is nothing', async (t) => {
  const path = join(makeDirectory(t), 'podwire.sock')
  const server = new DaemonServer(new TestService(), { path, native: loadNative() })
  server.lock()
  await server.close()
  const next = new DaemonServer(new TestService(), { path, native: loadNative() })
  next.lock()
  await next.close()
})
