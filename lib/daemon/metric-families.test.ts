// The text of all metrics, and what is written about them: docs/metrics.md, the rules and the dashboard in deploy/.

import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { parser } from '@prometheus-io/lezer-promql'
// @ts-expect-error it has no types
import parsePrometheusText from 'parse-prometheus-text-format'
import { test } from 'tap'
import { parse as parseYaml } from 'yaml'
import { LoopDelay } from './loop-delay.ts'
import { LoopStretches } from './loop-stretches.ts'
import { formatMetrics, METRICS } from './metric-families.ts'
import { CallMetrics } from './metrics.ts'
import type { Call } from './protocol.ts'
import { STEPS } from './timed-steps.ts'

const PROJECT = join(import.meta.dirname, '../..')
const PROMTOOL = process.env['PROMTOOL'] ?? 'promtool'
const skip =
  spawnSync(PROMTOOL, ['--version']).status === 0
    ? false
    : 'no promtool: apt-get download prometheus, dpkg -x, and PROMTOOL=…/usr/bin/promtool'
const read = (path: string) => readFileSync(join(PROJECT, path), 'utf8')

interface ParsedFamily {
  readonly name: string
  readonly help: string
  readonly type: string
  readonly metrics: readonly { readonly value?: string; readonly labels?: Readonly<Record<string, string>> }[]
}

/** By another's reader. */
const parseText: (text: string) => ParsedFamily[] = parsePrometheusText

/** A daemon that has something to tell of everything. */
async function text(network = 'net'): Promise<string> {
  const metrics = new CallMetrics(() => 0)
  const call = { environment: { CNI_COMMAND: 'ADD' } } as unknown as Call
  const stdout = JSON.stringify({ code: 7, msg: 'no' })
  const stepsMs = STEPS.map(() => 1)
  metrics.count('cni-bridge', call, { answer: { exitStatus: 0, stdout, stderr: '' }, durationMs: 1, stepsMs })
  metrics.count('cni-bridge', call, { answer: { exitStatus: 1, stdout, stderr: '' }, durationMs: 7 })
  metrics.countRefusal('stopping', 'the daemon is stopping')
  metrics.kernelRefused('ip link add', 'EEXIST')
  metrics.storeRefused('write', 'EFULL')
  const stretches = new LoopStretches(() => 0)
  stretches.enter({ verb: 'ADD', plugin: 'cni-bridge' })
  await nextTurn()
  return formatMetrics({
    version: '1.2.3',
    isReady: true,
    running: 1,
    waiting: 2,
    attachments: 3,
    pools: [{ network, setIndex: 0, family: 6, total: 1n << 64n, used: 2, reserved: 1n }],
    scrapeErrors: 0,
    startedAtMs: 1500,
    metrics,
    delay: new LoopDelay(),
    stretches,
  })
}

test('the text is as Prometheus reads it', async (t) => {
  const families = parseText(await text())
  t.strictSame(
    families.map(({ name, type, help }) => [name, type.toLowerCase(), help]),
    Object.entries(METRICS).map(([name, { type, help }]) => [name, type, help]),
  )
  const told = (name: string) => families.find((one) => one.name === name)?.metrics
  t.strictSame(told('podwire_calls_total'), [
    { value: '1', labels: { plugin: 'cni-bridge', verb: 'ADD', code: '0' } },
    { value: '1', labels: { plugin: 'cni-bridge', verb: 'ADD', code: '7' } },
  ])
  t.match(told('podwire_call_duration_seconds'), [
    { buckets: { '0.0005': '0', '0.001': '1', '0.005': '1', '0.01': '2', '+Inf': '2' } },
  ])
  t.match(told('podwire_pool_addresses'), [
    { value: '18446744073709552000', labels: { network: 'net', range_set: '0', family: 'ipv6' } },
  ])
  t.match(told('process_start_time_seconds'), [{ value: '1.5' }])
  t.ok(families.every(({ metrics }) => metrics.length > 0))
})

test('a text in a label is no line, and no label', async (t) => {
  const names = (given: string) => given.split('\n').map((line) => /^[^ {]*/.exec(line)?.[0])
  const hostile = await text('a"} 1\nb{c="\\')
  t.strictSame(names(hostile), names(await text()))
  t.match(hostile, '{network="a\\"} 1\\nb{c=\\"\\\\",range_set="0",family="ipv6"}')
})

/** Rows of the page's tables: `| `name` | type | labels |`. */
function documented(): Map<string, { type: string; labels: string[] }> {
  const rows = read('docs/metrics.md').matchAll(/^\| `([a-z_]+)` \| (\w+) \| ([^|]*)\|/gm)
  return new Map(
    [...rows].map(([, name = '', type = '', labels = '']) => [
      name,
      { type, labels: [...labels.matchAll(/`(\w+)`/g)].map(([, label = '']) => label) },
    ]),
  )
}

test('docs/metrics.md has every metric, with its type and labels, and no other', (t) => {
  const told = Object.entries(METRICS).map(([name, { type, labels }]) => [
    name,
    { type, labels: [...labels] },
  ])
  t.strictSame([...documented()].sort(byName), told.sort(byName))
  const page = read('docs/metrics.md')
  const steps = page.slice(page.indexOf('\n## Steps'), page.indexOf('\n## Alerts'))
  t.strictSame(
    [...steps.matchAll(/^\| `(\w+)`/gm)].map(([, step]) => step),
    [...STEPS],
    'and every step',
  )
  t.end()
})

function byName([a]: unknown[], [b]: unknown[]): number {
  return String(a) < String(b) ? -1 : 1
}

interface Rules {
  readonly groups: readonly { readonly rules: readonly Rule[] }[]
}

interface Rule {
  readonly alert: string
  readonly expr: string
  readonly annotations: {
    readonly summary: string
    readonly description: string
    readonly runbook_url: string
  }
}

const RULES = (parseYaml(read('deploy/prometheus-rules.yaml')) as Rules).groups.flatMap(({ rules }) => rules)

interface Panel {
  readonly type: string
  readonly title: string
  readonly description?: string
  readonly targets?: readonly { readonly expr: string; readonly legendFormat: string }[]
}

interface Dashboard {
  readonly panels: readonly Panel[]
  readonly templating: {
    readonly list: readonly { readonly name: string; readonly type: string; readonly definition?: string }[]
  }
}

const DASHBOARD = JSON.parse(read('deploy/grafana-dashboard.json')) as Dashboard
const PANELS = DASHBOARD.panels.filter(({ type }) => type !== 'row')

/** Of every target: Prometheus puts them there. `up` is its own. */
const TARGET_LABELS = ['job', 'instance']

/** What an expression asks for that there is not. */
function findWrong(expression: string): string[] {
  const wrong: string[] = []
  const names: string[] = []
  const labels: string[] = []
  const wherever = expression.replaceAll('$__rate_interval', '5m')
  parser.parse(wherever).iterate({
    enter: ({ name, type, from, to }) => {
      const part = wherever.slice(from, to)
      if (type.isError) wrong.push(`not PromQL at ${from}: ${wherever}`)
      if (name === 'Identifier') names.push(part)
      if (name === 'LabelName') labels.push(part)
    },
  })
  const known = new Set(names.flatMap(labelsOf))
  if (names.length === 0) wrong.push('asks for no metric')
  wrong.push(
    ...names.filter((name) => specOf(name) === undefined && name !== 'up').map((name) => `no metric ${name}`),
  )
  wrong.push(...labels.filter((label) => !known.has(label)).map((label) => `no label ${label}`))
  return wrong
}

function specOf(name: string): { readonly type: string; readonly labels: readonly string[] } | undefined {
  const metrics: Readonly<Record<string, { type: string; labels: readonly string[] }>> = METRICS
  const whole = metrics[name]
  if (whole !== undefined) return whole.type === 'histogram' ? undefined : whole
  const [, base = '', suffix] = /^(.*)_(bucket|sum|count)$/.exec(name) ?? []
  const histogram = metrics[base]
  if (histogram?.type !== 'histogram') return undefined
  return suffix === 'bucket' ? { ...histogram, labels: [...histogram.labels, 'le'] } : histogram
}

function labelsOf(name: string): readonly string[] {
  return [...(specOf(name)?.labels ?? []), ...TARGET_LABELS]
}

test('the check of expressions finds what is wrong', (t) => {
  for (const [expression, wrong] of [
    ['rate(podwire_calls_total{verb="ADD"}[5m])', []],
    [
      'rate(podwire_calls_total{verb="ADD"}[5m]',
      ['not PromQL at 40: rate(podwire_calls_total{verb="ADD"}[5m]'],
    ],
    ['podwire_calls', ['no metric podwire_calls']],
    ['podwire_call_duration_seconds', ['no metric podwire_call_duration_seconds']],
    ['podwire_ready_bucket', ['no metric podwire_ready_bucket']],
    ['sum by (le) (podwire_call_duration_seconds_sum)', ['no label le']],
    ['podwire_calls_total{result="error"}', ['no label result']],
    ['1', ['asks for no metric']],
  ] as const)
    t.strictSame(findWrong(expression), wrong, expression)
  t.end()
})

test('the rules ask for what is told, and say what to do', (t) => {
  const page = read('docs/metrics.md')
  t.ok(RULES.length > 0)
  for (const { alert, expr, annotations } of RULES) {
    t.strictSame(findWrong(expr), [], alert)
    t.ok(annotations.summary && annotations.description, `${alert} is explained`)
    t.equal(annotations.runbook_url, `docs/metrics.md#${alert.toLowerCase()}`)
    t.ok(page.includes(`\n### ${alert}\n`), `${alert} has its heading`)
    for (const [, label = ''] of Object.values(annotations)
      .join()
      .matchAll(/\$labels\.(\w+)/g))
      t.ok(expr.includes(label) || isOfAll(expr, label), `${alert}: ${label}`)
  }
  const headings = [...page.matchAll(/^### (Podwire\w+)$/gm)].map(([, alert]) => alert)
  t.strictSame(headings.sort(), RULES.map(({ alert }) => alert).sort(), 'no heading without its alert')
  t.end()
})

/** Whether all that an expression asks for has the label. */
function isOfAll(expression: string, label: string): boolean {
  const names = expression.match(/\b(?:podwire|process|nodejs)_\w+|\bup\b/g) ?? []
  return names.every((name) => labelsOf(name).includes(label))
}

test('the dashboard asks for what is told, of the source that is chosen, and says what it is', (t) => {
  const [source, ...variables] = DASHBOARD.templating.list
  t.match(source, { name: 'datasource', type: 'datasource', query: 'prometheus' })
  for (const { definition = '' } of variables) {
    const [, metric = ''] = /^label_values\((.*), \w+\)$/.exec(definition) ?? []
    t.strictSame(findWrong(metric), [], definition)
  }
  t.ok(PANELS.length > 0)
  for (const { title, description = '', targets = [], ...panel } of PANELS) {
    t.ok(description.length > 0 && targets.length > 0, title)
    t.match(panel, { datasource: { type: 'prometheus', uid: `\${datasource}` } }, title)
    for (const { expr, legendFormat } of targets) {
      t.strictSame(findWrong(expr), [], title)
      for (const [, label = ''] of legendFormat.matchAll(/\{\{(\w+)\}\}/g))
        t.ok(new RegExp(`\\b${label}\\b`).test(expr) || isOfAll(expr, label), `${title}: ${label}`)
    }
  }
  t.end()
})

test('promtool finds nothing to say of the text', { skip }, async (t) => {
  const { status, stdout, stderr } = spawnSync(PROMTOOL, ['check', 'metrics'], {
    input: await text(),
    encoding: 'utf8',
  })
  t.equal(status, 0, `${stdout}${stderr}`)
})

test('promtool takes the rules, and their tests pass', { skip }, (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'pw-rules-'))
  t.teardown(() => rmSync(directory, { recursive: true }))
  // The dashboard's, as rules that record: so it is read, too.
  const rules = PANELS.flatMap(({ targets = [] }) => targets).map(({ expr }, i) => ({
    record: `panel:${i}`,
    expr: expr.replaceAll('$__rate_interval', '5m'),
  }))
  const ofDashboard = join(directory, 'dashboard.yaml')
  writeFileSync(ofDashboard, JSON.stringify({ groups: [{ name: 'dashboard', rules }] }))
  for (const args of [
    ['check', 'rules', join(PROJECT, 'deploy/prometheus-rules.yaml')],
    ['check', 'rules', ofDashboard],
    ['test', 'rules', join(PROJECT, 'deploy/prometheus-rules.test.yaml')],
  ]) {
    const { status, stdout, stderr } = spawnSync(PROMTOOL, args, { encoding: 'utf8' })
    t.equal(status, 0, `${stdout}${stderr}`)
  }
  t.end()
})
