// What the daemon counts: calls by plugin, verb and result, and how long they took. Read as numbers (`/status`) or as
// Prometheus' text (`/metrics`).

import type { Call, Outcome } from './protocol.ts'

/** Upper bounds of the histogram's buckets, in ms; the last is open. */
const BOUNDS_MS = [0.5, 1, 2, 3, 5, 10, 20, 50, 100, 500, 5000] as const

export interface CallCount {
  readonly plugin: string
  readonly verb: string
  readonly succeeded: number
  readonly failed: number
  readonly totalMs: number
  /** How many took at most the bound, by bound; those of longer are not in it. */
  readonly buckets: readonly number[]
}

interface Counter {
  succeeded: number
  failed: number
  totalMs: number
  readonly buckets: number[]
}

export interface RecentError {
  readonly at: string
  readonly plugin: string
  readonly verb: string
  readonly containerId: string
  readonly message: string
}

const RECENT_ERRORS = 20
/** What a caller says of itself is in some of them: without a limit, callers would fill the memory. */
const MAX_REFUSALS = 20
const MAX_TEXT = 500
const VERBS = ['ADD', 'DEL', 'CHECK', 'GC', 'STATUS', 'VERSION']

export class CallMetrics {
  readonly #calls = new Map<string, Counter>()
  readonly #refusals = new Map<string, number>()
  readonly #errors: RecentError[] = []
  readonly #nowMs: () => number

  constructor(nowMs: () => number) {
    this.#nowMs = nowMs
  }

  count(plugin: string, call: Call, { answer, durationMs }: { answer: Outcome; durationMs: number }): void {
    const verb = VERBS.find((one) => one === call.environment['CNI_COMMAND']) ?? 'other'
    const counter = this.#counter(`${plugin} ${verb}`)
    if (answer.exitStatus === 0) counter.succeeded++
    else this.#fail(counter, { plugin, verb, call, answer })
    counter.totalMs += durationMs
    for (const [i, bound] of BOUNDS_MS.entries())
      if (durationMs <= bound) counter.buckets[i] = (counter.buckets[i] ?? 0) + 1
  }

  /** Reasons that are seldom are counted as `other` when there are too many. */
  countRefusal(why: string): void {
    const text = cut(why)
    const key = this.#refusals.has(text) || this.#refusals.size < MAX_REFUSALS ? text : 'other'
    this.#refusals.set(key, (this.#refusals.get(key) ?? 0) + 1)
  }

  get refusals(): Readonly<Record<string, number>> {
    return Object.fromEntries(this.#refusals)
  }

  get calls(): CallCount[] {
    return [...this.#calls]
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([key, counter]) => {
        const [plugin = '', verb = ''] = key.split(' ')
        return { plugin, verb, ...counter, buckets: [...counter.buckets] }
      })
  }

  /** The latest last. */
  get errors(): readonly RecentError[] {
    return this.#errors
  }

  #counter(key: string): Counter {
    const known = this.#calls.get(key)
    if (known !== undefined) return known
    const counter = { succeeded: 0, failed: 0, totalMs: 0, buckets: BOUNDS_MS.map(() => 0) }
    this.#calls.set(key, counter)
    return counter
  }

  #fail(counter: Counter, failed: { plugin: string; verb: string; call: Call; answer: Outcome }): void {
    const { plugin, verb, call, answer } = failed
    counter.failed++
    this.#errors.push({
      at: new Date(this.#nowMs()).toISOString(),
      plugin,
      verb,
      containerId: cut(call.environment['CNI_CONTAINERID'] ?? ''),
      message: cut(messageOf(answer.stdout)),
    })
    if (this.#errors.length > RECENT_ERRORS) this.#errors.shift()
  }
}

function cut(text: string): string {
  return text.length > MAX_TEXT ? `${text.slice(0, MAX_TEXT)}…` : text
}

function messageOf(stdout: string): string {
  const { code, msg } = JSON.parse(stdout) as { code?: unknown; msg?: unknown }
  return `${msg} (code ${code})`
}

export interface Gauges {
  readonly running: number
  readonly waiting: number
  readonly attachments: number
  readonly residentBytes: number
  readonly eventLoopDelayMaxSeconds: number
  readonly openFiles: number
}

/** Prometheus' text format 0.0.4. */
export function formatMetrics(metrics: CallMetrics, gauges: Gauges): string {
  const { calls, refusals } = metrics
  const refused = Object.values(refusals).reduce((sum, count) => sum + count, 0)
  return [
    ...family('podwire_calls_total', 'counter', 'CNI calls served.', calls.flatMap(callLines)),
    ...family(
      'podwire_call_duration_seconds',
      'histogram',
      'From request to answer.',
      calls.flatMap(histogram),
    ),
    ...family('podwire_refused_total', 'counter', 'Calls left to the caller.', [
      `podwire_refused_total ${refused}`,
    ]),
    ...gaugeLines('podwire_calls_running', 'Calls in work.', gauges.running),
    ...gaugeLines('podwire_calls_waiting', 'Calls that wait for their turn.', gauges.waiting),
    ...gaugeLines('podwire_attachments', 'Attachments on this node.', gauges.attachments),
    ...gaugeLines(
      'podwire_event_loop_delay_max_seconds',
      'Longest since last asked.',
      gauges.eventLoopDelayMaxSeconds,
    ),
    ...gaugeLines('process_resident_memory_bytes', 'Resident memory.', gauges.residentBytes),
    ...gaugeLines('process_open_fds', 'Open file descriptors.', gauges.openFiles),
    '',
  ].join('\n')
}

function family(name: string, type: string, help: string, lines: readonly string[]): string[] {
  return [`# HELP ${name} ${help}`, `# TYPE ${name} ${type}`, ...lines]
}

function gaugeLines(name: string, help: string, value: number): string[] {
  return family(name, 'gauge', help, [`${name} ${value}`])
}

function callLines({ plugin, verb, succeeded, failed }: CallCount): string[] {
  return (
    [
      ['success', succeeded],
      ['error', failed],
    ] as const
  ).map(
    ([result, count]) => `podwire_calls_total{plugin="${plugin}",verb="${verb}",result="${result}"} ${count}`,
  )
}

function histogram({ plugin, verb, buckets, succeeded, failed, totalMs }: CallCount): string[] {
  const labels = `plugin="${plugin}",verb="${verb}"`
  const count = succeeded + failed
  const name = 'podwire_call_duration_seconds'
  return [
    ...BOUNDS_MS.map((bound, i) => `${name}_bucket{${labels},le="${bound / 1000}"} ${buckets[i] ?? 0}`),
    `${name}_bucket{${labels},le="+Inf"} ${count}`,
    `${name}_sum{${labels}} ${totalMs / 1000}`,
    `${name}_count{${labels}} ${count}`,
  ]
}
