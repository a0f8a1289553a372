// In what order calls run. Those of one container one after the other, as they came (its interfaces share a loopback,
// routing tables, rules); others side by side, a bounded number at a time. Each begins in a turn of the event loop of its
// own: a call asks the kernel synchronously and takes a millisecond or two, and between two of them the daemon answers
// whoever else is there.
//
// While several attach something, another thread asks the kernel (Relay), and calls run in pieces. Then one begins while that
// thread has little to do, so that neither thread waits for the other; with more of them, what they have made outlives V8's
// young generation, and none ends earlier. What detaches gains nothing by it: most of that is on other threads already, and
// these want the same lock of the kernel's (rtnl).

import { availableParallelism } from 'node:os'
import { Relay } from '../netlink/relay.ts'
import { MOST } from './limits.ts'

export interface QueueState {
  readonly running: number
  readonly waiting: number
}

const HAS_OTHER_CPU = availableParallelism() > 1

export interface QueueOptions {
  /** How many run at a time, but for those that only wait for another program. */
  readonly limit?: number
  /** How many run at a time, with these. */
  readonly most?: number
  /** How many have the relay. With fewer, each would take longer, and none would gain by that. */
  readonly several?: number
  /** Messages that are enough for the relay. With two, a third of two CPUs was idle (docs/adr/0026-one-datagram.md). */
  readonly enough?: number
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
  readonly #most: number
  readonly #several: number
  readonly #enough: number
  readonly #waiting: Waiting[] = []
  /** Keys of what runs. */
  readonly #busy = new Set<string>()
  #running = 0
  /** Of those that run or wait. */
  #attaching = 0
  /** Of those that run. */
  #attachingNow = 0
  /** Of those that run: they wait for another program. */
  #away = 0
  #isScheduled = false
  #idle: PromiseWithResolvers<void> | undefined

  constructor({ limit = 64, most = MOST.calls, several = 3, enough = 8 }: QueueOptions = {}) {
    this.#limit = limit
    this.#most = most
    this.#several = several
    this.#enough = enough
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

  /** For a call that runs: what it waits for is another program, and others have its place meanwhile. */
  async whileAway<T>(work: () => Promise<T>): Promise<T> {
    this.#away++
    this.#schedule()
    try {
      return await work()
    } finally {
      this.#away--
    }
  }

  get #isFull(): boolean {
    return this.#running - this.#away >= this.#limit || this.#running >= this.#most
  }

  get #areSeveral(): boolean {
    return HAS_OTHER_CPU && this.#attaching >= this.#several
  }

  #schedule(): void {
    if (this.#isScheduled || this.#isFull || this.#findNext() < 0) return
    this.#isScheduled = true
    setImmediate(() => {
      this.#isScheduled = false
      if (this.#beginNext()) this.#schedule()
    })
  }

  /** @returns the place of the first that may begin, -1 for none. Of one container none goes before an earlier one. */
  #findNext(): number {
    // One that attaches may begin in any case, so that what detaches cannot hold it up for ever.
    const isFull = this.#attachingNow > 0 && this.relay.waiting >= this.#enough
    if (isFull && this.#waiting.every(({ attaches }) => attaches)) return -1
    const earlier = new Set<string>()
    return this.#waiting.findIndex(({ key, attaches }) => {
      if (key === undefined) return true
      if (!(isFull && attaches) && !this.#busy.has(key) && !earlier.has(key)) return true
      earlier.add(key)
      return false
    })
  }

  /** @returns false when all that wait, wait for what runs, or for the relay: these schedule them */
  #beginNext(): boolean {
    const index = this.#findNext()
    const [next] = index < 0 ? [] : this.#waiting.splice(index, 1)
    if (next === undefined) return false
    this.#running++
    if (next.attaches) this.#attachingNow++
    if (next.key !== undefined) this.#busy.add(next.key)
    next.begin().finally(() => this.#end(next))
    return true
  }

  #end({ key, attaches }: Queued): void {
    this.#running--
    if (attaches) {
      this.#attaching--
      this.#attachingNow--
    }
    if (key !== undefined) this.#busy.delete(key)
    this.#schedule()
    if (this.#running > 0 || this.#waiting.length > 0) return
    this.#idle?.resolve()
    this.#idle = undefined
  }
}
