// A test file per area: every case is played by ours and its outcome compared with the text that is committed.

import { t as root, type Test, test } from 'tap'
import { AREAS, type Area } from '../areas.ts'
import { type Case, formatOutcome, type Outcome, play, skipOf } from './case.ts'
import { podwire } from './contestant.ts'
import { shimmed } from './daemon.ts'
import { isUpdate, readOutcomes, writeOutcomes } from './expected.ts'

/** Two at a time: a play mostly waits for the processes that it started. */
const JOBS = 2
/** Of a file of tests; only a hang, never a slow machine, is to end it. */
export const DEADLINE_MS = 1_800_000

/** The same cases by the same texts, by plugins that ask a daemon: it makes no difference. */
export function playWithDaemon(...areas: readonly Area[]): void {
  root.setTimeout(DEADLINE_MS)
  root.jobs = JOBS
  for (const area of areas) {
    const expected = readOutcomes('expected', area)
    for (const one of AREAS[area] as readonly Case[]) {
      test(one.title, { timeout: DEADLINE_MS, skip: skipOf(one) }, async (t) => {
        const outcome = await play(one, shimmed())
        judge(t, outcome, { outcomes: new Map(), one, expected: expected.get(one.title) })
      })
    }
  }
}

export function playArea(area: Area): void {
  const cases: readonly Case[] = AREAS[area]
  const titles = cases.map(({ title }) => title)
  const expected = readOutcomes('expected', area)
  const outcomes = new Map<string, string>()
  root.setTimeout(DEADLINE_MS)
  root.jobs = JOBS
  for (const one of cases) {
    test(one.title, { timeout: DEADLINE_MS, skip: skipOf(one) }, async (t) => {
      const outcome = await play(one, podwire)
      judge(t, outcome, { outcomes, one, expected: expected.get(one.title) })
    })
  }
  if (isUpdate) {
    root.teardown(() =>
      writeOutcomes('expected', area, new Map(cases.flatMap((one) => textOf(one, { outcomes, expected })))),
    )
  } else {
    test(`every expected outcome of ${area} is of a case`, (t) => {
      const missing = cases.filter(({ title, needs }) => !needs && !expected.has(title))
      t.same(
        [...expected.keys()],
        titles.filter((title) => expected.has(title)),
      )
      t.same(missing, [])
      t.end()
    })
  }
}

type Texts = ReadonlyMap<string, string>

/** A case that was skipped keeps its text, if it has one. */
function textOf(
  { title, needs }: Case,
  { outcomes, expected }: { outcomes: Texts; expected: Texts },
): [string, string][] {
  const text = outcomes.get(title) ?? (needs ? expected.get(title) : '')
  return text === undefined ? [] : [[title, text]]
}

interface Judging {
  readonly outcomes: Map<string, string>
  readonly one: Case
  readonly expected: string | undefined
}

function judge(t: Test, outcome: Outcome, { outcomes, one, expected }: Judging): void {
  const text = formatOutcome(outcome)
  outcomes.set(one.title, text)
  t.same(outcome.faults, [], 'nothing is left and every answer is well-formed')
  const isBound = expected !== undefined || one.needs === undefined
  if (!isUpdate && isBound) t.equal(text, expected, 'the outcome is as expected')
}
