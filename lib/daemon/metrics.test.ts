import { test } from 'tap'
import { CallMetrics, formatMetrics, type Gauges } from './metrics.ts'
import type { Call, Outcome } from './protocol.ts'

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
const failed = (msg: string): Outcome => ({
  exitStatus: 1,
  stdout: JSON.stringify({ cniVersion: '1.1.0', code: 7, msg }),
  stderr: '',
})
const GAUGES: Gauges = {
  running: 1,
  waiting: 2,
  attachments: 3,
  residentBytes: 4_096,
  eventLoopDelayMaxSeconds: 0.005,
  openFiles: 6,
}

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

test('CallMetrics counts by plugin, verb and result, each call in every bucket that is long enough', (t) => {
  t.strictSame(counted().calls, [
    {
      plugin: 'cni-bridge',
      verb: 'ADD',
      succeeded: 2,
      failed: 1,
      totalMs: 6002,
      buckets: [1, 1, 2, 2, 2, 2, 2, 2, 2, 2, 2],
    },
    {
      plugin: 'cni-bridge',
      verb: 'DEL',
      succeeded: 1,
      failed: 0,
      totalMs: 100,
      buckets: [0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1],
    },
  ])
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
  metrics.countRefusal('the daemon is stopping')
  for (let i = 0; i < 1000; i++) metrics.countRefusal(`no plugin is called "${i}"`)
  metrics.countRefusal('the daemon is stopping')
  t.match(metrics.refusals, { 'the daemon is stopping': 2, 'no plugin is called "0"': 1, other: 981 })
  t.equal(Object.keys(metrics.refusals).length, 21)
  t.match(formatMetrics(metrics, GAUGES), '\npodwire_refused_total 1002\n')
  t.end()
})

test('formatMetrics prints Prometheus’ text', (t) => {
  const metrics = counted()
  metrics.countRefusal('a "reason"\n')
  t.equal(
    formatMetrics(metrics, GAUGES),
    `# HELP podwire_calls_total CNI calls served.
# TYPE podwire_calls_total counter
podwire_calls_total{plugin="cni-bridge",verb="ADD",result="success"} 2
podwire_calls_total{plugin="cni-bridge",verb="ADD",result="error"} 1
podwire_calls_total{plugin="cni-bridge",verb="DEL",result="success"} 1
podwire_calls_total{plugin="cni-bridge",verb="DEL",result="error"} 0
# HELP podwire_call_duration_seconds From request to answer.
# TYPE podwire_call_duration_seconds histogram
podwire_call_duration_seconds_bucket{plugin="cni-bridge",verb="ADD",le="0.0005"} 1
podwire_call_duration_seconds_bucket{plugin="cni-bridge",verb="ADD",le="0.001"} 1
podwire_call_duration_seconds_bucket{plugin="cni-bridge",verb="ADD",le="0.002"} 2
podwire_call_duration_seconds_bucket{plugin="cni-bridge",verb="ADD",le="0.003"} 2
podwire_call_duration_seconds_bucket{plugin="cni-bridge",verb="ADD",le="0.005"} 2
podwire_call_duration_seconds_bucket{plugin="cni-bridge",verb="ADD",le="0.01"} 2
podwire_call_duration_seconds_bucket{plugin="cni-bridge",verb="ADD",le="0.02"} 2
podwire_call_duration_seconds_bucket{plugin="cni-bridge",verb="ADD",le="0.05"} 2
podwire_call_duration_seconds_bucket{plugin="cni-bridge",verb="ADD",le="0.1"} 2
podwire_call_duration_seconds_bucket{plugin="cni-bridge",verb="ADD",le="0.5"} 2
podwire_call_duration_seconds_bucket{plugin="cni-bridge",verb="ADD",le="5"} 2
podwire_call_duration_seconds_bucket{plugin="cni-bridge",verb="ADD",le="+Inf"} 3
podwire_call_duration_seconds_sum{plugin="cni-bridge",verb="ADD"} 6.002
podwire_call_duration_seconds_count{plugin="cni-bridge",verb="ADD"} 3
podwire_call_duration_seconds_bucket{plugin="cni-bridge",verb="DEL",le="0.0005"} 0
podwire_call_duration_seconds_bucket{plugin="cni-bridge",verb="DEL",le="0.001"} 0
podwire_call_duration_seconds_bucket{plugin="cni-bridge",verb="DEL",le="0.002"} 0
podwire_call_duration_seconds_bucket{plugin="cni-bridge",verb="DEL",le="0.003"} 0
podwire_call_duration_seconds_bucket{plugin="cni-bridge",verb="DEL",le="0.005"} 0
podwire_call_duration_seconds_bucket{plugin="cni-bridge",verb="DEL",le="0.01"} 0
podwire_call_duration_seconds_bucket{plugin="cni-bridge",verb="DEL",le="0.02"} 0
podwire_call_duration_seconds_bucket{plugin="cni-bridge",verb="DEL",le="0.05"} 0
podwire_call_duration_seconds_bucket{plugin="cni-bridge",verb="DEL",le="0.1"} 1
podwire_call_duration_seconds_bucket{plugin="cni-bridge",verb="DEL",le="0.5"} 1
podwire_call_duration_seconds_bucket{plugin="cni-bridge",verb="DEL",le="5"} 1
podwire_call_duration_seconds_bucket{plugin="cni-bridge",verb="DEL",le="+Inf"} 1
podwire_call_duration_seconds_sum{plugin="cni-bridge",verb="DEL"} 0.1
podwire_call_duration_seconds_count{plugin="cni-bridge",verb="DEL"} 1
# HELP podwire_refused_total Calls left to the caller.
# TYPE podwire_refused_total counter
podwire_refused_total 1
# HELP podwire_calls_running Calls in work.
# TYPE podwire_calls_running gauge
podwire_calls_running 1
# HELP podwire_calls_waiting Calls that wait for their turn.
# TYPE podwire_calls_waiting gauge
podwire_calls_waiting 2
# HELP podwire_attachments Attachments on this node.
# TYPE podwire_attachments gauge
podwire_attachments 3
# HELP podwire_event_loop_delay_max_seconds Longest since last asked.
# TYPE podwire_event_loop_delay_max_seconds gauge
podwire_event_loop_delay_max_seconds 0.005
# HELP process_resident_memory_bytes Resident memory.
# TYPE process_resident_memory_bytes gauge
process_resident_memory_bytes 4096
# HELP process_open_fds Open file descriptors.
# TYPE process_open_fds gauge
process_open_fds 6
`,
  )
  t.end()
})

test('every line of the text is a comment, or a sample with proper labels', (t) => {
  const metrics = counted()
  metrics.count('cni-bridge', callOf('x="\\\n'), { answer: DONE, durationMs: 1 })
  const label = '[a-z]+="[a-zA-Z0-9.+-]*"'
  const sample = new RegExp(`^[a-z_]+(\\{${label}(,${label})*\\})? [0-9.e+-]+$`)
  for (const line of formatMetrics(metrics, GAUGES).trimEnd().split('\n'))
    t.ok(line.startsWith('# HELP ') || line.startsWith('# TYPE ') || sample.test(line), line)
  t.end()
})
