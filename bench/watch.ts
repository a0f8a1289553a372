// What the counters cost a call: ADD and DEL in a warm process, as the daemon makes them, by turns with a watch on all that
// they ask (lib/daemon/timed-ports.ts) and without.
//
//   node bench/watch.ts [--runs N]

import { execFileSync } from 'node:child_process'
import { parseArgs } from 'node:util'
import { findPlugin } from '../cmd/podwire/registry.ts'
import { podwire } from '../conformance/harness/contestant.ts'
import { TestNode } from '../conformance/harness/node.ts'
import { invoke } from '../lib/cni/skel.ts'
import { CallWatch } from '../lib/daemon/call-watch.ts'
import { LoopStretches } from '../lib/daemon/loop-stretches.ts'
import { CallMetrics } from '../lib/daemon/metrics.ts'
import type { Call } from '../lib/daemon/protocol.ts'
import { CallPorts } from '../lib/daemon/timed-ports.ts'
import { STEP } from '../lib/daemon/timed-steps.ts'
import { openPorts } from '../lib/host/open-ports.ts'
import type { Ports } from '../lib/host/ports.ts'
import { quantile } from './interleave.ts'

const PODS = 8
const WARM_UP = 40
/** What the first process tells the one that it starts inside the node. */
const INSIDE = 'BENCH_INSIDE'

interface Inside {
  readonly pods: readonly { readonly name: string; readonly path: string }[]
  readonly stateDir: string
  readonly config: object
  readonly runs: number
}

async function main(): Promise<void> {
  const inside = process.env[INSIDE]
  if (inside !== undefined) return measure(JSON.parse(inside) as Inside)
  const { values } = parseArgs({ options: { runs: { type: 'string' } } })
  const node = await TestNode.create(podwire)
  try {
    const pods: Inside['pods'][number][] = []
    for (let i = 0; i < PODS; i++) pods.push(await node.addPod(`p${i}`))
    const config = {
      cniVersion: '1.0.0',
      name: 'bench',
      type: podwire.bridge,
      isDefaultGateway: true,
      ipMasq: true,
      ipam: { type: podwire.hostLocal, ranges: [[{ subnet: '10.9.0.0/16' }]], dataDir: node.dataDir },
    }
    const runs = Number(values.runs ?? 1000)
    const env = { ...process.env, [INSIDE]: JSON.stringify({ pods, config, runs, stateDir: node.stateDir }) }
    execFileSync('ip', ['netns', 'exec', node.name, process.execPath, import.meta.filename], {
      env,
      stdio: 'inherit',
    })
  } finally {
    await node.remove()
  }
}

type Made = (verb: string, pod: Inside['pods'][number]) => Promise<void>

async function measure({ pods, stateDir, config, runs }: Inside): Promise<void> {
  process.env['UV_THREADPOOL_SIZE'] = '16'
  const background = { deletionThreads: 12, onConnectionsKept: () => undefined }
  const environment = { PODWIRE_STATE_DIR: stateDir }
  const ports = openPorts({ environment, executable: process.execPath, findPlugin, background })
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
    const pod = pods[Math.abs(run) % pods.length] as Inside['pods'][number]
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

async function call(
  verb: string,
  pod: Inside['pods'][number],
  { ports, config }: { ports: Ports; config: object },
): Promise<void> {
  const plugin = findPlugin(podwire.bridge)
  if (plugin === undefined) throw new Error('no plugin')
  const environment = {
    CNI_COMMAND: verb,
    CNI_CONTAINERID: pod.name,
    CNI_NETNS: pod.path,
    CNI_IFNAME: 'eth0',
    CNI_PATH: '/none',
  }
  const invocation = { environment, readStdin: () => JSON.stringify(config) }
  const { exitStatus, stdout } = await invoke(plugin, ports, invocation, { version: 'bench' })
  if (exitStatus !== 0) throw new Error(stdout)
}

await main()
