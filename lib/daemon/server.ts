// The daemon's end of the socket. One connection is one call, or one request of HTTP (counters, health); nothing that a
// client does or leaves undone holds up another.

import { closeSync, rmSync } from 'node:fs'
import { createServer, type Server, type Socket } from 'node:net'
import { CNI_CODE, CniError, encodeError } from '../cni/errors.ts'
import { NEWEST_VERSION } from '../cni/versions.ts'
import { openOwnFile } from '../state/own-file.ts'
import type { FallbackReason } from './metrics.ts'
import {
  type Call,
  decodeCall,
  encodeFrame,
  encodeOutcome,
  encodeRefusal,
  HEADER_BYTES,
  type Header,
  KIND,
  MAX_BODY_BYTES,
  type Outcome,
  ProtocolError,
  readHeader,
  VERSION,
} from './protocol.ts'

/** What came of a call: its outcome, or why the caller must do it itself. */
export type Answer = Outcome | { readonly refusal: string }

export interface Client {
  /** Aborted when it has closed its end: nobody waits for the answer. */
  readonly gone: AbortSignal
}

export interface Service {
  /** Never rejects. */
  answer(call: Call, client: Client): Promise<Answer>
  /** Takes over a connection that speaks HTTP; what was read of it already is put back. */
  serveHttp(socket: Socket): void
  /** A client was refused before its call was known. */
  refused(reason: FallbackReason, why: string): void
}

export interface ServerOptions {
  readonly path: string
  readonly flock: (fd: number, operation: number, timeoutMs: number) => boolean
  /** Connections at a time; one more is refused at once. */
  readonly maxClients?: number
  /** How long a client may take to say what it wants. */
  readonly requestTimeoutMs?: number
  readonly heartbeatMs?: number
  /** Called for each that comes. */
  readonly onClient?: () => void
}

export class DaemonError extends Error {
  readonly code: 'ERUNNING' | 'EPATH' | 'EADDRESS'

  constructor(code: DaemonError['code'], message: string, options?: ErrorOptions) {
    super(`${code}: ${message}`, options)
    this.name = 'DaemonError'
    this.code = code
  }
}

const MAX_CLIENTS = 2048
const REQUEST_TIMEOUT_MS = 5_000
const HEARTBEAT_MS = 1_000
const LOCK_EX_NB = 2 | 4 // sys/file.h
/** sizeof sun_path, less the NUL (unix(7)). */
const MAX_PATH_BYTES = 107

export class DaemonServer {
  readonly #options: ServerOptions
  readonly #service: Service
  readonly #server: Server
  readonly #sessions = new Set<Session>()
  /** Calls whose client is gone are among them. */
  readonly #running = new Set<Promise<Answer>>()
  #lock: number | undefined
  #heartbeat: NodeJS.Timeout | undefined

  constructor(service: Service, options: ServerOptions) {
    this.#options = options
    this.#service = service
    this.#server = createServer((socket) => this.#accept(socket))
  }

  get clients(): number {
    return this.#sessions.size
  }

  /**
   * Keeps other daemons from this socket, as long as this process lives. Makes its directories (0700).
   *
   * @throws DaemonError ERUNNING when another has it. StoreError EUNSAFE when others than root could take the socket's place
   */
  lock(): void {
    const { path, flock } = this.#options
    if (Buffer.byteLength(path) > MAX_PATH_BYTES)
      throw new DaemonError(
        'EPATH',
        `"${path}" is longer than the ${MAX_PATH_BYTES} bytes of a socket's path`,
      )
    this.#lock = takeLock(`${path}.lock`, flock)
  }

  /** After `lock`. Makes the socket (0600); one that a dead daemon left is replaced. */
  async listen(): Promise<void> {
    const { path, heartbeatMs = HEARTBEAT_MS } = this.#options
    rmSync(path, { force: true })
    await this.#listen(path)
    this.#heartbeat = setInterval(() => {
      for (const session of this.#sessions) session.beat()
    }, heartbeatMs)
  }

  /** Nobody but root may connect, from the moment that the socket is there: bind(2) minds the umask. */
  #listen(path: string): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    const before = process.umask(0o177)
    // Later ones are of clients that could not be accepted (EMFILE, …): they hear nothing, and do their calls themselves.
    this.#server.on('error', reject)
    try {
      this.#server.listen({ path, backlog: 1024 }, resolve)
    } finally {
      process.umask(before)
    }
    return promise
  }

  /** Hears no new clients, and resolves when those that are there have their answers, and no call runs. */
  async close(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()))
    for (const session of this.#sessions) session.closeIfIdle()
    await closed
    await Promise.all(this.#running)
    clearInterval(this.#heartbeat)
    if (this.#lock !== undefined) closeSync(this.#lock)
  }

  readonly #tracked: Service = {
    answer: (call, client) => {
      const running = this.#service.answer(call, client)
      this.#running.add(running)
      return running.finally(() => this.#running.delete(running))
    },
    serveHttp: (socket) => this.#service.serveHttp(socket),
    refused: (reason, why) => this.#service.refused(reason, why),
  }

  #accept(socket: Socket): void {
    const { maxClients = MAX_CLIENTS, requestTimeoutMs = REQUEST_TIMEOUT_MS, onClient } = this.#options
    onClient?.()
    const session = new Session(socket, this.#tracked, requestTimeoutMs)
    if (this.#sessions.size >= maxClients) {
      session.refuse('too_many', `${maxClients} clients are being served`)
      return
    }
    this.#sessions.add(session)
    socket.on('close', () => this.#sessions.delete(session))
    session.begin()
  }
}

/** Kept as long as the process lives, however it ends. */
function takeLock(path: string, flock: ServerOptions['flock']): number {
  const fd = openOwnFile(path)
  if (flock(fd, LOCK_EX_NB, 0)) return fd
  closeSync(fd)
  throw new DaemonError('ERUNNING', `another daemon holds "${path}"; stop it first, or give another --socket`)
}

/** One for all: an exception of its own for each client would be made with the stack that it closes on. */
const GONE = new Error('the client is gone')

class Session implements Client {
  readonly #socket: Socket
  readonly #service: Service
  readonly #requestTimeoutMs: number
  #chunks: Buffer[] = []
  #length = 0
  #timer: NodeJS.Timeout | undefined
  #isServing = false
  #isHttp = false
  /** All has been written; what is not sent yet still is. */
  #isEnding = false
  readonly #gone = new AbortController()

  constructor(socket: Socket, service: Service, requestTimeoutMs: number) {
    this.#socket = socket
    this.#service = service
    this.#requestTimeoutMs = requestTimeoutMs
    // A client that is gone is told by 'close'; what cannot be written to it is nobody's loss.
    socket.on('error', () => socket.destroy())
    socket.on('close', () => {
      this.#gone.abort(GONE)
      clearTimeout(this.#timer)
    })
  }

  get gone(): AbortSignal {
    return this.#gone.signal
  }

  begin(): void {
    const why = 'the request did not come in time'
    this.#timer = setTimeout(() => this.refuse('slow_request', why), this.#requestTimeoutMs)
    this.#socket.on('data', this.#onData)
  }

  beat(): void {
    // One that does not read gets no more: its buffer would be ours to keep.
    if (this.#isServing && !this.#socket.writableNeedDrain) this.#socket.write(encodeFrame(KIND.working))
  }

  closeIfIdle(): void {
    if (this.#isHttp) this.#socket.destroy()
    else if (!this.#isServing && !this.#isEnding) this.refuse('stopping', 'the daemon is stopping')
  }

  refuse(reason: FallbackReason, why: string): void {
    this.#service.refused(reason, why)
    this.#refuse(why)
  }

  #refuse(why: string): void {
    const error = new CniError(CNI_CODE.tryAgainLater, `the daemon does not serve this call: ${why}`)
    this.#end(encodeRefusal(encodeError(error, NEWEST_VERSION)))
  }

  readonly #onData = (chunk: Buffer): void => {
    // After its request a client has nothing to say.
    if (this.#isServing) return
    this.#chunks.push(chunk)
    this.#length += chunk.length
    try {
      this.#read()
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error
      this.refuse('bad_request', error.message)
    }
  }

  #read(): void {
    const first = this.#chunks[0]?.[0] ?? 0
    // GET, HEAD
    if (first === 0x47 || first === 0x48) this.#becomeHttp()
    else if (this.#length >= HEADER_BYTES) this.#readFrame()
  }

  #readFrame(): void {
    const bytes = this.#joined()
    const header = readHeader(bytes)
    refuseHeader(header)
    if (this.#length < HEADER_BYTES + header.length) return
    this.#serve(decodeCall(bytes.subarray(HEADER_BYTES, HEADER_BYTES + header.length)))
  }

  #joined(): Buffer {
    const [first] = this.#chunks
    const joined = first !== undefined && this.#chunks.length === 1 ? first : Buffer.concat(this.#chunks)
    this.#chunks = [joined]
    return joined
  }

  #serve(call: Call): void {
    clearTimeout(this.#timer)
    this.#isServing = true
    this.#chunks = []
    this.#socket.write(encodeFrame(KIND.accepted))
    this.#service.answer(call, this).then((answer) => {
      if ('refusal' in answer) this.#refuse(answer.refusal)
      else this.#end(encodeOutcome(answer))
    })
  }

  /** The time for the request is that for the answer too: a server of HTTP that does not listen itself keeps no time. */
  #becomeHttp(): void {
    clearTimeout(this.#timer)
    this.#timer = setTimeout(() => this.#socket.destroy(), this.#requestTimeoutMs)
    this.#isHttp = true
    this.#socket.off('data', this.#onData)
    this.#socket.pause()
    this.#socket.unshift(this.#joined())
    this.#service.serveHttp(this.#socket)
    this.#socket.resume()
  }

  /** The client closes when it has read; one that does not is cut off. */
  #end(frame: Buffer): void {
    this.#isServing = false
    this.#isEnding = true
    clearTimeout(this.#timer)
    this.#timer = setTimeout(() => this.#socket.destroy(), this.#requestTimeoutMs)
    this.#socket.off('data', this.#onData)
    this.#socket.resume()
    this.#socket.end(frame)
  }
}

function refuseHeader({ version, kind, length }: Header): void {
  if (version !== VERSION) throw new ProtocolError(`version ${version}, the daemon knows ${VERSION}`)
  if (kind !== KIND.call) throw new ProtocolError(`a client does not send frames of kind ${kind}`)
  if (length > MAX_BODY_BYTES) throw new ProtocolError(`${length} bytes, ${MAX_BODY_BYTES} at most`)
}
