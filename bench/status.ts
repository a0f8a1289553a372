// `npm run bench:status`: how long STATUS works once the program is there: from the call to the answer, with everything
// opened anew each time, as a process of its own has to. The first call, whose code the engine has not compiled yet,
// is shown by itself. On a node without pods, and on one with two.
//
//   node bench/status.ts [--runs N] [--enforce]     --enforce: exit status 1 when a median is above the goal

import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { plugin } from '../cmd/cni-bridge/plugin.ts'
import { findPlugin } from '../cmd/podwire/registry.ts'
import { invoke } from '../lib/cni/skel.ts'
import { openPorts } from '../lib/host/open-ports.ts'
import { quantile } from './interleave.ts'
import { type BenchNode, type Config, openNode } from './node.ts'

const GOAL_MS = 3

async function main(): Promise<void> {
  const options = {
    runs: { type: 'string' },
    enforce: { type: 'boolean' },
    inside: { type: 'string' },
  } as const
  const { values } = parseArgs({ options })
  const runs = Number(values.runs ?? 200)
  if (values.inside !== undefined) return measure(JSON.parse(values.inside) as Config, runs)
  for (const pods of [0, 2]) {
    const bench = await openNode()
    try {
      for (let nth = 1; nth <= pods; nth++) {
        bench.call('ADD', netconf(bench), await bench.node.addPod(`pod${nth}`))
      }
      const timesMs = measureInside(bench, runs)
      const [first = Number.NaN, ...later] = timesMs
      const work = quantile(later, 0.5)
      console.log(
        `STATUS with ${pods} pods   median ${work.toFixed(2)} ms   p90 ${quantile(later, 0.9).toFixed(2)}   first ${first.toFixed(2)}   goal ${GOAL_MS}`,
      )
      if (values.enforce === true && work > GOAL_MS) process.exitCode = 1
    } finally {
      await bench.close()
    }
  }
}

/** In a process that is in the node's namespace. @returns milliseconds, call by call */
function measureInside(bench: BenchNode, runs: number): number[] {
  const { name, stateDir } = bench.node
  const self = [process.execPath, fileURLToPath(import.meta.url), '--runs', String(runs), '--inside']
  const { status, stdout, stderr } = spawnSync(
    'ip',
    ['netns', 'exec', name, ...self, JSON.stringify(netconf(bench))],
    { env: { PATH: process.env['PATH'], PODWIRE_STATE_DIR: stateDir }, encoding: 'utf8' },
  )
  if (status !== 0) throw new Error(`STATUS: ${stdout}${stderr}`)
  return JSON.parse(stdout) as number[]
}

async function measure(config: Config, runs: number): Promise<void> {
  const environment = { ...process.env, CNI_COMMAND: 'STATUS', CNI_PATH: '/nowhere' }
  const stdin = JSON.stringify(config)
  const timesMs: number[] = []
  for (let run = 0; run < runs; run++) {
    const start = performance.now()
    const ports = openPorts({ environment, executable: process.execPath, findPlugin })
    const call = { environment, readStdin: () => stdin }
    const { exitStatus, stdout } = await invoke(plugin, ports, call, { version: 'bench' })
    timesMs.push(performance.now() - start)
    ports.close()
    if (exitStatus !== 0) throw new Error(stdout)
  }
  console.log(JSON.stringify(timesMs))
}

function netconf({ node }: BenchNode): Config {
  const ranges = [[{ subnet: '10.1.0.0/24' }], [{ subnet: 'fd00:1::/64' }]]
  const ipam = { type: node.contestant.hostLocal, dataDir: node.dataDir, ranges }
  const type = node.contestant.bridge
  return { cniVersion: '1.1.0', name: 'net', type, isDefaultGateway: true, ipMasq: true, ipam }
}

await main()
