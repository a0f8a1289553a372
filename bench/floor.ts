// What stands between a call with the daemon and the kernel. First, what an ADD would take if our own code took no time: a
// process that does nothing, a call that asks nothing of the kernel, and how much of an ADD the daemon waits for the kernel.
// Each once right after another, and each after a pause, in which the processor's caches forget the daemon. Then, 16 at
// once: how many there are a second, and whose processor time they take.
//
//   node bench/floor.ts [--runs N] [--masquerade] [--dual-stack]

import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { availableParallelism, tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { rehearsed, shimmed } from '../conformance/harness/daemon.ts'
import { type Namespace, TestNode } from '../conformance/harness/node.ts'
import { run } from '../conformance/harness/process.ts'
import type { Step } from '../lib/daemon/timed-steps.ts'
import { AT_ONCE, type Command, daemonTime, Runner, span } from './contestants.ts'
import { quantile } from './interleave.ts'

const PAUSES_MS = [0, 20]
const STEPS = {
  'the kernel': ['links', 'pod', 'sysctl', 'nftables', 'connections'],
  'the stores': ['lease', 'record'],
} satisfies Readonly<Record<string, readonly Step[]>>

type Column = Map<string, number>

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: { runs: { type: 'string' }, masquerade: { type: 'boolean' }, 'dual-stack': { type: 'boolean' } },
  })
  const runs = Number(values.runs ?? 100)
  const directory = mkdtempSync(join(tmpdir(), 'pw-bench-floor-'))
  const node = await TestNode.create(shimmed())
  const workload = { masquerade: values.masquerade === true, dualStack: values['dual-stack'] === true }
  const [calls, nothing] = [
    new Runner(node, workload),
    new Runner(node, workload, { program: compileNothing(directory) }),
  ]
  try {
    await rehearsed(node)
    const pods: Namespace[] = []
    for (let i = 0; i < runs; i++) pods.push(await node.addPod(`p${i}`))
    const columns: Column[] = []
    for (const pauseMs of [0, ...PAUSES_MS])
      columns.push(await measure({ node, calls, nothing, pods, pauseMs }))
    print(columns.slice(1)) // the first warms up
    await printAtOnce({ node, calls, nothing, pods })
  } finally {
    for (const runner of [calls, nothing]) runner.close()
    await node.remove()
    rmSync(directory, { recursive: true })
  }
}

function compileNothing(directory: string): string {
  const program = join(directory, 'nothing')
  const source = 'int main(void) { return 0; }'
  // As the shim is made: with glibc it would take more than twice as long.
  execFileSync('musl-gcc', ['-Os', '-static', '-s', '-x', 'c', '-o', program, '-'], { input: source })
  return program
}

interface Scene {
  readonly node: TestNode
  readonly calls: Runner
  readonly nothing: Runner
  readonly pods: readonly Namespace[]
}

interface Measured extends Scene {
  readonly pauseMs: number
}

async function measure({ node, calls, nothing, pods, pauseMs }: Measured): Promise<Column> {
  const timed = async (runner: Runner, verb: 'ADD' | 'DEL' | 'VERSION') => {
    const times: number[] = []
    for (const pod of pods) {
      if (pauseMs > 0) await pause(pauseMs)
      times.push((await runner.call(verb, pod)).ms)
    }
    return quantile(times, 0.5)
  }
  const column: Column = new Map([
    ['a process that does nothing', await timed(nothing, 'VERSION')],
    ['a call that asks nothing (VERSION)', await timed(calls, 'VERSION')],
  ])
  const before = await readSteps(node)
  column.set('ADD', await timed(calls, 'ADD'))
  const after = await readSteps(node)
  for (const [label, names] of Object.entries(STEPS)) {
    const ms = names.reduce((sum, name) => sum + (after.get(name) ?? 0) - (before.get(name) ?? 0), 0)
    column.set(`of it ${label}`, ms / pods.length)
  }
  await timed(calls, 'DEL')
  const at = (label: string) => column.get(label) ?? Number.NaN
  const floor = at('a call that asks nothing (VERSION)') + at('of it the kernel') + at('of it the stores')
  return column.set('ADD without our own code', floor)
}

/** Milliseconds that all ADDs have waited, by step. */
async function readSteps(node: TestNode): Promise<Map<string, number>> {
  const { stdout } = await run(['curl', '-s', '--unix-socket', node.socketPath, 'http://podwire/metrics'])
  const sums = stdout.matchAll(/^podwire_step_duration_seconds_sum\{([^}]*)\} (\S+)$/gm)
  return new Map(
    [...sums].flatMap(([, labels = '', seconds]) => {
      const step = /step="(\w+)"/.exec(labels)?.[1]
      return labels.includes('verb="ADD"') && step ? [[step, 1000 * Number(seconds)]] : []
    }),
  )
}

function print(columns: readonly Column[]): void {
  const labels = [...(columns[0]?.keys() ?? [])]
  printTable(
    ['', ...PAUSES_MS.map((ms) => (ms === 0 ? 'right after another' : `after ${ms} ms of nothing`))],
    labels.map((label) => [label, ...columns.map((column) => `${column.get(label)?.toFixed(2)} ms`)]),
  )
}

function printTable([first, ...heads]: readonly string[], rows: readonly (readonly string[])[]): void {
  const line = (cells: readonly (string | undefined)[]) => `| ${cells.join(' | ')} |`
  console.log(
    [line([first, ...heads]), `| --- |${' --: |'.repeat(heads.length)}`, ...rows.map(line), ''].join('\n'),
  )
}

const ROUNDS = 5

async function printAtOnce({ node, calls, nothing, pods }: Scene): Promise<void> {
  const rows: [label: string, runner: Runner, command: Command][] = [
    ['a process that does nothing', nothing, 'VERSION'],
    ['a call that asks nothing (VERSION)', calls, 'VERSION'],
    ['ADD', calls, 'ADD'],
    ['DEL', calls, 'DEL'],
  ]
  const spent = rows.map((): Spent => ({ ms: 0, processes: 0, daemon: 0, inKernel: 0 }))
  for (let round = 0; round <= ROUNDS; round++)
    for (const [i, [, runner, command]] of rows.entries()) {
      const before = daemonTime(node)
      const timings = await runner.callAll(command, pods, AT_ONCE)
      const [after, sum] = [daemonTime(node), spent[i]]
      if (round === 0 || sum === undefined) continue // the first warms up
      sum.ms += span(timings)
      sum.processes += timings.reduce((total, { cpuMs }) => total + cpuMs, 0)
      sum.daemon += after.all - before.all
      sum.inKernel += after.inKernel - before.inKernel
    }
  printTable(
    [
      `${AT_ONCE} at once`,
      'a second',
      'its process',
      'the daemon',
      'of it in the kernel',
      'a second, were no CPU idle',
    ],
    spent.map((one, i) => [rows[i]?.[0] ?? '', ...describeSpent(one, ROUNDS * pods.length)]),
  )
}

/** Milliseconds of all calls together. */
interface Spent {
  ms: number
  processes: number
  daemon: number
  inKernel: number
}

function describeSpent({ ms, processes, daemon, inKernel }: Spent, calls: number): string[] {
  const each = (total: number) => `${(total / calls).toFixed(2)} ms`
  const aSecond = (total: number) => ((1000 * calls) / total).toFixed(0)
  const busy = (processes + daemon) / availableParallelism()
  return [aSecond(ms), each(processes), each(daemon), each(inKernel), aSecond(busy)]
}

await main()
