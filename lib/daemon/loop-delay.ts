// How late the event loop comes to what is due, whoever holds it. (perf_hooks' monitorEventLoopDelay counts the time
// between two looks, of which its own period is the most.) It is looked at while there are clients, and a little longer:
// to wake an idle daemon 50 times a second would be most of what it costs.

import type { HistogramData } from './exposition.ts'
import { Histogram } from './tally.ts'

/** Timers are told in whole milliseconds. */
const PERIOD_MS = 20
/** Looks after the last client. */
const LOOKS = 50
const BOUNDS_MS = [1, 2, 5, 10, 20, 50, 100, 500, 1000] as const

export class LoopDelay {
  readonly #delays = new Histogram(BOUNDS_MS)
  #timer: NodeJS.Timeout | undefined
  #left = 0
  #last = 0

  /** A client has come. */
  watch(): void {
    this.#left = LOOKS
    if (this.#timer !== undefined) return
    this.#last = performance.now()
    this.#timer = setInterval(() => this.#look(), PERIOD_MS)
    this.#timer.unref()
  }

  stop(): void {
    clearInterval(this.#timer)
    this.#timer = undefined
  }

  get maxMs(): number {
    return this.#delays.maxMs
  }

  get data(): HistogramData {
    return this.#delays.data
  }

  #look(): void {
    const now = performance.now()
    this.#delays.add(Math.max(0, now - this.#last - PERIOD_MS))
    this.#last = now
    if (--this.#left === 0) this.stop()
  }
}
