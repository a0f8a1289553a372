// Upstream's plugins play the same cases. What they did is on record, and is compared with what is expected of ours.
// Some of the cases they play again each time; all of them in the long form, `npm run test:differential`.

import { t as root, type Test, test } from 'tap'
import { AREAS, type Area } from './areas.ts'
import { DIFFERENCES } from './differences.ts'
import { type Case, formatOutcome, parseOutcome, play, skipOf } from './harness/case.ts'
import { Allowance, compareOutcomes } from './harness/compare.ts'
import { podwire, upstream } from './harness/contestant.ts'
import { isUpdate, readOutcomes, writeOutcomes } from './harness/expected.ts'
import { DEADLINE_MS } from './harness/play-area.ts'
import type { Observation } from './harness/stage.ts'
import { isLong, spread } from './robustness/form.ts'

/** Upstream waits a lot: for duplicate address detection, for locks. */
const JOBS = 4
/** Of an area, in the short form. */
const SAMPLE = 3

root.setTimeout(DEADLINE_MS)

const allowance = new Allowance(DIFFERENCES)
const areas = Object.keys(AREAS) as Area[]

for (const area of areas) {
  test(`upstream’s plugins do what ours do in ${area}`, { jobs: JOBS, timeout: DEADLINE_MS }, (t) => {
    const cases = (AREAS[area] as readonly Case[]).filter(({ oursOnly }) => oursOnly === undefined)
    const expected = readOutcomes('expected', area)
    const seen = readOutcomes('upstream', area)
    const again = new Set(isLong || isUpdate ? cases : spread(cases, SAMPLE))
    for (const one of cases) {
      const { title, needs } = one
      const text = seen.get(title)
      if (text !== undefined && !isUpdate) {
        t.same(unexplained(title, parseOutcome(text), parseOutcome(expected.get(title) ?? '')), [], title)
        if (!again.has(one)) continue
      }
      t.test(`${title}: played again`, { timeout: DEADLINE_MS, skip: skipOf(one) }, async (inner) => {
        const outcome = await play(one, upstream)
        const known = expected.get(title)
        const isUnwritten = known === undefined && needs !== undefined
        const ours = isUnwritten ? (await play(one, podwire)).observations : parseOutcome(known ?? '')
        inner.same(unexplained(title, outcome.observations, ours), [])
        if (needs === undefined) seen.set(title, formatOutcome(outcome))
      })
    }
    t.teardown(() => {
      const titles = cases.map(({ title }) => title).filter((title) => seen.has(title))
      if (isUpdate)
        writeOutcomes('upstream', area, new Map(titles.map((title) => [title, seen.get(title) ?? ''])))
    })
    testRecord(t, { cases, seen })
    t.end()
  })
}

test('every allowed difference is there', (t) => {
  t.same(allowance.listUnused(), [])
  t.end()
})

/** @returns lines that only one side has, and no row of the table explains */
function unexplained(
  title: string,
  upstreams: readonly Observation[],
  ours: readonly Observation[],
): string[] {
  return compareOutcomes(title, { upstream: upstreams, ours })
    .filter((discrepancy) => !allowance.allows(discrepancy))
    .map(({ aspect, side, line }) => `${aspect}: only ${side}: ${line}`)
}

function testRecord(t: Test, { cases, seen }: { cases: readonly Case[]; seen: Map<string, string> }): void {
  if (isUpdate) return
  const titles = cases.filter(({ needs }) => needs === undefined).map(({ title }) => title)
  t.same([...seen.keys()], titles, 'each case is on record, and nothing else')
}
