// A netlink conversation with a script in the kernel's place: requests in, replies out. What is faked is the
// conversation, not the socket.

import { ByteWriter } from '../netlink/byte-writer.ts'
import { encode, s32, string, u32 } from '../netlink/codecs.ts'
import type { Transport } from '../netlink/connection.ts'
import {
  type Message,
  NLM_F_ACK_TLVS,
  NLM_F_CAPPED,
  NLM_F_MULTI,
  NLMSG_DONE,
  NLMSG_ERROR,
  NLMSG_HDRLEN,
  readMessages,
  writeMessage,
} from '../netlink/message.ts'

type SocketError = Error & { errno?: number }

/** What the kernel does about one datagram: datagrams and socket errors, in order. */
export type Turn = (requests: readonly Message[]) => readonly (Uint8Array | SocketError)[]

/** Plays one turn for each datagram that is sent; throws when there are more than turns. */
export class ScriptedKernel implements Transport {
  readonly heard: (readonly Message[])[] = []
  closed = false
  readonly #turns: Turn[]
  #onDatagram: (datagram: Uint8Array) => void = () => undefined
  #onError: (error: SocketError) => void = () => undefined

  constructor(...turns: Turn[]) {
    this.#turns = turns
  }

  send(datagram: Uint8Array): undefined {
    const requests = [...readMessages(datagram)]
    this.heard.push(requests)
    const turn = this.#turns.shift()
    if (turn === undefined) throw new Error('nothing more in the script')
    const answers = turn(requests)
    setImmediate(() => {
      for (const answer of answers) this.say(answer)
    })
  }

  /** Out of turn: a notification, an error of the socket. */
  say(answer: Uint8Array | SocketError): void {
    if (answer instanceof Error) this.#onError(answer)
    else this.#onDatagram(answer)
  }

  listen(onDatagram: (datagram: Uint8Array) => void, onError: (error: SocketError) => void): void {
    this.#onDatagram = onDatagram
    this.#onError = onError
  }

  close(): void {
    this.closed = true
  }
}

export function datagram(...messages: Omit<Message, 'port'>[]): Uint8Array {
  const writer = new ByteWriter()
  for (const message of messages) writeMessage(writer, message)
  return writer.finish()
}

export function reply(to: Message, type: number, payload: Uint8Array, flags = 0): Message {
  return { type, flags, seq: to.seq, port: 0, payload }
}

export function ack(to: Message): Message {
  return reply(to, NLMSG_ERROR, concat(encode(s32, 0), header(to)), NLM_F_CAPPED)
}

export interface Refusal {
  readonly text?: string
  /** From the start of the message's header. */
  readonly offset?: number
  /** The kernel repeats the whole request, as it does without NETLINK_CAP_ACK. */
  readonly uncapped?: boolean
}

export function refuse(to: Message, errno: number, { text, offset, uncapped }: Refusal = {}): Message {
  const tlvs = extendedAck(text, offset)
  const flags = (uncapped ? 0 : NLM_F_CAPPED) | (tlvs.length > 0 ? NLM_F_ACK_TLVS : 0)
  const echo = uncapped ? datagram(to) : header(to)
  return reply(to, NLMSG_ERROR, concat(encode(s32, -errno), echo, tlvs), flags)
}

/** The end of a dump. `errno` when it broke off. */
export function done(to: Message, errno = 0, refusal: Refusal = {}): Message {
  const tlvs = extendedAck(refusal.text, refusal.offset)
  const flags = NLM_F_MULTI | (tlvs.length > 0 ? NLM_F_ACK_TLVS : 0)
  return reply(to, NLMSG_DONE, concat(encode(s32, -errno), tlvs), flags)
}

function header(message: Message): Uint8Array {
  return datagram(message).slice(0, NLMSG_HDRLEN)
}

/** NLMSGERR_ATTR_MSG and NLMSGERR_ATTR_OFFS. */
function extendedAck(text: string | undefined, offset: number | undefined): Uint8Array {
  return concat(
    ...(text === undefined ? [] : [attribute(1, encode(string, text))]),
    ...(offset === undefined ? [] : [attribute(2, encode(u32, offset))]),
  )
}

function attribute(type: number, data: Uint8Array): Uint8Array {
  const writer = new ByteWriter()
  writer.skip(4)
  writer.bytes(data)
  writer.view.setUint16(0, writer.length, true)
  writer.view.setUint16(2, type, true)
  writer.align()
  return writer.finish()
}

function concat(...parts: Uint8Array[]): Uint8Array {
  return Uint8Array.from(Buffer.concat(parts))
}
