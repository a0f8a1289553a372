import { test } from 'tap'
import { KnownRules } from './known-rules.ts'

test('KnownRules forgets the rules of every table when one is read in another generation', async (t) => {
  const known = new KnownRules()
  known.keep('bridge podwire', [], 5)
  known.keep('inet podwire', [], 7)
  t.same(known.find('inet podwire', 7), [])
  t.equal(known.find('bridge podwire', 7), undefined)
})

test('KnownRules keeps the rules of several tables that were read in one generation', async (t) => {
  const known = new KnownRules()
  known.keep('bridge podwire', [], 5)
  known.keep('inet podwire', [], 5)
  t.same(known.find('bridge podwire', 5), [])
  t.equal(known.find('bridge podwire', 6), undefined)
})
