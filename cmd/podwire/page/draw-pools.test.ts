import { test } from 'tap'
import { allocate } from '../../../lib/ipam/allocator.ts'
import { MemoryLeaseStore } from '../../../lib/ipam/lease-store-memory.ts'
import { parseRangeSets } from '../../../lib/ipam/range-set.ts'
import { drawPoolsOf } from './draw-pools.ts'
import type { PicturePool, Square } from './picture.ts'

type Ranges = Parameters<typeof parseRangeSets>[0]

/** Pools from which containers have got addresses, and given some back. */
function draw(ranges: Ranges, { held = [] as string[], released = [] as string[] }): PicturePool[] {
  const store = new MemoryLeaseStore('boot-1')
  store.transaction((tx) => {
    const sets = parseRangeSets(ranges)
    const network = 'net'
    for (const containerId of [...held, ...released])
      allocate(tx, { network, containerId, ifname: 'eth0', sets, nowMs: 1 })
    for (const containerId of released) tx.release(network, { containerId, ifname: 'eth0' }, 2)
  })
  return store.read((reader) =>
    drawPoolsOf(reader, new Map(held.map((id) => [`net ${id} eth0`, `${id}/eth0`]))),
  )
}

/** `#` held, `+` given back, `x` never handed out, `.` never used. */
function marks(squares: readonly Square[]): string {
  return squares
    .map(({ held, released, reserved }) => (held ? '#' : released ? '+' : reserved ? 'x' : '.'))
    .join('')
}

test('a range is drawn address by address, with whom each is held by', (t) => {
  const [pool, ...others] = draw(
    { subnet: '10.1.0.0/28', exclude: ['10.1.0.3', '10.1.0.8/30'] },
    { held: ['a', 'b'], released: ['c'] },
  )
  t.same(others, [])
  t.match(pool, {
    network: 'net',
    range: '10.1.0.1-10.1.0.14',
    used: 2,
    total: '8',
    perSquare: '1',
    rest: '0',
  })
  t.equal(marks(pool?.squares ?? []), 'x#x#+..xxxx...')
  t.same(pool?.squares[1], { first: '10.1.0.2', held: 1, released: 0, reserved: false, pod: 'a/eth0' })
  t.equal(pool?.squares[3]?.pod, 'b/eth0')
  t.end()
})

test('a large range is drawn as far as it was used, a /24’s worth at least', (t) => {
  const [pool] = draw({ subnet: 'fd00::/64' }, { held: ['a'] })
  t.match(pool, { perSquare: '1', rest: String(2n ** 64n - 1n - 256n), total: String(2n ** 64n - 2n) })
  t.equal(marks(pool?.squares ?? []), `x#${'.'.repeat(254)}`)
  const [more] = draw({ subnet: 'fd00::/64' }, { held: Array.from({ length: 300 }, (_, i) => `c${i}`) })
  t.equal(more?.squares.length, 512)
  t.end()
})

test('a large range that is used far out is drawn in larger squares', (t) => {
  const far = { subnet: '10.0.0.0/8', rangeStart: '10.0.0.1', exclude: ['10.0.0.2-10.0.15.255'] }
  const [pool] = draw(far, { held: ['a', 'b', 'c'] })
  t.match(pool, { perSquare: '8', used: 3 })
  t.equal(pool?.squares.length, 1024)
  t.same(
    pool?.squares.filter(({ held }) => held > 0),
    [
      { first: '10.0.15.249', held: 1, released: 0, reserved: false },
      { first: '10.0.16.1', held: 2, released: 0, reserved: false },
    ],
    'of eight addresses it is not said who holds them',
  )
  t.end()
})

test('a range that was configured anew is drawn with what it reserves now', (t) => {
  const store = new MemoryLeaseStore('boot-1')
  const lease = (containerId: string, ranges: Ranges) =>
    store.transaction((tx) =>
      allocate(tx, { network: 'net', containerId, ifname: 'eth0', sets: parseRangeSets(ranges), nowMs: 1 }),
    )
  lease('a', { subnet: '10.1.0.0/29' })
  lease('b', { subnet: '10.1.0.0/29', gateway: '10.1.0.6' })
  const [pool] = store.read((reader) => drawPoolsOf(reader, new Map()))
  t.equal(marks(pool?.squares ?? []), '##...x')
  t.end()
})
