// How long the event loop is held at a stretch, and by what. While one callback runs, nobody else is served; with it run
// the promises that it resolves, and those that these resolve. So a stretch begins in a callback, and ends when nothing of
// it is left to do: a microtask asks for a tick, and ticks come when there are no more microtasks.

import { loadNative } from '../native/native.ts'
import type { Sample } from './exposition.ts'
import { Histogram } from './tally.ts'
import { STEPS, type Step } from './timed-steps.ts'

const BOUNDS_MS = [0.5, 1, 2, 3, 5, 10, 20, 50, 100] as const

/** What holds it: the verb of a call, or a page that is asked for. */
export interface Holding {
  readonly verb: string
  readonly plugin: string
}

export interface LongestStretch extends Holding {
  readonly ms: number
  /** Of it, what the CPU worked; the rest, it waited for the kernel or for a CPU. */
  readonly cpuMs: number
  /** Of it, by what was asked of the kernel, the stores, …; the rest is our own code. In ms. */
  readonly steps: Readonly<Partial<Record<Step, number>>>
  readonly at: string
}

interface Stretch {
  readonly holding: Holding
  readonly began: number
  readonly beganCpuMs: number
  readonly stepsMs: number[]
}

const DONE = Promise.resolve()

export class LoopStretches {
  readonly #nowMs: () => number
  /** Of this thread. */
  readonly #cpuMs = loadNative().threadCpuMs
  readonly #histograms = new Map<string, { readonly wall: Histogram; readonly cpu: Histogram }>()
  readonly #longest = new Map<string, LongestStretch>()
  #current: Stretch | undefined

  /** @param nowMs  for when the longest was */
  constructor(nowMs: () => number) {
    this.#nowMs = nowMs
  }

  /** Whatever runs now is for this; of a stretch that has begun, it is a part. */
  enter(holding: Holding): void {
    if (this.#current !== undefined) return
    this.#current = { holding, began: performance.now(), beganCpuMs: this.#cpuMs(), stepsMs: [] }
    DONE.then(this.#afterMicrotask)
  }

  readonly #afterMicrotask = () => process.nextTick(this.#end)

  /** A part of the current stretch, that was waited for without letting go. */
  addStep(step: number, ms: number): void {
    const stepsMs = this.#current?.stepsMs
    if (stepsMs !== undefined) stepsMs[step] = (stepsMs[step] ?? 0) + ms
  }

  /** Since the start, by verb. */
  get longest(): LongestStretch[] {
    return [...this.#longest.values()].sort((a, b) => b.ms - a.ms)
  }

  /** By verb. */
  get samples(): Sample[] {
    return [...this.#histograms].map(([verb, { wall }]) => ({ labels: [verb], value: wall.data }))
  }

  /** The CPU's work in them, by verb. */
  get cpuSamples(): Sample[] {
    return [...this.#histograms].map(([verb, { cpu }]) => ({ labels: [verb], value: cpu.data }))
  }

  readonly #end = (): void => {
    const stretch = this.#current as Stretch
    this.#current = undefined
    const ms = performance.now() - stretch.began
    const workedMs = this.#cpuMs() - stretch.beganCpuMs
    const { wall, cpu } = this.#histogramsOf(stretch.holding.verb)
    if (ms > wall.maxMs) this.#longest.set(stretch.holding.verb, this.#describe(stretch, ms, workedMs))
    wall.add(ms)
    cpu.add(workedMs)
  }

  #histogramsOf(verb: string) {
    const known = this.#histograms.get(verb)
    if (known !== undefined) return known
    const histograms = { wall: new Histogram(BOUNDS_MS), cpu: new Histogram(BOUNDS_MS) }
    this.#histograms.set(verb, histograms)
    return histograms
  }

  #describe({ holding, stepsMs }: Stretch, ms: number, workedMs: number): LongestStretch {
    const steps = STEPS.flatMap((step, i) =>
      stepsMs[i] === undefined ? [] : [[step, roundMs(stepsMs[i])] as const],
    )
    return {
      ...holding,
      ms: roundMs(ms),
      cpuMs: roundMs(workedMs),
      steps: Object.fromEntries(steps),
      at: new Date(this.#nowMs()).toISOString(),
    }
  }
}

/** Milliseconds, no finer than microseconds. */
export function roundMs(ms: number): number {
  return Math.round(ms * 1000) / 1000
}
