// Upstream's plugins play the same cases. Their outcomes are compared with those that are expected of ours.

import { t as root, test } from 'tap'
import { AREAS, type Area } from './areas.ts'
import { DIFFERENCES } from './differences.ts'
import { type Case, parseOutcome, play, skipOf } from './harness/case.ts'
import { Allowance, compareOutcomes } from './harness/compare.ts'
import { podwire, upstream } from './harness/contestant.ts'
import { readExpected } from './harness/expected.ts'
import { DEADLINE_MS } from './harness/play-area.ts'

/** Upstream waits a lot: for duplicate address detection, for locks. */
const JOBS = 4

root.setTimeout(DEADLINE_MS)

const allowance = new Allowance(DIFFERENCES)

test('upstream’s outcomes are ours', { jobs: JOBS, timeout: DEADLINE_MS }, (t) => {
  for (const area of Object.keys(AREAS) as Area[]) {
    const expected = readExpected(area)
    const cases: readonly Case[] = AREAS[area]
    for (const one of cases.filter(({ oursOnly }) => oursOnly === undefined)) {
      t.test(one.title, { timeout: DEADLINE_MS, skip: skipOf(one) }, async (inner) => {
        const outcome = await play(one, upstream)
        const text = expected.get(one.title)
        const isUnwritten = text === undefined && one.needs !== undefined
        const ours = isUnwritten ? (await play(one, podwire)).observations : parseOutcome(text ?? '')
        const found = compareOutcomes(one.title, { upstream: outcome.observations, ours })
        const unexplained = found.filter((discrepancy) => !allowance.allows(discrepancy))
        inner.same(
          unexplained.map(({ aspect, side, line }) => `${aspect}: only ${side}: ${line}`),
          [],
        )
      })
    }
  }
  t.end()
})

test('every allowed difference is there', (t) => {
  t.same(allowance.listUnused(), [])
  t.end()
})
