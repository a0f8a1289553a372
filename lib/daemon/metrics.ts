// What the daemon counts of its calls: how many, how they ended, how long they took and where the time went; what was left
// to the callers; what kernel and stores refused. Told as numbers (`/status`) or as Prometheus' text (`/metrics`).

import type { Refusals } from './call-watch.ts'
import type { Sample } from './exposition.ts'
import type { Call, Outcome } from './protocol.ts'
import { Histogram, Tally } from './tally.ts'
import { STEPS } from './timed-steps.ts'

/** Upper bounds of the histograms' buckets, in ms. */
const CALL_BOUNDS_MS = [0.5, 1, 2, 3, 5, 10, 20, 50, 100, 200, 500, 1000, 5000, 15_000] as const
const STEP_BOUNDS_MS = [0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100, 500, 5000] as const

export interface CallCount {
  readonly plugin: string
  readonly verb: string
  readonly succeeded: number
  readonly failed: number
  readonly totalMs: number
  /** What 99 of 100 do not exceed, rounded up to a bucket's bound; null when that is beyond the last. */
  readonly p99Ms: number | null
  /** In the last minutes. */
  readonly perMinute: number
}

interface Counter {
  readonly plugin: string
  readonly verb: string
  succeeded: number
  failed: number
  readonly durations: Histogram
  readonly rate: Rate
}

export interface RecentError {
  readonly at: string
  readonly plugin: string
  readonly verb: string
  readonly containerId: string
  readonly message: string
}

/** Why a call was left to its caller. */
export type FallbackReason =
  | 'unknown_plugin'
  | 'stopping'
  | 'other_network'
  | 'other_files'
  | 'other_state'
  | 'newer_store'
  | 'own_log'
  | 'relative_path'
  | 'locked'
  | 'no_lock'
  | 'bad_request'
  | 'slow_request'
  | 'too_many'

/** Who says such things is not the shim: no call was left to anybody. */
const NO_SHIM: ReadonlySet<FallbackReason> = new Set(['bad_request', 'slow_request'])

const RECENT_ERRORS = 20
/** What a caller says of itself is in some of them: without a limit, callers would fill the memory. */
const MAX_REFUSALS = 20
const MAX_TEXT = 500
const VERBS = ['ADD', 'DEL', 'CHECK', 'GC', 'STATUS', 'VERSION'] as const
/** Those of the spec and of its reference library; plugins of others have their own. */
const CODES = new Set(['1', '2', '3', '4', '5', '6', '7', '8', '11', '50', '51', '999'])
const OTHER = 'other'

export interface CallEnd {
  readonly answer: Outcome
  readonly durationMs: number
  /** By place in STEPS. */
  readonly stepsMs?: readonly (number | undefined)[]
}

export class CallMetrics implements Refusals {
  readonly #calls = new Map<string, Counter>()
  readonly #steps = new Map<string, (Histogram | undefined)[]>()
  readonly #codes = new Tally()
  readonly #fallbacks = new Tally()
  readonly #kernelErrors = new Tally()
  readonly #storeErrors = new Tally()
  readonly #refusals = new Map<string, number>()
  readonly #errors: RecentError[] = []
  readonly #nowMs: () => number
  #abandoned = 0

  constructor(nowMs: () => number) {
    this.#nowMs = nowMs
  }

  count(plugin: string, call: Call, { answer, durationMs, stepsMs = [] }: CallEnd): void {
    const verb = verbOf(call)
    const counter = this.#counter(plugin, verb)
    if (answer.exitStatus === 0) {
      counter.succeeded++
      this.#codes.add(plugin, verb, '0')
    } else this.#fail(counter, call, answer)
    counter.durations.add(durationMs)
    counter.rate.add(this.#nowMs())
    this.#addSteps(verb, stepsMs)
  }

  /** Reasons that are seldom are told as `other` when there are too many. */
  countRefusal(reason: FallbackReason, why: string): void {
    this.#fallbacks.add(reason)
    if (NO_SHIM.has(reason)) return
    const text = cut(why)
    const key = this.#refusals.has(text) || this.#refusals.size < MAX_REFUSALS ? text : OTHER
    this.#refusals.set(key, (this.#refusals.get(key) ?? 0) + 1)
  }

  /** Nobody waited for the answer any more. */
  countAbandoned(): void {
    this.#abandoned++
  }

  kernelRefused(operation: string, errno: string): void {
    this.#kernelErrors.add(operation, errno)
  }

  storeRefused(operation: string, code: string): void {
    this.#storeErrors.add(operation, code)
  }

  get abandoned(): number {
    return this.#abandoned
  }

  /** Calls that had an answer. */
  get served(): number {
    return this.#counters.reduce((sum, { succeeded, failed }) => sum + succeeded + failed, 0)
  }

  get refusals(): Readonly<Record<string, number>> {
    return Object.fromEntries(this.#refusals)
  }

  get calls(): CallCount[] {
    return this.#counters.map(({ plugin, verb, succeeded, failed, durations, rate }) => ({
      plugin,
      verb,
      succeeded,
      failed,
      totalMs: durations.sumMs,
      p99Ms: durations.boundMsOf(0.99) ?? null,
      perMinute: rate.perMinute(this.#nowMs()),
    }))
  }

  /** The latest last. */
  get errors(): readonly RecentError[] {
    return this.#errors
  }

  get samples() {
    return {
      podwire_calls_total: this.#codes.samples,
      podwire_call_duration_seconds: this.#counters.map(
        ({ plugin, verb, durations: { data } }): Sample => ({ labels: [plugin, verb], value: data }),
      ),
      podwire_step_duration_seconds: this.#stepSamples,
      podwire_fallbacks_total: this.#fallbacks.samples,
      podwire_abandoned_calls_total: [{ labels: [], value: this.#abandoned }],
      podwire_kernel_errors_total: this.#kernelErrors.samples,
      podwire_store_errors_total: this.#storeErrors.samples,
    }
  }

  get #counters(): Counter[] {
    return [...this.#calls].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, counter]) => counter)
  }

  get #stepSamples(): Sample[] {
    return [...this.#steps].flatMap(([verb, histograms]) =>
      STEPS.flatMap((step, i) => {
        const value = histograms[i]?.data
        return value === undefined ? [] : [{ labels: [verb, step], value }]
      }),
    )
  }

  #counter(plugin: string, verb: string): Counter {
    const key = `${plugin} ${verb}`
    const known = this.#calls.get(key)
    if (known !== undefined) return known
    const durations = new Histogram(CALL_BOUNDS_MS)
    const counter = { plugin, verb, succeeded: 0, failed: 0, durations, rate: new Rate() }
    this.#calls.set(key, counter)
    return counter
  }

  #addSteps(verb: string, stepsMs: readonly (number | undefined)[]): void {
    const histograms = this.#steps.get(verb) ?? []
    this.#steps.set(verb, histograms)
    for (let i = 0; i < stepsMs.length; i++) {
      const ms = stepsMs[i]
      if (ms === undefined) continue
      histograms[i] ??= new Histogram(STEP_BOUNDS_MS)
      histograms[i]?.add(ms)
    }
  }

  #fail(counter: Counter, call: Call, answer: Outcome): void {
    const { plugin, verb } = counter
    const { code, message } = errorOf(answer.stdout)
    counter.failed++
    this.#codes.add(plugin, verb, CODES.has(code) ? code : OTHER)
    this.#errors.push({
      at: new Date(this.#nowMs()).toISOString(),
      plugin,
      verb,
      containerId: cut(call.environment['CNI_CONTAINERID'] ?? ''),
      message: cut(message),
    })
    if (this.#errors.length > RECENT_ERRORS) this.#errors.shift()
  }
}

/** What a call is counted as: what a caller makes up is `other`. */
export function verbOf({ environment: { CNI_COMMAND: command } }: Call): string {
  return VERBS.find((one) => one === command) ?? OTHER
}

const MINUTE_MS = 60_000
const MINUTES = 5

/** How many there were in the last minutes. */
class Rate {
  readonly #counts = new Array<number>(MINUTES).fill(0)
  #minute = 0

  add(nowMs: number): void {
    this.#advance(nowMs)
    const i = this.#minute % MINUTES
    this.#counts[i] = (this.#counts[i] ?? 0) + 1
  }

  perMinute(nowMs: number): number {
    this.#advance(nowMs)
    return this.#counts.reduce((all, count) => all + count, 0) / MINUTES
  }

  #advance(nowMs: number): void {
    const minute = Math.floor(nowMs / MINUTE_MS)
    const passed = Math.min(MINUTES, Math.max(0, minute - this.#minute))
    for (let i = 0; i < passed; i++) this.#counts[(minute - i) % MINUTES] = 0
    this.#minute = Math.max(minute, this.#minute)
  }
}

function cut(text: string): string {
  return text.length > MAX_TEXT ? `${text.slice(0, MAX_TEXT)}…` : text
}

function errorOf(stdout: string): { code: string; message: string } {
  const { code, msg } = JSON.parse(stdout) as { code?: unknown; msg?: unknown }
  return { code: String(code), message: `${msg} (code ${code})` }
}
