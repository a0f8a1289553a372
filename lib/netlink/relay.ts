// Another thread for what is asked of the kernel, as long as this one has others to serve. A message takes the kernel up
// to half a millisecond, in which send(2) does not return; meanwhile this thread writes the next call's messages and reads
// what came for the last one. A call by itself only takes longer that way: to wake a thread takes some 50 µs.

import { closeSync } from 'node:fs'
import { loadNative } from '../native/native.ts'
import { type Answers, closedError, type Transport } from './connection.ts'

export interface RelayOptions {
  /** Whether this thread has others to serve. */
  readonly isWanted: () => boolean
  readonly onAnswered: () => void
}

/** One for all sockets of the process. */
export class Relay {
  readonly #options: RelayOptions
  #waiting = 0
  /** When the message that it has now became the next. */
  #since = 0
  #isBroken = false

  constructor(options: RelayOptions) {
    this.#options = options
  }

  get isWanted(): boolean {
    return !this.#isBroken && this.#options.isWanted()
  }

  /** How many messages are with the other thread. */
  get waiting(): number {
    return this.#waiting
  }

  /** How long the kernel has been at the message that the other thread is at, in ms. */
  get busyMs(): number {
    return this.#waiting === 0 ? 0 : performance.now() - this.#since
  }

  /** A socket for `send`, in the namespace that the calling thread is in. @returns its descriptor */
  open(protocol: number): number {
    return loadNative().openNetlink(protocol)
  }

  transport(sockets: Sockets): Transport {
    return new RelayedTransport(this, sockets)
  }

  /**
   * @param fd  a netlink socket that nobody else reads; it stays open until it is answered
   * @param answered  called first
   * @returns undefined when there is no thread to be had
   */
  send(fd: number, datagram: Uint8Array, answered: () => void): Promise<Answers> | undefined {
    const answers = this.#hand(fd, datagram)
    if (answers === undefined) return undefined
    if (this.#waiting++ === 0) this.#since = performance.now()
    return answers.then((them) => {
      this.#waiting--
      this.#since = performance.now()
      answered()
      this.#options.onAnswered()
      return them
    })
  }

  #hand(fd: number, datagram: Uint8Array): Promise<Answers> | undefined {
    try {
      return loadNative().relay(fd, datagram)
    } catch (error) {
      if ((error as { syscall?: string }).syscall !== 'pthread_create') throw error
      this.#isBroken = true
      return undefined
    }
  }
}

/** Each is opened when it is first needed. */
export interface Sockets {
  readonly openDirect: () => Transport
  readonly openRelayed: () => number
}

/** Asks the kernel by the relay when that is wanted, and else from this thread. */
class RelayedTransport implements Transport {
  readonly #relay: Relay
  readonly #sockets: Sockets
  #listeners: Parameters<Transport['listen']> | undefined
  #direct: Transport | undefined
  #fd: number | undefined
  /** Messages that the relay has. */
  #waiting = 0
  #isOpen = true

  constructor(relay: Relay, sockets: Sockets) {
    this.#relay = relay
    this.#sockets = sockets
  }

  /** The kernel hears all in the order of the calls, so none goes before what the relay has. */
  send(datagram: Uint8Array): Promise<Answers> | undefined {
    if (!this.#isOpen) throw closedError()
    if (this.#waiting === 0 && !this.#relay.isWanted) return this.#sendDirect(datagram)
    this.#fd ??= this.#sockets.openRelayed()
    const answers = this.#relay.send(this.#fd, datagram, this.#onAnswered)
    if (answers === undefined) return this.#sendDirect(datagram)
    this.#waiting++
    return answers
  }

  #sendDirect(datagram: Uint8Array): Promise<Answers> | undefined {
    if (this.#direct === undefined) {
      this.#direct = this.#sockets.openDirect()
      if (this.#listeners !== undefined) this.#direct.listen(...this.#listeners)
    }
    return this.#direct.send(datagram)
  }

  receive(): Uint8Array | undefined {
    return this.#direct?.receive?.()
  }

  listen(...listeners: Parameters<Transport['listen']>): void {
    this.#listeners = listeners
  }

  close(): void {
    this.#isOpen = false
    this.#direct?.close()
    this.#direct = undefined
    this.#closeRelayed()
  }

  readonly #onAnswered = (): void => {
    this.#waiting--
    if (!this.#isOpen) this.#closeRelayed()
  }

  /** Not while the relay has a message of it: the number of a closed descriptor soon is another file's. */
  #closeRelayed(): void {
    if (this.#fd === undefined || this.#waiting > 0) return
    closeSync(this.#fd)
    this.#fd = undefined
  }
}
