// A process of its own for a range of cases, `fuzz-range.fixture.ts SEED FIRST COUNT`: under tap every promise is
// remembered for ever, and there are millions. Prints what came of them as JSON.

import { type FuzzCase, generate } from './fuzz-mutate.ts'
import { FAKE_PLACES, type Played, playInMemory } from './fuzz-node.ts'
import { Random } from './random.ts'

/** More of the same tell no more. */
const MAX_FAULTS = 5

const [seed = 0, first = 0, count = 0] = process.argv.slice(2).map(Number)
const kinds: Record<string, number> = {}
const faults: string[] = []
for (let nth = first; nth < first + count && faults.length < MAX_FAULTS; nth++) {
  const random = new Random(seed + Math.imul(nth, 0x9e3779b1))
  const fuzz = generate(random, FAKE_PLACES)
  const played = await playInMemory(fuzz, random).catch(broken)
  kinds[played.kind] = (kinds[played.kind] ?? 0) + 1
  if (played.faults.length > 0)
    faults.push(`${reproduce(nth, fuzz)}\n${played.faults.slice(0, 5).join('\n')}`)
}
console.log(JSON.stringify({ kinds, faults }))

function broken(error: unknown): Played {
  return { kind: 'broken', faults: [`it broke: ${error instanceof Error ? error.stack : error}`] }
}

/** The case again, and what it is for a reader. */
function reproduce(nth: number, { plugin, environment, stdin }: FuzzCase): string {
  const variables = Object.entries(environment).map(
    ([key, value]) => `${key}=${JSON.stringify(short(value))}`,
  )
  return [
    `ROBUSTNESS_SEED=${seed} FUZZ_CASE=${nth} node conformance/robustness/fuzz.test.ts`,
    `${variables.join(' ')} ${plugin} <<<'${short(stdin)}'`,
  ].join('\n')
}

function short(text: string): string {
  return text.length > 2000 ? `${text.slice(0, 2000)}… (${text.length} characters)` : text
}
