// The daemon's end of the socket. One connection is one call, or one request of HTTP (counters, health); nothing that a
// client does or leaves undone holds up another.

import { closeSync, rmSync } from 'node:fs'
import { Socket } from 'node:net'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { CNI_CODE, CniError, encodeError } from '../cni/errors.ts'
import { NEWEST_VERSION } from '../cni/versions.ts'
import type { Native } from '../native/native.ts'
import { openOwnFile } from '../state/own-file.ts'
import { MOST } from './limits.ts'
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
  /** It has closed its end: nobody waits for the answer. */
  readonly isGone: boolean
  /** Aborted when it is gone. */
  readonly gone: AbortSignal
  /** Its process; 0 when that cannot be seen from here. */
  readonly pid: number
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
  readonly native: Pick<Native, 'flock' | 'serve' | 'identify' | ClientCall>
  /** Connections at a time; one more is refused at once. */
  readonly maxClients?: number
  /** How long a client may take to say what it wants. */
  readonly requestTimeoutMs?: number
  readonly heartbeatMs?: number
  /** Whether calls are held up, as if this thread were: then those who wait are not told that they are served. */
  readonly areHeldUp?: () => boolean
  /** Called for each that comes. */
  readonly onClient?: () => void
}

/** What is done with a connection (native/clients.c). */
type ClientCall = 'isClientGone' | 'clientPid' | 'tellClient' | 'endClient' | 'dropClient' | 'takeClient'

export class DaemonError extends Error {
  readonly code: 'ERUNNING' | 'EPATH' | 'EADDRESS'

  constructor(code: DaemonError['code'], message: string, options?: ErrorOptions) {
    super(`${code}: ${message}`, options)
    this.name = 'DaemonError'
    this.code = code
  }
}

const DEFAULTS = { maxClients: MOST.clients, requestTimeoutMs: 5_000, heartbeatMs: 1_000 }
const LOCK_EX_NB = 2 | 4 // sys/file.h
/** sizeof sun_path, less the NUL (unix(7)). */
const MAX_PATH_BYTES = 107
const BACKLOG = 1024

const WORKING = encodeFrame(KIND.working)

export class DaemonServer {
  readonly #options: typeof DEFAULTS & ServerOptions
  readonly #service: Service
  readonly #sessions = new Map<number, Session>()
  /** Of these, those that were refused because there were too many: they have yet to read that. */
  readonly #turnedAway = new Set<number>()
  readonly #httpSockets = new Set<Socket>()
  /** Calls; those whose client is gone are among them. */
  #running = 0
  #lock: number | undefined
  #timer: NodeJS.Timeout | undefined
  #listening: Listening | undefined
  #empty: PromiseWithResolvers<void> | undefined

  constructor(service: Service, options: ServerOptions) {
    this.#options = { ...DEFAULTS, ...options }
    this.#service = service
  }

  get clients(): number {
    return this.#sessions.size + this.#httpSockets.size
  }

  /**
   * Keeps other daemons from this socket, as long as this process lives. Makes its directories (0700).
   *
   * @throws DaemonError ERUNNING when another has it. StoreError EUNSAFE when others than root could take the socket's place
   */
  lock(): void {
    const { path, native } = this.#options
    if (Buffer.byteLength(path) > MAX_PATH_BYTES)
      throw new DaemonError(
        'EPATH',
        `"${path}" is longer than the ${MAX_PATH_BYTES} bytes of a socket's path`,
      )
    this.#lock = takeLock(`${path}.lock`, native.flock)
  }

  /** After `lock`. Makes the socket (0600); one that a dead daemon left is replaced. @throws DaemonError EPATH */
  listen(): void {
    const { path, heartbeatMs, requestTimeoutMs } = this.#options
    rmSync(path, { force: true })
    this.#listening = this.#bind(path)
    this.#timer = setInterval(() => this.#lookAround(), Math.min(heartbeatMs, requestTimeoutMs))
  }

  /** Nobody but root may connect, from the moment that the socket is there: bind(2) minds the umask. */
  #bind(path: string): Listening {
    const { native } = this.#options
    const before = process.umask(0o177)
    try {
      return { stop: native.serve(path, BACKLOG, this.#onEvent), identity: native.identify(path) }
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error)
      throw new DaemonError('EPATH', `"${path}" cannot be a socket (${why}); give another --socket`)
    } finally {
      process.umask(before)
    }
  }

  /** Hears no new clients, and resolves when those that are there have their answers, and no call runs. */
  async close(): Promise<void> {
    this.#stopListening()
    this.#empty = Promise.withResolvers()
    for (const session of [...this.#sessions.values()]) session.closeIfIdle()
    for (const socket of this.#httpSockets) socket.destroy()
    this.#left()
    await this.#empty.promise
    await nextTurn() // what was put off until the last answer is sent, its line in the log
    clearInterval(this.#timer)
    if (this.#lock !== undefined) closeSync(this.#lock)
  }

  /** What is at the path may be another daemon's. */
  #stopListening(): void {
    const { native, path } = this.#options
    if (this.#listening === undefined) return
    const { stop, identity } = this.#listening
    stop()
    if (native.identify(path) === identity) rmSync(path, { force: true })
    this.#listening = undefined
  }

  /** Somebody removed the socket, and whoever comes would find no daemon. */
  #listenAnew(): void {
    const { native, path } = this.#options
    if (this.#listening === undefined || native.identify(path) !== undefined) return
    try {
      const listening = this.#bind(path)
      this.#listening.stop()
      this.#listening = listening
    } catch (error) {
      if (!(error instanceof DaemonError)) throw error // its directory is gone, too: perhaps it comes again
    }
  }

  /** Somebody is gone, or some call is over. */
  #left(): void {
    if (this.clients + this.#running === 0) this.#empty?.resolve()
  }

  readonly #onEvent = (id: number, bytes: Buffer | undefined): void => {
    const session = this.#sessions.get(id) ?? this.#accept(id)
    if (bytes !== undefined) session.read(bytes)
    else {
      this.#forget(id)
      session.leave()
    }
  }

  #accept(id: number): Session {
    const { native, maxClients, onClient } = this.#options
    onClient?.()
    const isFull = this.clients - this.#turnedAway.size >= maxClients
    const session = new Session({
      isGone: () => native.isClientGone(id),
      pid: () => native.clientPid(id),
      say: (bytes) => native.tellClient(id, bytes),
      end: (bytes, hasHeardAll) => {
        if (native.endClient(id, bytes, hasHeardAll)) this.#forget(id)
      },
      drop: () => {
        native.dropClient(id)
        this.#forget(id)
      },
      serve: (call) => this.#serve(call, session),
      serveHttp: (bytes) => this.#serveHttp(id, bytes),
      refused: (reason, why) => this.#service.refused(reason, why),
    })
    this.#sessions.set(id, session)
    if (isFull) {
      this.#turnedAway.add(id)
      session.refuse('too_many', `${maxClients} clients are being served`)
    }
    return session
  }

  #forget(id: number): void {
    this.#sessions.delete(id)
    this.#turnedAway.delete(id)
    this.#left()
  }

  #serve(call: Call, session: Session): void {
    this.#running++
    this.#service.answer(call, session).then((answer) => {
      this.#running--
      session.answer(answer)
      this.#left()
    })
  }

  #serveHttp(id: number, bytes: Buffer): void {
    const socket = this.#takeSocket(id)
    if (socket !== undefined) this.#handToHttp(socket, bytes)
    this.#forget(id)
  }

  /** The time for the request is that for the answer too: a server of HTTP that does not listen itself keeps no time. */
  #handToHttp(socket: Socket, bytes: Buffer): void {
    const timer = setTimeout(() => socket.destroy(), this.#options.requestTimeoutMs)
    this.#httpSockets.add(socket)
    socket.on('error', () => socket.destroy())
    socket.on('close', () => {
      clearTimeout(timer)
      this.#httpSockets.delete(socket)
      this.#left()
    })
    socket.unshift(bytes)
    this.#service.serveHttp(socket)
  }

  /** @returns undefined when there are no descriptors left (EMFILE): who asks over HTTP can ask again */
  #takeSocket(id: number): Socket | undefined {
    const { native } = this.#options
    let fd: number
    try {
      fd = native.takeClient(id)
    } catch {
      native.dropClient(id)
      return undefined
    }
    return new Socket({ fd, readable: true, writable: true })
  }

  #lookAround(): void {
    this.#listenAnew()
    const latest = performance.now() - this.#options.requestTimeoutMs
    const areServed = !this.#options.areHeldUp?.()
    for (const session of [...this.#sessions.values()]) session.lookAround(latest, areServed)
  }
}

interface Listening {
  readonly stop: () => void
  /** Of the socket's file. */
  readonly identity: string | undefined
}

/** Kept as long as the process lives, however it ends. */
function takeLock(path: string, flock: Native['flock']): number {
  const fd = openOwnFile(path)
  if (flock(fd, LOCK_EX_NB, 0)) return fd
  closeSync(fd)
  throw new DaemonError('ERUNNING', `another daemon holds "${path}"; stop it first, or give another --socket`)
}

/** One for all: an exception of its own for each client would be made with the stack that it closes on. */
const GONE = new Error('the client is gone')

/** What a session does with its connection, and with what it has read. */
interface Connection {
  /** The other end is closed; an event tells so later. */
  isGone(): boolean
  pid(): number
  say(bytes: Uint8Array): void
  /** The last that is said. @param hasHeardAll  as for `endClient` */
  end(bytes: Uint8Array, hasHeardAll: boolean): void
  drop(): void
  serve(call: Call): void
  /** @param bytes  what was read already */
  serveHttp(bytes: Buffer): void
  refused(reason: FallbackReason, why: string): void
}

class Session implements Client {
  readonly #connection: Connection
  #state: 'asking' | 'served' | 'ending' | 'gone' = 'asking'
  /** Of the state. */
  #since = performance.now()
  #bytes: Buffer | undefined
  #gone: AbortController | undefined

  constructor(connection: Connection) {
    this.#connection = connection
  }

  get isGone(): boolean {
    return this.#state === 'gone' || (this.#state === 'served' && this.#connection.isGone())
  }

  get pid(): number {
    return this.#state === 'gone' ? 0 : this.#connection.pid()
  }

  get gone(): AbortSignal {
    if (this.#gone === undefined) {
      this.#gone = new AbortController()
      if (this.#state === 'gone') this.#gone.abort(GONE)
    }
    return this.#gone.signal
  }

  /** Its connection is over: it has closed its end, or has read all that there was for it. */
  leave(): void {
    this.#state = 'gone'
    this.#gone?.abort(GONE)
  }

  /** @param latest  what has gone on since before that, in ms, has taken too long */
  lookAround(latest: number, isServed: boolean): void {
    if (this.#state === 'served') {
      if (isServed) this.#connection.say(WORKING)
    } else if (this.#since > latest) return
    else if (this.#state === 'asking') this.refuse('slow_request', 'the request did not come in time')
    else if (this.#state === 'ending') this.#connection.drop()
  }

  closeIfIdle(): void {
    if (this.#state === 'asking') this.refuse('stopping', 'the daemon is stopping')
  }

  refuse(reason: FallbackReason, why: string): void {
    this.#connection.refused(reason, why)
    this.#refuse(why)
  }

  answer(answer: Answer): void {
    if ('refusal' in answer) this.#refuse(answer.refusal)
    else this.#end(encodeOutcome(answer))
  }

  /** After its request a client has nothing to say. */
  read(bytes: Buffer): void {
    if (this.#state !== 'asking' || bytes.length === 0) return
    const all = this.#bytes === undefined ? bytes : Buffer.concat([this.#bytes, bytes])
    this.#bytes = all
    try {
      this.#readAll(all)
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error
      this.refuse('bad_request', error.message)
    }
  }

  #readAll(bytes: Buffer): void {
    const [first] = bytes
    // GET, HEAD
    if (first === 0x47 || first === 0x48) this.#connection.serveHttp(bytes)
    else if (bytes.length >= HEADER_BYTES) this.#readFrame(bytes)
  }

  #readFrame(bytes: Buffer): void {
    const header = readHeader(bytes)
    refuseHeader(header)
    if (bytes.length < HEADER_BYTES + header.length) return
    const call = decodeCall(bytes.subarray(HEADER_BYTES, HEADER_BYTES + header.length))
    this.#bytes = undefined
    this.#enter('served')
    this.#connection.serve(call)
  }

  #refuse(why: string): void {
    const error = new CniError(CNI_CODE.tryAgainLater, `the daemon does not serve this call: ${why}`)
    this.#end(encodeRefusal(encodeError(error, NEWEST_VERSION)))
  }

  /** What cannot be said to a client that is gone is nobody's loss. One that does not read is cut off in time. */
  #end(frame: Buffer): void {
    if (this.#state === 'gone') return
    const hasHeardAll = this.#state === 'served'
    this.#bytes = undefined
    this.#enter('ending')
    this.#connection.end(frame, hasHeardAll)
  }

  #enter(state: 'served' | 'ending'): void {
    this.#state = state
    this.#since = performance.now()
  }
}

function refuseHeader({ version, kind, length }: Header): void {
  if (version !== VERSION) throw new ProtocolError(`version ${version}, the daemon knows ${VERSION}`)
  if (kind !== KIND.call) throw new ProtocolError(`a client does not send frames of kind ${kind}`)
  if (length > MAX_BODY_BYTES) throw new ProtocolError(`${length} bytes, ${MAX_BODY_BYTES} at most`)
}
