// Every metric that the daemon tells (`/metrics`); docs/metrics.md says what to make of each, and a test that it does.

import { readdirSync, readFileSync } from 'node:fs'
import { arch } from 'node:os'
import { formatExposition, type MetricSpec, type Sample } from './exposition.ts'
import type { LoopDelay } from './loop-delay.ts'
import type { LoopStretches } from './loop-stretches.ts'
import type { CallMetrics } from './metrics.ts'
import type { PoolFigure } from './pool-figures.ts'

const POOL = ['network', 'range_set', 'family'] as const

export const METRICS = {
  podwire_build_info: {
    type: 'gauge',
    help: 'Always 1; its labels tell what runs.',
    labels: ['version', 'node', 'arch'],
  },
  podwire_ready: { type: 'gauge', help: '1 while calls are served, 0 while the daemon stops.', labels: [] },
  podwire_calls_total: {
    type: 'counter',
    help: 'CNI calls that were served, by the CNI error code that they ended with; 0 is success.',
    labels: ['plugin', 'verb', 'code'],
  },
  podwire_call_duration_seconds: {
    type: 'histogram',
    help: 'From the request to the answer, the wait for its turn included.',
    labels: ['plugin', 'verb'],
  },
  podwire_step_duration_seconds: {
    type: 'histogram',
    help: 'What one call waited for in all, by step; a call is in the steps that it needed.',
    labels: ['verb', 'step'],
  },
  podwire_calls_running: { type: 'gauge', help: 'Calls that run.', labels: [] },
  podwire_calls_waiting: { type: 'gauge', help: 'Calls that wait for their turn.', labels: [] },
  podwire_fallbacks_total: {
    type: 'counter',
    help: 'Calls that were left to the caller, which makes them in a process of its own.',
    labels: ['reason'],
  },
  podwire_abandoned_calls_total: {
    type: 'counter',
    help: 'Calls whose caller was gone before the answer.',
    labels: [],
  },
  podwire_kernel_errors_total: {
    type: 'counter',
    help: 'What the kernel refused in calls, also where that was expected and dealt with.',
    labels: ['operation', 'errno'],
  },
  podwire_store_errors_total: {
    type: 'counter',
    help: 'Leases or records that could not be read or written.',
    labels: ['operation', 'code'],
  },
  podwire_attachments: { type: 'gauge', help: 'Attachments that are recorded on this node.', labels: [] },
  podwire_pool_addresses: {
    type: 'gauge',
    help: 'Addresses that pods can have, held or not.',
    labels: POOL,
  },
  podwire_pool_used_addresses: { type: 'gauge', help: 'Addresses that are held.', labels: POOL },
  podwire_pool_reserved_addresses: {
    type: 'gauge',
    help: 'Addresses of the ranges that no pod gets: gateways, and what is excluded.',
    labels: POOL,
  },
  podwire_scrape_errors_total: {
    type: 'counter',
    help: 'How often the stores could not be read for these figures.',
    labels: [],
  },
  podwire_event_loop_delay_seconds: {
    type: 'histogram',
    help: 'How late the event loop came to what was due, looked at 50 times a second.',
    labels: [],
  },
  podwire_loop_stretch_seconds: {
    type: 'histogram',
    help: 'How long the event loop was held at a stretch, by what held it.',
    labels: ['verb'],
  },
  podwire_loop_stretch_cpu_seconds: {
    type: 'histogram',
    help: 'The CPU’s work in such a stretch; the rest of it, the kernel or a CPU was waited for.',
    labels: ['verb'],
  },
  process_cpu_seconds_total: { type: 'counter', help: 'CPU time, user and system.', labels: [] },
  process_resident_memory_bytes: { type: 'gauge', help: 'Resident memory.', labels: [] },
  process_open_fds: { type: 'gauge', help: 'Open file descriptors.', labels: [] },
  process_max_fds: { type: 'gauge', help: 'How many file descriptors it may open.', labels: [] },
  process_start_time_seconds: { type: 'gauge', help: 'When it started, since the epoch.', labels: [] },
  nodejs_heap_size_used_bytes: { type: 'gauge', help: 'Of V8’s heap, what is in use.', labels: [] },
  nodejs_heap_size_total_bytes: { type: 'gauge', help: 'V8’s heap.', labels: [] },
  nodejs_external_memory_bytes: {
    type: 'gauge',
    help: 'Buffers and the like, outside V8’s heap.',
    labels: [],
  },
} as const satisfies Record<string, MetricSpec>

export type MetricName = keyof typeof METRICS

export interface Figures {
  readonly version: string
  readonly isReady: boolean
  readonly running: number
  readonly waiting: number
  /** Undefined where the store cannot be read. */
  readonly attachments: number | undefined
  readonly pools: readonly PoolFigure[]
  readonly scrapeErrors: number
  readonly startedAtMs: number
  readonly metrics: CallMetrics
  readonly delay: LoopDelay
  readonly stretches: LoopStretches
}

const US_PER_SECOND = 1e6

export function formatMetrics(figures: Figures): string {
  const { metrics, pools } = figures
  const { rss, heapUsed, heapTotal, external } = process.memoryUsage()
  const { user, system } = process.cpuUsage()
  const samples: Record<MetricName, readonly Sample[]> = {
    ...metrics.samples,
    podwire_build_info: [{ labels: [figures.version, process.versions.node, arch()], value: 1 }],
    podwire_ready: one(figures.isReady ? 1 : 0),
    podwire_calls_running: one(figures.running),
    podwire_calls_waiting: one(figures.waiting),
    podwire_attachments: figures.attachments === undefined ? [] : one(figures.attachments),
    podwire_pool_addresses: pools.map((pool) => ofPool(pool, Number(pool.total))),
    podwire_pool_used_addresses: pools.map((pool) => ofPool(pool, pool.used)),
    podwire_pool_reserved_addresses: pools.map((pool) => ofPool(pool, Number(pool.reserved))),
    podwire_scrape_errors_total: one(figures.scrapeErrors),
    podwire_event_loop_delay_seconds: [{ labels: [], value: figures.delay.data }],
    podwire_loop_stretch_seconds: figures.stretches.samples,
    podwire_loop_stretch_cpu_seconds: figures.stretches.cpuSamples,
    process_cpu_seconds_total: one((user + system) / US_PER_SECOND),
    process_resident_memory_bytes: one(rss),
    process_open_fds: one(countOpenFiles()),
    process_max_fds: maxOpenFiles(),
    process_start_time_seconds: one(figures.startedAtMs / 1000),
    nodejs_heap_size_used_bytes: one(heapUsed),
    nodejs_heap_size_total_bytes: one(heapTotal),
    nodejs_external_memory_bytes: one(external),
  }
  return formatExposition(METRICS, samples)
}

export function countOpenFiles(): number {
  return readdirSync('/proc/self/fd').length
}

function maxOpenFiles(): Sample[] {
  const soft = /^Max open files\s+(\d+)/m.exec(readFileSync('/proc/self/limits', 'utf8'))?.[1]
  return soft === undefined ? [] : one(Number(soft))
}

function one(value: number): Sample[] {
  return [{ labels: [], value }]
}

function ofPool({ network, setIndex, family }: PoolFigure, value: number): Sample {
  return { labels: [network, String(setIndex), `ipv${family}`], value }
}
