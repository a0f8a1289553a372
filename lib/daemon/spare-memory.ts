// What malloc(3) keeps of what was freed goes back to the kernel now and then, when calls have been served. glibc gives
// back the end of an arena only, and the threads that compile JavaScript and speak netlink have one each: after 4,500
// pairs of calls 40 of 80 MiB were free, and stayed the daemon's.

/** The longer it waits, the longer the arenas are locked: 33 ms for 24 MiB on a busy machine, 1 ms for next to nothing. */
const PERIOD_MS = 10_000

export interface SpareMemoryOptions {
  readonly trim: () => Promise<void>
  /** Calls served so far. An idle daemon frees nothing. */
  readonly countCalls: () => number
  readonly periodMs?: number
}

export class SpareMemory {
  readonly #options: SpareMemoryOptions
  #timer: NodeJS.Timeout | undefined
  #served = 0

  constructor(options: SpareMemoryOptions) {
    this.#options = options
  }

  start(): void {
    this.#timer = setInterval(() => this.#giveBack(), this.#options.periodMs ?? PERIOD_MS)
    this.#timer.unref()
  }

  stop(): void {
    clearInterval(this.#timer)
  }

  #giveBack(): void {
    const served = this.#options.countCalls()
    if (served === this.#served) return
    this.#served = served
    void this.#options.trim()
  }
}
