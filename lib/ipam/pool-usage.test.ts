import { test } from 'tap'

import { allocate } from './allocator.ts'
import { describeLease } from './exhaustion.ts'
import type { LeaseTx } from './lease-store.ts'
import { MemoryLeaseStore } from './lease-store-memory.ts'
import { listPoolUsage } from './pool-usage.ts'
import { parsePoolKey, parseRange, poolKey } from './range.ts'
import { parseRangeSets } from './range-set.ts'

const lease = (tx: LeaseTx, containerId: string, { sets, nowMs = 1, network = 'net' }: Wanted) =>
  allocate(tx, { network, containerId, ifname: 'eth0', sets, nowMs })

interface Wanted {
  readonly sets: ReturnType<typeof parseRangeSets>
  readonly nowMs?: number
  readonly network?: string
}

const describe = (store: MemoryLeaseStore) =>
  store
    .read(listPoolUsage)
    .map(
      ({ network, setIndex, range, used, total, oldest }) =>
        `${network} ${setIndex} ${range}: ${used} of ${total}, ${oldest && describeLease(oldest)}`,
    )

test('the usage of pools is told by network and range, with the oldest holder', (t) => {
  const store = new MemoryLeaseStore('boot-1')
  const sets = parseRangeSets({ ranges: [[{ subnet: '10.1.0.0/29' }], [{ subnet: 'fd00::/64' }]] })
  store.transaction((tx) => {
    lease(tx, 'b', { sets, nowMs: 2000 })
    lease(tx, 'a', { sets, nowMs: 1000 })
    lease(tx, 'c', { sets: parseRangeSets({ subnet: '10.2.0.0/30' }), network: 'alpha' })
  })
  t.strictSame(describe(store), [
    'alpha 0 10.2.0.1-10.2.0.2: 1 of 1, 10.2.0.2 held by container c, eth0 since 1970-01-01T00:00:00.001Z',
    'net 0 10.1.0.1-10.1.0.6: 2 of 5, 10.1.0.3 held by container a, eth0 since 1970-01-01T00:00:01.000Z',
    'net 1 fd00::1-fd00::ffff:ffff:ffff:ffff: 2 of 18446744073709551614, fd00::3 held by container a, eth0 since 1970-01-01T00:00:01.000Z',
  ])
  t.end()
})

test('a range that was configured anew is told as it is now', (t) => {
  const store = new MemoryLeaseStore('boot-1')
  const before = parseRangeSets({ subnet: '10.1.0.0/29' })
  const after = parseRangeSets({ subnet: '10.1.0.0/29', gateway: '10.1.0.6', exclude: ['10.1.0.1'] })
  store.transaction((tx) => lease(tx, 'a', { sets: before }))
  store.transaction((tx) => lease(tx, 'b', { sets: after }))
  t.match(describe(store), [/^net 0 10\.1\.0\.1-10\.1\.0\.6: 2 of 4, 10\.1\.0\.2 held by container a/])
  t.equal(describe(store).length, 1)
  t.end()
})

test('a range that was changed and changed back is told as it was', (t) => {
  const store = new MemoryLeaseStore('boot-1')
  const before = parseRangeSets({ subnet: '10.1.0.0/24' })
  const after = parseRangeSets({ subnet: '10.1.0.128/25' })
  store.transaction((tx) => lease(tx, 'a', { sets: before, nowMs: 1 }))
  store.transaction((tx) => lease(tx, 'b', { sets: after, nowMs: 2 }))
  t.match(describe(store), [/^net 0 10\.1\.0\.129-10\.1\.0\.254: 1 of 125/])
  store.transaction((tx) => lease(tx, 'c', { sets: before, nowMs: 3 }))
  t.match(describe(store), [/^net 0 10\.1\.0\.1-10\.1\.0\.254: 3 of 253/])
  t.equal(describe(store).length, 1)
  t.end()
})

test('what a pool is known by can be read again', (t) => {
  const range = parseRange({ subnet: '10.1.0.0/24', exclude: ['10.1.0.8/30', '10.1.0.20'] })
  const { start, end, reserved } = range
  t.equal(poolKey(range), '10.1.0.1-10.1.0.254 except 10.1.0.8-10.1.0.11 except 10.1.0.20-10.1.0.20')
  t.strictSame(parsePoolKey(poolKey(range)), { start, end, reserved })
  t.end()
})
