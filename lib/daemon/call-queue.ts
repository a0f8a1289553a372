// In what order calls run. Those of one attachment one after the other, as they came; others side by side, a bounded
// number at a time. Each begins in a turn of the event loop of its own: a call asks the kernel synchronously and takes
// a millisecond or two, and between two of them the daemon answers whoever else is there.

export interface QueueState {
  readonly running: number
  readonly waiting: number
}

interface Waiting {
  readonly key: string | undefined
  readonly begin: () => Promise<void>
}

export class CallQueue {
  readonly #limit: number
  readonly #waiting: Waiting[] = []
  /** Keys of what runs. */
  readonly #busy = new Set<string>()
  #running = 0
  #isScheduled = false
  #idle: PromiseWithResolvers<void> | undefined

  /** @param limit  how many run at a time */
  constructor(limit: number) {
    this.#limit = limit
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

  /** @param key  of the attachment; undefined for what concerns none */
  run<T>(key: string | undefined, work: () => Promise<T>): Promise<T> {
    const { promise, resolve, reject } = Promise.withResolvers<T>()
    this.#waiting.push({ key, begin: () => work().then(resolve, reject) })
    this.#schedule()
    return promise
  }

  #schedule(): void {
    if (this.#isScheduled || this.#waiting.length === 0 || this.#running >= this.#limit) return
    this.#isScheduled = true
    setImmediate(() => {
      this.#isScheduled = false
      if (this.#beginNext()) this.#schedule()
    })
  }

  /** @returns false when all that wait, wait for what runs: its end schedules them */
  #beginNext(): boolean {
    const index = this.#waiting.findIndex(({ key }) => key === undefined || !this.#busy.has(key))
    const [next] = index < 0 ? [] : this.#waiting.splice(index, 1)
    if (next === undefined) return false
    this.#running++
    if (next.key !== undefined) this.#busy.add(next.key)
    next.begin().finally(() => this.#end(next))
    return true
  }

  #end({ key }: Waiting): void {
    this.#running--
    if (key !== undefined) this.#busy.delete(key)
    this.#schedule()
    if (this.#running > 0 || this.#waiting.length > 0) return
    this.#idle?.resolve()
    this.#idle = undefined
  }
}
