import { test } from 'tap'
import { formatJson } from './compact-json.ts'

test('formatJson puts what is short into one line, and what is long into several', async (t) => {
  const value = { a: [[{ b: 'c' }], []], d: {}, e: null, f: ['x'.repeat(80), 2], g: true }
  t.equal(
    formatJson(value),
    `{
  "a": [[{ "b": "c" }], []],
  "d": {},
  "e": null,
  "f": [
    "${'x'.repeat(80)}",
    2
  ],
  "g": true
}`,
  )
  t.same(JSON.parse(formatJson(value)), value)
})
