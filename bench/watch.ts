// What the counters cost a call: ADD and DEL in a warm process, as the daemon makes them, by turns with a watch on all that
// they ask (lib/daemon/timed-ports.ts) and without.
//
//   node bench/watch.ts [--runs N]

import { parseArgs } from 'node:util'
import { podwire } from '../conformance/harness/contestant.ts'
import { CallWatch } from '../lib/daemon/call-watch.ts'
import { LoopStretches } from '../lib/daemon/loop-stretches.ts'
import { CallMetrics } from '../lib/daemon/metrics.ts'
import type { Call } from '../lib/daemon/protocol.ts'
import { CallPorts } from '../lib/daemon/timed-ports.ts'
import { STEP } from '../lib/daemon/timed-steps.ts'
import { quantile } from './interleave.ts'
import { call, findInside, type Inside, openWarmPorts, type Pod, startInside } from './warm.ts'

const PODS = 8
const WARM_UP = 40

async function main(): Promise<void> {
  const inside = findInside()
  if (inside === undefined)
    return startInside(import.meta.filename, { pods: PODS, ipMasq: true, subnets: ['10.9.0.0/16'] })
  const { values } = parseArgs({ options: { runs: { type: 'string' } } })
  await measure(inside, Number(values.runs ?? 1000))
}

type Made = (verb: string, pod: Pod) => Promise<void>

async function measure(inside: Inside, runs: number): Promise<void> {
  const { pods, config } = inside
  const ports = openWarmPorts(inside)
  const metrics = new CallMetrics(() => Date.now())
  const stretches = new LoopStretches(() => Date.now())
  const ways: Readonly<Record<string, Made>> = {
    without: (verb, pod) => call(verb, pod, { ports, config }),
    with: async (verb, pod) => {
      const holding = { verb, plugin: podwire.bridge }
      stretches.enter(holding)
      const watch = new CallWatch({ holding, stretches, refusals: metrics })
      const own = new CallPorts(ports, { ...ports, leases: (dataDir) => ports.leases(dataDir) }, watch)
      const began = performance.now()
      watch.add(STEP.queue, 0)
      await call(verb, pod, { ports: own, config })
      const durationMs = performance.now() - began
      watch.finish(durationMs)
      const answer = { exitStatus: 0, stdout: '', stderr: '' }
      const made = { environment: { CNI_COMMAND: verb } } as unknown as Call
      metrics.count(podwire.bridge, made, { answer, durationMs, stepsMs: watch.spentMs })
    },
  }
  const times = new Map<string, number[]>()
  for (let run = -WARM_UP; run < runs; run++) {
    const pod = pods[Math.abs(run) % pods.length] as Pod
    // Which is first changes with each round: by then the pod and its address have been had by the other.
    for (const way of run % 2 === 0 ? ['without', 'with'] : ['with', 'without']) {
      for (const verb of ['ADD', 'DEL']) {
        const [cpu, began] = [cpuMs(), performance.now()]
        await ways[way]?.(verb, pod)
        if (run < 0) continue
        push(times, `${verb} cpu ${way}`, cpuMs() - cpu)
        push(times, `${verb} wall ${way}`, performance.now() - began)
      }
    }
  }
  for (const what of ['ADD cpu', 'ADD wall', 'DEL cpu', 'DEL wall'])
    for (const share of [0.1, 0.5]) {
      const [a, b] = ['without', 'with'].map((way) => quantile(times.get(`${what} ${way}`) ?? [], share))
      const more = (100 * ((b ?? 0) - (a ?? 0))) / (a ?? 0)
      console.log(
        `${what}, ${100 * share} % of ${runs}: ${a?.toFixed(3)} ms without, ${b?.toFixed(3)} ms with, ${more.toFixed(1)} %`,
      )
    }
  process.exit(0) // its sockets would keep it
}

/** Of this thread: what others do on the machine is not in it. */
function cpuMs(): number {
  const { user, system } = process.threadCpuUsage()
  return (user + system) / 1000
}

function push(times: Map<string, number[]>, what: string, ms: number): void {
  const known = times.get(what) ?? []
  known.push(ms)
  times.set(what, known)
}

await main()
