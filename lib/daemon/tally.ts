// What is counted between two looks: numbers by labels, and how many of a measure fell into which bucket.

import type { HistogramData, Sample } from './exposition.ts'

/** What is beyond this is counted under `other`: no caller may fill our memory, or Prometheus'. */
const MAX_LABEL_SETS = 100
const OTHER = 'other'

/** Counters by labels. */
export class Tally {
  readonly #counts = new Map<string, { readonly labels: readonly string[]; count: number }>()

  add(...labels: readonly string[]): void {
    const key = labels.join('\0')
    const known = this.#counts.get(key)
    if (known !== undefined) known.count++
    else if (this.#counts.size < MAX_LABEL_SETS || labels.every((label) => label === OTHER))
      this.#counts.set(key, { labels, count: 1 })
    else this.add(...labels.map(() => OTHER))
  }

  get samples(): Sample[] {
    return [...this.#counts.values()].map(({ labels, count }) => ({ labels, value: count }))
  }
}

/** Of durations. */
export class Histogram {
  readonly #boundsMs: readonly number[]
  readonly #counts: number[]
  #sumMs = 0
  #maxMs = 0

  /** @param boundsMs  upper bounds, in order; what is longer than the last is counted, too */
  constructor(boundsMs: readonly number[]) {
    this.#boundsMs = boundsMs
    this.#counts = new Array(boundsMs.length + 1).fill(0)
  }

  add(ms: number): void {
    const bounds = this.#boundsMs
    let i = 0
    while (i < bounds.length && ms > (bounds[i] as number)) i++
    this.#counts[i] = (this.#counts[i] as number) + 1
    this.#sumMs += ms
    if (ms > this.#maxMs) this.#maxMs = ms
  }

  get maxMs(): number {
    return this.#maxMs
  }

  get sumMs(): number {
    return this.#sumMs
  }

  get data(): HistogramData {
    const bounds = this.#boundsMs.map((bound) => bound / 1000)
    return { bounds, counts: [...this.#counts], sum: this.#sumMs / 1000 }
  }

  /** A bound that `share` of them do not exceed. @returns undefined when it is beyond the last, or nothing was added */
  boundMsOf(share: number): number | undefined {
    const wanted = share * this.#counts.reduce((all, count) => all + count, 0)
    let below = 0
    const i = this.#counts.findIndex((count) => {
      below += count
      return below > 0 && below >= wanted
    })
    return this.#boundsMs[i]
  }
}
