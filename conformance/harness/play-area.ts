// A test file per area: every case is played by ours and its outcome compared with the text that is committed.

import { t as root, type Test, test } from 'tap'
import { AREAS, type Area } from '../areas.ts'
import { type Case, formatOutcome, type Outcome, play } from './case.ts'
import { podwire } from './contestant.ts'
import { isUpdate, readExpected, writeExpected } from './expected.ts'

/** Two at a time: a play mostly waits for the processes that it started. */
const JOBS = 2
/** Of a file of tests; only a hang, never a slow machine, is to end it. */
export const DEADLINE_MS = 600_000

export function playArea(area: Area): void {
  const cases: readonly Case[] = AREAS[area]
  const titles = cases.map(({ title }) => title)
  const expected = readExpected(area)
  const outcomes = new Map<string, string>()
  root.setTimeout(DEADLINE_MS)
  root.jobs = JOBS
  for (const one of cases) {
    test(one.title, { timeout: DEADLINE_MS }, async (t) => {
      const outcome = await play(one, podwire)
      judge(t, outcome, { outcomes, title: one.title, expected: expected.get(one.title) })
    })
  }
  if (isUpdate) {
    root.teardown(() =>
      writeExpected(area, new Map(titles.map((title) => [title, outcomes.get(title) ?? '']))),
    )
  } else {
    test(`every expected outcome of ${area} is of a case`, (t) => {
      t.same([...expected.keys()], titles)
      t.end()
    })
  }
}

function judge(
  t: Test,
  outcome: Outcome,
  {
    outcomes,
    title,
    expected,
  }: { outcomes: Map<string, string>; title: string; expected: string | undefined },
): void {
  const text = formatOutcome(outcome)
  outcomes.set(title, text)
  t.same(outcome.faults, [], 'nothing is left and every answer is well-formed')
  if (!isUpdate) t.equal(text, expected, 'the outcome is as expected')
}
