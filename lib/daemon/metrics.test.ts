import { test } from 'tap'
import { CallMetrics } from './metrics.ts'
import type { Call, Outcome } from './protocol.ts'
import { STEP } from './timed-steps.ts'

const callOf = (command: string | undefined, containerId = 'pod-1'): Call => ({
  plugin: 'bridge',
  netns: '',
  places: [],
  environment: {
    ...(command === undefined ? {} : { CNI_COMMAND: command }),
    CNI_CONTAINERID: containerId,
  },
  stdin: '',
})
const DONE: Outcome = { exitStatus: 0, stdout: '', stderr: '' }
const failed = (msg: string, code = 7): Outcome => ({
  exitStatus: 1,
  stdout: JSON.stringify({ cniVersion: '1.1.0', code, msg }),
  stderr: '',
})
function counted(): CallMetrics {
  const metrics = new CallMetrics(() => 0)
  const rows: [plugin: string, command: string, answer: Outcome, durationMs: number][] = [
    ['cni-bridge', 'ADD', DONE, 1.5],
    ['cni-bridge', 'ADD', failed('no'), 0.5],
    ['cni-bridge', 'ADD', DONE, 6000],
    ['cni-bridge', 'DEL', DONE, 100],
  ]
  for (const [plugin, command, answer, durationMs] of rows)
    metrics.count(plugin, callOf(command), { answer, durationMs })
  return metrics
}

test('CallMetrics counts by plugin, verb and result, and how long they took', (t) => {
  const { calls, samples } = counted()
  t.strictSame(calls, [
    {
      plugin: 'cni-bridge',
      verb: 'ADD',
      succeeded: 2,
      failed: 1,
      totalMs: 6002,
      p99Ms: 15_000,
      perMinute: 0.6,
    },
    { plugin: 'cni-bridge', verb: 'DEL', succeeded: 1, failed: 0, totalMs: 100, p99Ms: 100, perMinute: 0.2 },
  ])
  t.strictSame(samples.podwire_calls_total, [
    { labels: ['cni-bridge', 'ADD', '0'], value: 2 },
    { labels: ['cni-bridge', 'ADD', '7'], value: 1 },
    { labels: ['cni-bridge', 'DEL', '0'], value: 1 },
  ])
  t.match(samples.podwire_call_duration_seconds, [
    {
      labels: ['cni-bridge', 'ADD'],
      value: { counts: [1, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0], sum: 6.002 },
    },
    { labels: ['cni-bridge', 'DEL'], value: { sum: 0.1 } },
  ])
  t.end()
})

test('CallMetrics tells of each step that a call needed', (t) => {
  const metrics = new CallMetrics(() => 0)
  const stepsMs: (number | undefined)[] = []
  stepsMs[STEP.links] = 2
  metrics.count('p', callOf('ADD'), { answer: DONE, durationMs: 5, stepsMs })
  metrics.count('p', callOf('ADD'), { answer: DONE, durationMs: 5 })
  t.match(metrics.samples.podwire_step_duration_seconds, [
    { labels: ['ADD', 'links'], value: { sum: 0.002 } },
  ])
  t.equal(metrics.samples.podwire_step_duration_seconds.length, 1)
  t.end()
})

test('CallMetrics tells how many calls a minute there were lately', (t) => {
  let nowMs = Date.UTC(2026, 0, 1)
  const metrics = new CallMetrics(() => nowMs)
  const rate = () => metrics.calls[0]?.perMinute
  for (let i = 0; i < 10; i++) metrics.count('p', callOf('ADD'), { answer: DONE, durationMs: 1 })
  t.equal(rate(), 2)
  nowMs += 4 * 60_000
  t.equal(rate(), 2)
  nowMs += 60_000
  t.equal(rate(), 0)
  metrics.count('p', callOf('ADD'), { answer: DONE, durationMs: 1 })
  t.equal(rate(), 0.2)
  nowMs -= 3_600_000 // the clock was put right
  t.equal(rate(), 0.2)
  t.end()
})

test('what callers, kernels and plugins of others make up is told under few labels', (t) => {
  const metrics = new CallMetrics(() => 0)
  for (let i = 0; i < 1000; i++) {
    metrics.count('p', callOf(`verb ${i}`), { answer: failed('no', 10_000 + i), durationMs: 1 })
    metrics.kernelRefused('ip link add', `E${i}`)
    metrics.storeRefused(`operation ${i}`, 'EIO')
  }
  const { samples } = metrics
  t.strictSame(samples.podwire_calls_total, [{ labels: ['p', 'other', 'other'], value: 1000 }])
  for (const name of ['podwire_kernel_errors_total', 'podwire_store_errors_total'] as const) {
    t.equal(samples[name].length, 101)
    t.strictSame(samples[name].at(-1), { labels: ['other', 'other'], value: 900 })
  }
  t.end()
})

test('CallMetrics knows the verbs of the spec, and calls all else other', (t) => {
  const metrics = new CallMetrics(() => 0)
  for (const command of ['ADD', 'DEL', 'CHECK', 'GC', 'STATUS', 'VERSION', 'add', '"} 1', undefined])
    metrics.count('p', callOf(command), { answer: DONE, durationMs: 1 })
  t.strictSame(
    metrics.calls.map(({ verb, succeeded }) => `${verb} ${succeeded}`),
    ['ADD 1', 'CHECK 1', 'DEL 1', 'GC 1', 'STATUS 1', 'VERSION 1', 'other 3'],
  )
  t.end()
})

test('CallMetrics keeps the latest errors, and no more', (t) => {
  let nowMs = Date.UTC(2026, 0, 1)
  const metrics = new CallMetrics(() => nowMs)
  for (let i = 1; i <= 22; i++) {
    metrics.count('p', callOf('ADD', `pod-${i}`), { answer: failed(`error ${i}`), durationMs: 1 })
    nowMs += 1000
  }
  t.equal(metrics.errors.length, 20)
  t.strictSame(metrics.errors.at(-1), {
    at: '2026-01-01T00:00:21.000Z',
    plugin: 'p',
    verb: 'ADD',
    containerId: 'pod-22',
    message: 'error 22 (code 7)',
  })
  t.match(metrics.errors[0], { message: 'error 3 (code 7)' })
  metrics.count('p', callOf('ADD', 'c'.repeat(10_000)), { answer: failed('m'.repeat(10_000)), durationMs: 1 })
  const { containerId = '', message = '' } = metrics.errors.at(-1) ?? {}
  t.strictSame([containerId.length, message.length], [501, 501], 'long texts are cut')
  t.end()
})

test('CallMetrics counts refusals by reason, however many reasons callers think of', (t) => {
  const metrics = new CallMetrics(() => 0)
  metrics.countRefusal('stopping', 'the daemon is stopping')
  for (let i = 0; i < 1000; i++) metrics.countRefusal('unknown_plugin', `no plugin is called "${i}"`)
  metrics.countRefusal('stopping', 'the daemon is stopping')
  metrics.countRefusal('bad_request', 'this is no frame')
  t.match(metrics.refusals, { 'the daemon is stopping': 2, 'no plugin is called "0"': 1, other: 981 })
  t.equal(Object.keys(metrics.refusals).length, 21)
  t.strictSame(metrics.samples.podwire_fallbacks_total, [
    { labels: ['stopping'], value: 2 },
    { labels: ['unknown_plugin'], value: 1000 },
    { labels: ['bad_request'], value: 1 },
  ])
  t.end()
})
