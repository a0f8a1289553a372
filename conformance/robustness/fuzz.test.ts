// Random and mutated environments and configs: the answer is a success or one error object, and after an error nothing
// is left. Many in memory, some with the executable on a real kernel.
//
//   ROBUSTNESS_SEED=1 FUZZ_CASE=17 node conformance/robustness/fuzz.test.ts     one of them again

import { join } from 'node:path'
import { t as file, test } from 'tap'
import { run } from '../harness/process.ts'
import { inParallel, isLong } from './form.ts'
import { playOnNodes } from './fuzz-executable.ts'
import { Random } from './random.ts'

const CASES = isLong ? 150_000 : 3_000
const EXECUTED = isLong ? 600 : 48
/** Cases of one process. */
const RANGE = isLong ? 2_500 : 1_500
const JOBS = 2
const DEADLINE_MS = 3_600_000
const { FUZZ_CASE: again } = process.env
const random = Random.fromEnvironment()
const { seed } = random

file.setTimeout(DEADLINE_MS)
file.comment(`ROBUSTNESS_SEED=${seed}`)

interface Outcome {
  readonly kinds: Readonly<Record<string, number>>
  readonly faults: readonly string[]
}

test('plugins answer anything, and leave nothing after an error, in memory', async (t) => {
  const outcomes = again === undefined ? await playAll() : [await playRange(Number(again), 1)]
  const kinds = new Map<string, number>()
  for (const [kind, count] of outcomes.flatMap((outcome) => Object.entries(outcome.kinds)))
    kinds.set(kind, (kinds.get(kind) ?? 0) + count)
  t.comment(
    [...kinds]
      .sort()
      .map(([kind, count]) => `${kind}: ${count}`)
      .join(', '),
  )
  t.same(outcomes.flatMap(({ faults }) => faults).slice(0, 5), [])
  const added = kinds.get('ADD ok') ?? 0
  t.ok(again !== undefined || added > CASES / 20, `${added} of ${CASES} made an attachment`)
})

test('executables answer anything, and leave nothing after an error, on a node', {
  skip: again !== undefined,
}, async (t) => {
  t.same((await playOnNodes(random, { count: EXECUTED, jobs: JOBS })).slice(0, 5), [])
})

function playAll(): Promise<Outcome[]> {
  const starts = Array.from({ length: CASES / RANGE }, (_, nth) => nth * RANGE)
  return inParallel(starts, JOBS, (first) => playRange(first, RANGE))
}

async function playRange(first: number, count: number): Promise<Outcome> {
  const program = join(import.meta.dirname, 'fuzz-range.fixture.ts')
  const numbers = [seed, first, count].map(String)
  const { status, stdout, stderr } = await run([process.execPath, program, ...numbers], {
    deadlineMs: DEADLINE_MS,
  })
  if (status !== 0) throw new Error(`cases from ${first}: exit status ${status}: ${stderr}`)
  return JSON.parse(stdout) as Outcome
}
