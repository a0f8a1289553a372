// A conversation with the kernel over one netlink socket: requests out, replies matched by sequence number,
// acknowledgements and errors understood, interrupted dumps repeated. Knows no family.
//
// The kernel works synchronously: when send(2) returns, the replies are already queued on the socket. They are taken
// from there at once; only what is not there yet (it never was seen) is left to the event loop and to a deadline. Or another
// thread sends and receives, and hands over all that came (Transport.send).

import { attributeTable, readAttributes } from './attributes.ts'
import { ByteWriter } from './byte-writer.ts'
import { string, u32 } from './codecs.ts'
import { attributePathAt, formatMessage } from './describe.ts'
import { errnoName, type KernelRefusal, NetlinkError } from './error.ts'
import {
  type Message,
  NLM_F_ACK,
  NLM_F_ACK_TLVS,
  NLM_F_CAPPED,
  NLM_F_DUMP,
  NLM_F_DUMP_INTR,
  NLM_F_ECHO,
  NLM_F_REQUEST,
  NLMSG_DONE,
  NLMSG_ERROR,
  NLMSG_HDRLEN,
  readErrno,
  readMessages,
  writeMessage,
} from './message.ts'
import type { MessageKind, Request } from './request.ts'

/** The datagrams that came, and last, where the socket broke, the errno of that. */
export type Answers = readonly (Uint8Array | number)[]

/** What a transport throws once it is closed: the number of a closed descriptor soon is another file's. */
export function closedError(): Error {
  return Object.assign(new Error('the socket is closed'), { errno: ENOTCONN })
}

/** One socket's raw datagrams. */
export interface Transport {
  /** @returns what is answered, where another thread asks for it; else it is to be received */
  send(datagram: Uint8Array): Promise<Answers> | undefined
  /** A datagram that has come already; what is not taken this way goes to the handlers. @returns undefined for none */
  receive?(): Uint8Array | undefined
  /** The handlers are set once, before the first send. An error is one of the socket: ENOBUFS, say. */
  listen(
    onDatagram: (datagram: Uint8Array) => void,
    onError: (error: Error & { errno?: number }) => void,
  ): void
  close(): void
}

export type Trace = (line: string) => void

export interface ConnectionOptions {
  /**
   * Gets a line for every message: `> 1 RTM_GETLINK ack ifi_index 2` for what is sent, `<` for what answers it,
   * `*` for a notification, each with its sequence number.
   */
  readonly trace?: Trace | undefined
  /** For the trace: the messages that the kernel may send. A request's own kind is known. */
  readonly kinds?: readonly MessageKind[]
  /**
   * What is asked in one turn, before anybody waits, goes out in one datagram; a list ends it, whose rest is only sent as
   * it is received. Not for nfnetlink, of which a datagram is one transaction.
   */
  readonly gathers?: boolean
  /** How long the kernel may take to answer, in ms. */
  readonly deadlineMs?: number
  /** The sequence number before the first, 0 by default: they are u32, and begin anew after the largest. */
  readonly lastSeq?: number
  /**
   * Hears multicast notifications. Such a connection makes no requests: a notification of an address or a route
   * carries the sequence number of the request that caused it, whosever that was (rtmsg_ifa), and would pass for a
   * reply.
   */
  readonly onEvent?: (message: Message) => void
  /** The socket broke, or was too slow (ENOBUFS): notifications were lost, so look at the state itself again. */
  readonly onLoss?: (error: NetlinkError) => void
}

export interface BatchOptions {
  /**
   * Sent after them and never answered: NFNL_MSG_BATCH_END, which the kernel acknowledges only since Linux 6.10, and never
   * when the batch failed.
   */
  readonly end?: Request
  /** One of them, of which the kernel is to tell what it has done, as it tells those who listen. */
  readonly echoed?: Request | undefined
}

/** An acknowledgement that was asked for, the end of a list, or the one reply itself. */
type Ending = 'acknowledgement' | 'done' | 'reply'

interface Pending {
  readonly requests: readonly Request[]
  readonly ending: Ending
  readonly firstSeq: number
  readonly replies: Message[]
  readonly errors: NetlinkError[]
  interrupted: boolean
  /** Another thread asks. */
  isElsewhere: boolean
  timer: NodeJS.Timeout | undefined
  resolve(replies: Message[]): void
  reject(error: Error): void
}

/** Of what is not answered. */
interface Failure {
  readonly errno: number
  readonly cause?: unknown
}

const NLMSGERR = attributeTable({ NLMSGERR_ATTR_MSG: [1, string], NLMSGERR_ATTR_OFFS: [2, u32] })

const MAX_SEQ = 0xffffffff
const DEFAULT_DEADLINE_MS = 10_000
/** A dump is interrupted when what it lists changes under it; on a busy node that is often, but not for ever. */
const MAX_DUMP_ATTEMPTS = 30
/** Of 32 KiB at most, when the kernel lists. */
const MAX_DATAGRAMS_AT_ONCE = 16
/** A message longer than the socket's buffer is refused (EMSGSIZE, netlink_sendmsg): 208 KiB, if nobody has changed it. */
const MAX_GATHERED_BYTES = 64 << 10
const ETIMEDOUT = 110
const EINTR = 4
const ENOTCONN = 107
const EPROTO = 71

export class Connection {
  readonly #transport: Transport
  readonly #options: ConnectionOptions
  /** By the sequence number that ends the conversation: a request's own, a batch's last. */
  readonly #pending = new Map<number, Pending>()
  /** Which conversation a sequence number belongs to. */
  readonly #owner = new Map<number, Pending>()
  /** What is yet to be sent, by the last sequence number of each conversation. */
  readonly #gathered = new Map<number, Uint8Array>()
  #gatheredBytes = 0
  #seq: number
  #lastDump: Promise<unknown> = Promise.resolve()

  constructor(transport: Transport, options: ConnectionOptions = {}) {
    this.#transport = transport
    this.#options = options
    this.#seq = options.lastSeq ?? 0
    transport.listen(
      (datagram) => this.#receive(datagram),
      (error) => this.#lose(Math.abs(error.errno ?? ENOTCONN), error),
    )
  }

  /** Sends one request and waits for its acknowledgement. @returns what the kernel sent before that */
  request(request: Request): Promise<Message[]> {
    return this.#send([request], 'acknowledgement')
  }

  /** For what is answered by one message: no acknowledgement is asked for, which would be a second datagram. */
  async get(request: Request): Promise<Message> {
    const [reply] = await this.#send([request], 'reply')
    return reply as Message
  }

  /**
   * Sends several requests in one datagram, in order.
   *
   * rtnetlink runs every one of them, also those after one that fails; nfnetlink, between its batch messages, all
   * or none.
   *
   * @returns what the kernel sent before the last acknowledgement
   * @throws NetlinkError of the first request that failed
   */
  batch(requests: readonly Request[], options: BatchOptions = {}): Promise<Message[]> {
    return requests.length === 0 ? Promise.resolve([]) : this.#send(requests, 'acknowledgement', options)
  }

  /**
   * Lists objects; repeats the dump until it was not interrupted by a change (NLM_F_DUMP_INTR).
   *
   * Dumps wait for each other: a socket has one at a time, a second is refused (EBUSY, __netlink_dump_start).
   */
  dump(request: Request): Promise<Message[]> {
    const dump = this.#lastDump.then(() => this.#dump(request))
    this.#lastDump = dump.catch(() => undefined)
    return dump
  }

  async #dump(request: Request): Promise<Message[]> {
    for (let attempt = 1; ; attempt++) {
      try {
        const { kind, payload, operation } = request
        return await this.#send([{ kind, payload, operation, flags: request.flags | NLM_F_DUMP }], 'done')
      } catch (error) {
        // EBUSY: the rest of a dump that was given up is still on its way.
        const again = error instanceof NetlinkError && ['EINTR', 'ENOBUFS', 'EBUSY'].includes(error.code)
        if (!again || attempt === MAX_DUMP_ATTEMPTS) throw error
      }
    }
  }

  close(): void {
    for (const lastSeq of this.#pending.keys()) this.#fail(lastSeq, ENOTCONN)
    this.#forgetGathered()
    this.#transport.close()
  }

  #send(
    requests: readonly Request[],
    ending: Ending,
    { end, echoed }: BatchOptions = {},
  ): Promise<Message[]> {
    if (this.#options.onEvent) throw new TypeError('a connection that hears notifications makes no requests')
    const writer = new ByteWriter()
    if (this.#seq + requests.length > MAX_SEQ) this.#seq = 0
    const firstSeq = this.#seq + 1
    for (const [i, request] of requests.entries()) {
      // Of a batch only the last one is needed.
      const ack = ending === 'acknowledgement' && i === requests.length - 1 ? NLM_F_ACK : 0
      const flags = request.flags | ack | (request === echoed ? NLM_F_ECHO : 0)
      const { kind, payload } = request
      this.#seq++
      writeMessage(writer, { type: kind.type, flags: flags | NLM_F_REQUEST, seq: this.#seq, payload })
      this.#options.trace?.(`> ${this.#seq} ${formatMessage(kind, flags, payload)}`)
    }
    if (end !== undefined) {
      const { kind, payload } = end
      writeMessage(writer, { type: kind.type, flags: NLM_F_REQUEST, seq: this.#seq, payload })
      this.#options.trace?.(`> ${this.#seq} ${formatMessage(kind, 0, payload)}`)
    }
    const datagram = writer.finish()
    this.#makeRoom(datagram.length)
    const promise = this.#expect({ requests, ending, firstSeq })
    this.#gathered.set(this.#seq, datagram)
    this.#gatheredBytes += datagram.length
    if (!this.#options.gathers || ending === 'done') this.#sendGathered()
    else if (this.#gathered.size === 1) queueMicrotask(this.#sendGathered)
    return promise
  }

  #makeRoom(bytes: number): void {
    const isFull = this.#gathered.size === MAX_DATAGRAMS_AT_ONCE
    if (isFull || this.#gatheredBytes + bytes > MAX_GATHERED_BYTES) this.#sendGathered()
  }

  #expect({
    requests,
    ending,
    firstSeq,
  }: Pick<Pending, 'requests' | 'ending' | 'firstSeq'>): Promise<Message[]> {
    const { promise, resolve, reject } = Promise.withResolvers<Message[]>()
    const lastSeq = this.#seq
    const pending: Pending = {
      requests,
      ending,
      firstSeq,
      replies: [],
      errors: [],
      interrupted: false,
      isElsewhere: false,
      timer: undefined,
      resolve,
      reject,
    }
    this.#pending.set(lastSeq, pending)
    for (let i = 0; i < requests.length; i++) this.#owner.set(firstSeq + i, pending)
    return promise
  }

  readonly #sendGathered = (): void => {
    if (this.#gathered.size === 0) return // a list took it along, or it was closed
    const lastSeqs = [...this.#gathered.keys()]
    const datagram = concatenate([...this.#gathered.values()])
    this.#forgetGathered()
    try {
      const answers = this.#transport.send(datagram)
      if (answers === undefined) for (const lastSeq of lastSeqs) this.#takeReplies(lastSeq)
      else this.#awaitElsewhere(lastSeqs, answers)
    } catch (cause) {
      this.#failAll(lastSeqs, cause)
    }
  }

  /** What could not be sent, or not be waited for. */
  #failAll(lastSeqs: readonly number[], cause: unknown): void {
    const errno = Math.abs((cause as { errno?: number }).errno ?? ENOTCONN)
    for (const lastSeq of lastSeqs) this.#fail(lastSeq, errno, cause)
  }

  #forgetGathered(): void {
    this.#gathered.clear()
    this.#gatheredBytes = 0
  }

  #awaitElsewhere(lastSeqs: readonly number[], answers: Promise<Answers>): void {
    for (const lastSeq of lastSeqs) {
      const pending = this.#pending.get(lastSeq)
      if (pending !== undefined) pending.isElsewhere = true
    }
    answers.then(
      (them) => this.#hear(lastSeqs, them),
      (cause: unknown) => this.#failAll(lastSeqs, cause),
    )
  }

  /** Long lists are left to the event loop after some, so that others get their turn. */
  #takeReplies(lastSeq: number): void {
    for (let i = 0; i < MAX_DATAGRAMS_AT_ONCE && this.#pending.has(lastSeq); i++) {
      const datagram = this.#transport.receive?.()
      if (datagram === undefined) break
      this.#receive(datagram)
    }
    this.#awaitRest(lastSeq)
  }

  /**
   * From another thread all comes together. There is no deadline before: what is yet to be sent would still be sent after it,
   * when its call has closed the descriptors that it names.
   */
  #hear(lastSeqs: readonly number[], answers: Answers, before: Failure = { errno: ETIMEDOUT }): void {
    let failure = before
    for (const answer of answers.slice(0, MAX_DATAGRAMS_AT_ONCE)) {
      if (typeof answer === 'number') failure = { errno: answer }
      else failure = this.#readAnswer(answer) ?? failure
    }
    const rest = answers.slice(MAX_DATAGRAMS_AT_ONCE)
    if (rest.length > 0) setImmediate(() => this.#hear(lastSeqs, rest, failure))
    else for (const lastSeq of lastSeqs) this.#fail(lastSeq, failure.errno, failure.cause)
  }

  /** @returns why it cannot be read */
  #readAnswer(datagram: Uint8Array): Failure | undefined {
    try {
      for (const message of readMessages(datagram)) this.#dispatch(message)
      return undefined
    } catch (cause) {
      return { errno: EPROTO, cause }
    }
  }

  #awaitRest(lastSeq: number): void {
    const pending = this.#pending.get(lastSeq)
    if (pending === undefined) return
    const deadlineMs = this.#options.deadlineMs ?? DEFAULT_DEADLINE_MS
    pending.timer = setTimeout(() => this.#fail(lastSeq, ETIMEDOUT), deadlineMs)
  }

  /** Nobody is above this to catch: what cannot be read fails those who wait. */
  #receive(datagram: Uint8Array): void {
    try {
      for (const message of readMessages(datagram)) this.#dispatch(message)
    } catch (error) {
      if (!(error instanceof RangeError)) throw error
      this.#lose(EPROTO, error)
    }
  }

  #dispatch(message: Message): void {
    const pending = this.#owner.get(message.seq)
    if (pending !== undefined) {
      this.#reply(pending, message)
    } else if (this.#options.onEvent) {
      this.#options.trace?.(`* ${message.seq} ${this.#describe(message)}`)
      this.#options.onEvent(message)
    }
  }

  #reply(pending: Pending, message: Message): void {
    if (message.flags & NLM_F_DUMP_INTR) pending.interrupted = true
    if (message.type !== NLMSG_ERROR && message.type !== NLMSG_DONE) {
      this.#options.trace?.(`< ${message.seq} ${this.#describe(message, pending.requests[0]?.kind)}`)
      pending.replies.push(message)
      if (pending.ending === 'reply') this.#settle(message.seq, undefined)
      return
    }
    const request = pending.requests[message.seq - pending.firstSeq] as Request
    const refusal = readRefusal(request, message)
    this.#options.trace?.(`< ${message.seq} ${refusal ? describeRefusal(refusal) : 'ok'}`)
    if (refusal) pending.errors.push(new NetlinkError(request.operation, refusal))
    const lastSeq = pending.firstSeq + pending.requests.length - 1
    if (message.seq === lastSeq) this.#settle(lastSeq, this.#verdict(pending))
    // nfnetlink refuses a whole batch at its first message, and answers nothing else then.
    else if (refusal && message.seq === pending.firstSeq) this.#settle(lastSeq, pending.errors[0])
  }

  /** A reply whose type is not among the known is read as what was asked for: RTM_GETLINK is answered by its like. */
  #describe(message: Message, asked?: MessageKind): string {
    const kind = this.#options.kinds?.find((kind) => kind.type === message.type)
    if (kind) return formatMessage(kind, message.flags, message.payload)
    if (asked === undefined) return `message of type ${message.type}, ${message.payload.length} bytes`
    return formatMessage({ ...asked, name: `reply to ${asked.name}` }, message.flags, message.payload)
  }

  #verdict({ requests, errors, interrupted }: Pending): Error | undefined {
    if (errors.length > 0) return errors[0]
    return interrupted ? new NetlinkError(requests[0]?.operation ?? '', { errno: EINTR }) : undefined
  }

  #settle(lastSeq: number, error: Error | undefined): void {
    const pending = this.#pending.get(lastSeq)
    if (pending === undefined) return
    this.#pending.delete(lastSeq)
    for (let i = 0; i < pending.requests.length; i++) this.#owner.delete(pending.firstSeq + i)
    clearTimeout(pending.timer)
    if (error) pending.reject(error)
    else pending.resolve(pending.replies)
  }

  /** Unless it has been settled. */
  #fail(lastSeq: number, errno: number, cause?: unknown): void {
    const pending = this.#pending.get(lastSeq)
    if (pending === undefined) return
    const operation = pending.requests[0]?.operation ?? ''
    const text = errno === ETIMEDOUT ? 'no answer from the kernel' : undefined
    this.#settle(lastSeq, new NetlinkError(operation, { errno, text }, { cause }))
  }

  /** Of this thread's socket. */
  #lose(errno: number, cause: Error): void {
    for (const [lastSeq, { isElsewhere }] of this.#pending)
      if (!isElsewhere) this.#fail(lastSeq, errno, cause)
    this.#options.onLoss?.(new NetlinkError('receive notifications', { errno }, { cause }))
  }
}

function concatenate(parts: readonly Uint8Array[]): Uint8Array {
  const [first] = parts
  return first !== undefined && parts.length === 1 ? first : Buffer.concat(parts)
}

/** Of an NLMSG_ERROR or NLMSG_DONE. @returns undefined for success */
function readRefusal(request: Request, message: Message): KernelRefusal | undefined {
  const errno = readErrno(message)
  if (errno === 0) return undefined
  if (!(message.flags & NLM_F_ACK_TLVS)) return { errno }
  const view = new DataView(message.payload.buffer, message.payload.byteOffset, message.payload.byteLength)
  const tlvs = readAttributes(message.payload.subarray(tlvOffset(message, view)), NLMSGERR)
  const offset = tlvs.NLMSGERR_ATTR_OFFS
  return {
    errno,
    text: tlvs.NLMSGERR_ATTR_MSG,
    attribute: offset === undefined ? undefined : attributePathAt(request.kind, request.payload, offset),
  }
}

/** The attributes follow the errno and, in an NLMSG_ERROR, our request: its header only, when capped. */
function tlvOffset(message: Message, view: DataView): number {
  if (message.type === NLMSG_DONE) return 4
  const echoed = message.flags & NLM_F_CAPPED ? NLMSG_HDRLEN : view.getUint32(4, true)
  return 4 + ((echoed + 3) & ~3)
}

function describeRefusal({ errno, text, attribute }: KernelRefusal): string {
  return ['error', errnoName(errno), ...(text ? [text] : []), ...(attribute ? [`(${attribute})`] : [])].join(
    ' ',
  )
}
