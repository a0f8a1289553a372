// How late the event loop comes to what is due, whoever holds it. (perf_hooks' monitorEventLoopDelay counts the time
// between two looks, of which its own period is the most.)

import type { HistogramData } from './exposition.ts'
import { Histogram } from './tally.ts'

/** How often it is looked at, which an idle daemon pays for. Timers are told in whole milliseconds. */
const PERIOD_MS = 20
const BOUNDS_MS = [1, 2, 5, 10, 20, 50, 100, 500, 1000] as const

export class LoopDelay {
  readonly #delays = new Histogram(BOUNDS_MS)
  #timer: NodeJS.Timeout | undefined
  #last = 0

  start(): void {
    this.#last = performance.now()
    this.#timer = setInterval(() => this.#look(), PERIOD_MS)
    this.#timer.unref()
  }

  stop(): void {
    clearInterval(this.#timer)
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
  }
}
