import { test } from 'tap'
import { AREAS } from './areas.ts'
import { RANGE_ROWS } from './cases/bad-input-ranges.ts'
import { ENVIRONMENT_ROWS, FIELD_ROWS, STDIN_ROWS } from './cases/bad-input-rows.ts'
import type { Case } from './harness/case.ts'
import { TITLES } from './titles.ts'

const CASES: readonly string[] = Object.values(AREAS).flatMap((cases: readonly Case[]) =>
  cases.map(({ title }) => title),
)
const ROWS = [...ENVIRONMENT_ROWS, ...STDIN_ROWS, ...FIELD_ROWS, ...RANGE_ROWS].map(({ what }) => what)

test('every title that is replayed names a case or a row that is there', (t) => {
  const replayed = TITLES.filter(({ status }) => status === 'replayed').flatMap(({ by }) => by)
  t.ok(replayed.length > 0)
  t.same(
    replayed.filter((name) => !CASES.includes(name) && !ROWS.includes(name)),
    [],
  )
  t.end()
})

test('titles of cases are unique, and so are upstream’s', (t) => {
  t.same(CASES.length, new Set(CASES).size)
  t.same(TITLES.length, new Set(TITLES.map(({ suite, title }) => `${suite}: ${title}`)).size)
  t.end()
})
