import { test } from 'tap'
import { Histogram, Tally } from './tally.ts'

test('a tally counts by labels, and the rest as other when there are too many', (t) => {
  const tally = new Tally()
  for (const labels of [
    ['a', 'b'],
    ['a', 'c'],
    ['a', 'b'],
  ])
    tally.add(...labels)
  t.strictSame(tally.samples, [
    { labels: ['a', 'b'], value: 2 },
    { labels: ['a', 'c'], value: 1 },
  ])
  for (let i = 0; i < 200; i++) tally.add(`${i}`, 'x')
  t.equal(tally.samples.length, 101)
  t.strictSame(tally.samples.at(-1), { labels: ['other', 'other'], value: 102 })
  t.end()
})

test('a histogram has each measure in one bucket: the first whose bound it does not exceed', (t) => {
  const histogram = new Histogram([1, 10])
  t.strictSame(histogram.data, { bounds: [0.001, 0.01], counts: [0, 0, 0], sum: 0 })
  t.equal(histogram.boundMsOf(0.5), undefined, 'of none')
  for (const ms of [0, 1, 1.5, 10]) histogram.add(ms)
  t.equal(histogram.boundMsOf(0.5), 1)
  t.equal(histogram.boundMsOf(0.99), 10)
  histogram.add(20)
  t.strictSame(histogram.data, { bounds: [0.001, 0.01], counts: [2, 2, 1], sum: 0.0325 })
  t.equal(histogram.boundMsOf(0.99), undefined, 'beyond the last bound')
  t.equal(histogram.maxMs, 20)
  t.end()
})
