// In what order calls run. Those of one container one after the other, as they came (its interfaces share a loopback,
// routing tables, rules); others side by side, a bounded number at a time. Each begins in a turn of the event loop of its
// own: a call asks the kernel synchronously and takes a millisecond or two, and between two of them the daemon answers
// whoever else is there.
//
// While several attach something, another thread asks the kernel (Relay), and calls run in pieces. Then one begins when that
// thread has next to nothing to do: to begin more of them makes none end earlier. What detaches gains nothing by it: most of
// that is on other threads already, and these want the same lock of the kernel's (rtnl).

import { availableParallelism } from 'node:os'
import { Relay } from '../netlink/relay.ts'

export interface QueueState {
  readonly running: number
  readonly waiting: number
}

/** One that it works on, and one that it finds then. */
const ENOUGH_TO_RELAY = 2
const HAS_OTHER_CPU = availableParallelism() > 1

export interface QueueOptions {
  /** How many run at a time. */
  readonly limit?: number
  /** How many have the relay. With fewer, each would take longer, and none would gain by that. */
  readonly several?: number
}

export interface Queued {
  /** Of the container; undefined for what concerns none. */
  readonly key: string | undefined
  readonly attaches: boolean
}

interface Waiting extends Queued {
  readonly begin: () => Promise<void>
}

export class CallQueue {
  readonly relay = new Relay({ isWanted: () => this.#areSeveral, onAnswered: () => this.#schedule() })
  readonly #limit: number
  readonly #several: number
  readonly #waiting: Waiting[] = []
  /** Keys of what runs. */
  readonly #busy = new Set<string>()
  #running = 0
  /** Of those that run or wait. */
  #attaching = 0
  #isScheduled = false
  #idle: PromiseWithResolvers<void> | undefined

  constructor({ limit = 64, several = 3 }: QueueOptions = {}) {
    this.#limit = limit
    this.#several = several
  }

  get state(): QueueState {
    return { running: this.#running, waiting: this.#waiting.length }
  }

  /** Resolves when nothing runs or waits. */
  get idle(): Promise<void> {
    if (this.#running === 0 && this.#waiting.length === 0) return Promise.resolve()
    this.#idle ??= Promise.withResolvers<void>()
    return this.#idle.promise
  }

  run<T>({ key, attaches }: Queued, work: () => Promise<T>): Promise<T> {
    const { promise, resolve, reject } = Promise.withResolvers<T>()
    if (attaches) this.#attaching++
    this.#waiting.push({ key, attaches, begin: () => work().then(resolve, reject) })
    this.#schedule()
    return promise
  }

  get #areSeveral(): boolean {
    return HAS_OTHER_CPU && this.#attaching >= this.#several
  }

  #schedule(): void {
    if (this.#isScheduled || this.#running >= this.#limit || !this.#waiting.some(this.#mayBegin)) return
    this.#isScheduled = true
    setImmediate(() => {
      this.#isScheduled = false
      if (this.#beginNext()) this.#schedule()
    })
  }

  readonly #mayBegin = ({ key, attaches }: Queued): boolean =>
    (key === undefined || !this.#busy.has(key)) && !(attaches && this.relay.waiting >= ENOUGH_TO_RELAY)

  /** @returns false when all that wait, wait for what runs, or for the relay: these schedule them */
  #beginNext(): boolean {
    const index = this.#waiting.findIndex(this.#mayBegin)
    const [next] = index < 0 ? [] : this.#waiting.splice(index, 1)
    if (next === undefined) return false
    this.#running++
    if (next.key !== undefined) this.#busy.add(next.key)
    next.begin().finally(() => this.#end(next))
    return true
  }

  #end({ key, attaches }: Queued): void {
    this.#running--
    if (attaches) this.#attaching--
    if (key !== undefined) this.#busy.delete(key)
    this.#schedule()
    if (this.#running > 0 || this.#waiting.length > 0) return
    this.#idle?.resolve()
    this.#idle = undefined
  }
}
