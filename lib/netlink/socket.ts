// The one user of the npm package `netlink`: a netlink(7) socket and its place in the event loop. Only the
// package's lowest module is used (docs/adr/0001-netlink.md).

import { RawNetlinkSocket } from 'netlink/dist/raw.js'
import { loadNative, type Native } from '../native/native.ts'
import { type Answers, closedError, type Transport } from './connection.ts'
import { NLMSG_ERROR, readErrno, readMessages } from './message.ts'

export const NETLINK_ROUTE = 0
export const NETLINK_NETFILTER = 12

/** Larger than any datagram that the kernel makes for a dump (it goes by the reader's buffer, 32 KiB at most). */
const RECEIVE_BUFFER_BYTES = 64 * 1024
const EMSGSIZE = 90
const EPROTO = 71

export interface SocketOptions {
  /** Multicast groups to join: RTNLGRP_LINK, … */
  readonly groups?: readonly number[]
  /** Of a socket of rtnetlink: the kernel drops what is of another type or family, so that nobody is woken by it. */
  readonly only?: { readonly type: number; readonly family: number }
}

/**
 * Opens a socket in the network namespace that the calling thread is in now; the socket stays there.
 *
 * @throws Error with `errno` when the kernel refuses the socket
 */
export function openSocket(protocol: number, { groups = [], only }: SocketOptions = {}): Transport {
  const socket = new RawNetlinkSocket(protocol, {
    messagePeeking: false,
    msgBufferSize: RECEIVE_BUFFER_BYTES,
  } as never) // its type demands buffer sizes that its code treats as optional
  try {
    const native = loadNative()
    const fd = native.configureNetlink(protocol, socket.address().port)
    if (only !== undefined) native.filterMessages(fd, only.type, only.family)
    for (const group of groups) socket.addMembership(group)
    return new Socket(socket, fd, native)
  } catch (error) {
    socket.close()
    throw error
  }
}

/**
 * What is asked and answered goes by the descriptor: the package sends a second datagram only in the next turn of the
 * event loop, and receives in one. It hears what comes later.
 */
class Socket implements Transport {
  readonly #socket: RawNetlinkSocket
  readonly #fd: number
  readonly #native: Native
  #isOpen = true

  constructor(socket: RawNetlinkSocket, fd: number, native: Native) {
    this.#socket = socket
    this.#fd = fd
    this.#native = native
  }

  send(datagram: Uint8Array): undefined {
    if (!this.#isOpen) throw closedError()
    this.#native.send(this.#fd, datagram)
  }

  receive(): Uint8Array | undefined {
    return this.#isOpen ? this.#native.receive(this.#fd) : undefined
  }

  listen(onDatagram: Listeners[0], onError: Listeners[1]): void {
    this.#socket.on('message', onDatagram)
    this.#socket.on('truncatedMessage', () =>
      onError(Object.assign(new Error('datagram larger than the buffer'), { errno: EMSGSIZE })),
    )
    this.#socket.on('error', onError)
  }

  close(): void {
    this.#isOpen = false
    this.#socket.close()
  }
}

type Listeners = Parameters<Transport['listen']>

/** Sends each datagram from a socket of its own, and receives on another thread: for what takes the kernel long. */
export class ThreadTransport implements Transport {
  readonly send: (datagram: Uint8Array) => Promise<Answers>

  /** @param converse  `converseOnThread`, by a socket in the namespace of the port */
  constructor(converse: (datagram: Uint8Array) => Promise<Answers>) {
    this.send = converse
  }

  listen(): void {}

  close(): void {}
}

/**
 * A socket in the namespace that the calling thread is in now, for one conversation on another thread. It does not begin
 * there: libuv makes its threads when they are first needed, and each stays for good in the namespace it was made in.
 *
 * @returns its descriptor
 * @throws Error with `errno` when the kernel refuses the socket
 */
export function openForThread(protocol: number): number {
  return loadNative().openNetlink(protocol)
}

/**
 * Sends requests from a socket of their own, and waits on another thread until the last is answered.
 *
 * @param fd  of `openForThread`, which is closed by this
 */
export function converseOnThread(fd: number, datagram: Uint8Array): Promise<Answers> {
  return loadNative().converse(fd, datagram)
}

/**
 * The same for a change.
 *
 * @param seq  the sequence number of the last message, which asks for an acknowledgement
 * @returns the errno in it, 0 for success
 */
export async function exchangeOnThread(fd: number, datagram: Uint8Array, seq: number): Promise<number> {
  return errnoOf(await converseOnThread(fd, datagram), seq)
}

function errnoOf(answers: Answers, seq: number): number {
  const messages = answers.flatMap((answer) => (typeof answer === 'number' ? [] : [...readMessages(answer)]))
  const last = messages.find((message) => message.type === NLMSG_ERROR && message.seq === seq)
  return last ? readErrno(last) : (answers.find((answer) => typeof answer === 'number') ?? EPROTO)
}
