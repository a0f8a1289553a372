import { test } from 'tap'

import { IpAddress } from '../ip/address.ts'
import { allocate } from './allocator.ts'
import { describeLease, hasFree, usageOf } from './exhaustion.ts'
import type { LeaseTx } from './lease-store.ts'
import { MemoryLeaseStore } from './lease-store-memory.ts'
import { parseRangeSets } from './range-set.ts'

const sets = parseRangeSets({ subnet: '10.1.0.0/28', rangeEnd: '10.1.0.7', exclude: ['10.1.0.5'] })
const [set = []] = sets
const TOTAL = 5

function add(tx: LeaseTx, containerId: string, requested: string[] = []): void {
  const request = { network: 'n', containerId, ifname: 'eth0', sets, nowMs: 1 }
  allocate(tx, { ...request, requested: requested.map((text) => IpAddress.parse(text)) })
}

function del(tx: LeaseTx, containerId: string): void {
  tx.release('n', { containerId, ifname: 'eth0' }, 2)
}

/** What a set can come to, each with how many of its addresses are then free. */
const HISTORIES: [what: string, free: number, history: (tx: LeaseTx) => void][] = [
  ['nothing yet', 5, () => undefined],
  ['one in order', 4, (tx) => add(tx, 'a')],
  ['one requested', 4, (tx) => add(tx, 'a', ['10.1.0.6'])],
  [
    'one requested beyond one in order',
    3,
    (tx) => {
      add(tx, 'a')
      add(tx, 'b', ['10.1.0.6'])
    },
  ],
  [
    'one that came back beyond',
    4,
    (tx) => {
      add(tx, 'a')
      add(tx, 'b', ['10.1.0.6'])
      del(tx, 'b')
    },
  ],
  [
    'one that came back behind',
    4,
    (tx) => {
      add(tx, 'a')
      add(tx, 'b')
      del(tx, 'a')
    },
  ],
  [
    'all',
    0,
    (tx) => {
      for (const id of ['a', 'b', 'c', 'd', 'e']) add(tx, id)
    },
  ],
  [
    'all, and two came back',
    2,
    (tx) => {
      for (const id of ['a', 'b', 'c', 'd', 'e']) add(tx, id)
      del(tx, 'b')
      del(tx, 'e')
    },
  ],
]

test('hasFree answers as counting does', async (t) => {
  for (const [what, free, history] of HISTORIES) {
    const store = new MemoryLeaseStore('boot-1')
    store.transaction(history)
    store.read((tx) => {
      const { used, total } = usageOf(tx, 'n', set)
      t.equal(total - BigInt(used), BigInt(free), what)
      for (let atLeast = 0; atLeast <= TOTAL + 1; atLeast++) {
        t.equal(hasFree(tx, 'n', { set, atLeast }), free >= atLeast, `${what}: at least ${atLeast}`)
      }
    })
  }
})

test('hasFree counts all ranges of a set', async (t) => {
  const [both = []] = parseRangeSets({ ranges: [[{ subnet: '10.1.0.0/30' }, { subnet: '10.2.0.0/30' }]] })
  const store = new MemoryLeaseStore('boot-1')
  for (const [containerId, free] of [
    ['a', 1],
    ['b', 0],
  ] as const) {
    const request = { network: 'n', containerId, ifname: 'eth0', sets: [both], nowMs: 1 }
    store.transaction((tx) => allocate(tx, request))
    store.read((tx) => {
      t.equal(hasFree(tx, 'n', { set: both, atLeast: 1 }), free >= 1, containerId)
      t.notOk(hasFree(tx, 'n', { set: both, atLeast: 2 }))
    })
  }
})

test('hasFree does not count an address that was excluded since', async (t) => {
  const store = new MemoryLeaseStore('boot-1')
  store.transaction((tx) => {
    for (const id of ['a', 'b', 'c', 'd', 'e']) add(tx, id)
    del(tx, 'b')
  })
  store.transaction((tx) => tx.release('n', { containerId: 'a', ifname: 'eth0' }, 3))
  const [now = []] = parseRangeSets({
    subnet: '10.1.0.0/28',
    rangeEnd: '10.1.0.7',
    exclude: ['10.1.0.5', '10.1.0.2'],
  })
  const request = { network: 'n', containerId: 'f', ifname: 'eth0', sets: [now], nowMs: 4 }
  t.equal(String(store.transaction((tx) => allocate(tx, request))[0]?.address), '10.1.0.3/28')
  store.transaction((tx) => {
    t.same(tx.find('n', IpAddress.parse('10.1.0.2'))?.releasedAtMs, 3, 'free')
    t.notOk(hasFree(tx, 'n', { set: now, atLeast: 1 }), 'but excluded')
  })
})

test('describeLease names the pod, with its namespace where it has one', (t) => {
  const address = IpAddress.parse('10.1.0.2')
  const lease = { network: 'n', address, containerId: 'c1', ifname: 'eth0', acquiredAtMs: 0, bootId: 'b' }
  const holderOf = (pod: object) => / held by (.*) since /.exec(describeLease({ ...lease, ...pod }))?.[1]
  t.same([{}, { podName: 'd1' }, { podNamespace: 'default', podName: 'd1' }].map(holderOf), [
    'container c1, eth0',
    'pod d1 (container c1, eth0)',
    'pod default/d1 (container c1, eth0)',
  ])
  t.end()
})
