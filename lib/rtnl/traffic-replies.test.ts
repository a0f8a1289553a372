import { test } from 'tap'
import { readFilter } from './filter.ts'
import { readQdisc } from './qdisc.ts'
import { FILTERS, QDISCS } from './traffic.fixture.ts'

test('readQdisc reads a bucket, also where its rate needs 64 bits', async (t) => {
  t.strictSame(readQdisc(QDISCS['tbf 10mbit']), {
    dev: 4,
    kind: 'tbf',
    parent: 'root',
    tbf: { rateBytesPerSecond: 1_250_000, limitBytes: 51_250, bufferTicks: 250_000 },
  })
  t.strictSame(readQdisc(QDISCS['tbf 40gbit']), {
    dev: 2,
    kind: 'tbf',
    parent: 'root',
    tbf: { rateBytesPerSecond: 5_000_000_000, limitBytes: 2_000_000, bufferTicks: 3124 },
  })
  t.strictSame(readQdisc(QDISCS.ingress), { dev: 4, kind: 'ingress', parent: 'ingress' })
})

test('readQdisc gives the handle of a parent, and nothing of what the kernel put there by itself', async (t) => {
  const inside = Uint8Array.from(QDISCS.ingress)
  inside.set([2, 0, 1, 0], 12)
  t.match(readQdisc(inside), { parent: 0x10002 })
  const own = Uint8Array.from(QDISCS.ingress)
  own.set([0, 0, 0, 0], 8)
  t.equal(readQdisc(own), undefined)
})

test('readFilter tells what takes every packet elsewhere from other filters', async (t) => {
  const read = Object.entries(FILTERS).map(([name, payload]) => [name, readFilter(payload)])
  t.strictSame(read, [
    ['head of the list', undefined],
    ['hash table', undefined],
    ['redirect', { dev: 4, kind: 'u32', to: 2 }],
    ['mirror of some', { dev: 4, kind: 'u32' }],
  ])
})
