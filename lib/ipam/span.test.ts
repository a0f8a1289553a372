import { test } from 'tap'

import { IpAddress } from '../ip/address.ts'
import { clipSpans, formatSpan, parseSpan, sizeOf, spanContains, spansOverlap } from './span.ts'

test('parseSpan reads addresses, prefixes and ranges', async (t) => {
  for (const [text, span, size] of [
    ['10.1.0.7', '10.1.0.7-10.1.0.7', 1n],
    ['10.1.0.0/30', '10.1.0.0-10.1.0.3', 4n],
    ['10.1.0.7/30', '10.1.0.4-10.1.0.7', 4n],
    ['10.1.0.7-10.1.0.9', '10.1.0.7-10.1.0.9', 3n],
    ['10.1.0.7 - 10.1.0.9', '10.1.0.7-10.1.0.9', 3n],
    ['fd00::/64', 'fd00::-fd00::ffff:ffff:ffff:ffff', 1n << 64n],
  ] as const) {
    const parsed = parseSpan(text)
    t.equal(formatSpan(parsed), span)
    t.equal(sizeOf(parsed), size)
  }
})

test('parseSpan refuses what is no run of addresses', async (t) => {
  for (const text of ['', '10.1.0.9-10.1.0.7', '10.1.0.1-fd00::1', '10.1.0.1-', '1-2-3', '10.1.0.0/33']) {
    t.throws(() => parseSpan(text), text)
  }
})

test('spans contain and overlap with both ends included', async (t) => {
  const span = parseSpan('10.1.0.4-10.1.0.8')
  for (const [text, expected] of [
    ['10.1.0.3', false],
    ['10.1.0.4', true],
    ['10.1.0.8', true],
    ['10.1.0.9', false],
    ['::a01:4', false],
  ] as const) {
    t.equal(spanContains(span, IpAddress.parse(text)), expected, text)
    t.equal(spansOverlap(span, parseSpan(text)), expected, text)
  }
  t.ok(spansOverlap(span, parseSpan('10.1.0.0/16')))
  t.ok(spansOverlap(parseSpan('10.1.0.0/16'), span))
})

test('clipSpans orders, cuts and joins', async (t) => {
  const texts = [
    '10.1.0.9',
    '10.1.0.2-10.1.0.4',
    '10.1.0.0-10.1.0.1',
    '10.1.0.5',
    '10.1.0.8-10.1.0.99',
    '::1',
  ]
  const clipped = clipSpans(texts.map(parseSpan), parseSpan('10.1.0.1-10.1.0.10'))
  t.same(clipped.map(formatSpan), ['10.1.0.1-10.1.0.5', '10.1.0.8-10.1.0.10'])
})
