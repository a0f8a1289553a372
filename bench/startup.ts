// `npm run bench`: what our code adds to the start of Node.js itself. Compares `CNI_COMMAND=VERSION cni-bridge` with an
// executable of the same kind that does nothing, in turn, so that the machine's moods meet both.
//
//   node bench/startup.ts [--runs N] [--enforce]     --enforce: exit status 1 when the ratio is above the goal

import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { dirname } from 'node:path'
import { parseArgs } from 'node:util'

import { buildExecutable } from '../scripts/sea.ts'

const GOAL = 1.25
const EMPTY = 'dist/bench/empty'
const PLUGIN = 'dist/bin/cni-bridge'

interface Subject {
  readonly label: string
  readonly path: string
  readonly timesMs: number[]
}

async function main(): Promise<void> {
  const { values } = parseArgs({ options: { runs: { type: 'string' }, enforce: { type: 'boolean' } } })
  process.chdir(dirname(import.meta.dirname))
  if (!existsSync(PLUGIN)) throw new Error(`"${PLUGIN}" is not there: npm run build`)
  await buildExecutable('dist/work', { output: EMPTY, script: new Uint8Array(), assets: {} })
  const empty = { label: 'empty executable', path: EMPTY, timesMs: [] }
  const plugin = { label: 'VERSION cni-bridge', path: PLUGIN, timesMs: [] }
  const floor = { label: 'spawn of /bin/true', path: '/bin/true', timesMs: [] }
  measure([empty, plugin, floor], Number(values.runs ?? 100))
  for (const subject of [floor, empty, plugin]) console.log(describe(subject))
  const ratio = quantile(plugin.timesMs, 0.5) / quantile(empty.timesMs, 0.5)
  console.log(`ratio ${ratio.toFixed(3)}, goal ${GOAL}`)
  if (values.enforce === true && ratio > GOAL) process.exitCode = 1
}

function measure(subjects: readonly Subject[], runs: number): void {
  const env = { CNI_COMMAND: 'VERSION' }
  for (let run = -3; run < runs; run++) {
    for (const { path, timesMs } of subjects) {
      const start = process.hrtime.bigint()
      const { status, stderr } = spawnSync(path, { env, stdio: ['ignore', 'pipe', 'pipe'] })
      const elapsed = Number(process.hrtime.bigint() - start) / 1e6
      if (status !== 0) throw new Error(`"${path}": exit status ${status}: ${stderr}`)
      if (run >= 0) timesMs.push(elapsed) // the first ones fill the page cache
    }
  }
}

function describe({ label, timesMs }: Subject): string {
  const [median, p10, p90] = [0.5, 0.1, 0.9].map((q) => quantile(timesMs, q).toFixed(2))
  return `${label.padEnd(20)} median ${median} ms   p10 ${p10}   p90 ${p90}   (${timesMs.length} runs)`
}

/** Nearest rank. */
function quantile(values: readonly number[], q: number): number {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * q))] ?? Number.NaN
}

await main()
