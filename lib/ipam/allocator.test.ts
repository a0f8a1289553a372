// Cases follow upstream's allocator_test.go and host_local_test.go where our rules are the same.

import { test } from 'tap'

import { IpAddress } from '../ip/address.ts'
import { AllocationError } from './allocation-error.ts'
import { type Allocation, type AllocationRequest, allocate } from './allocator.ts'
import type { LeaseStore } from './lease-store.ts'
import { MemoryLeaseStore } from './lease-store-memory.ts'
import { parseRangeSets, type RangeSet, type RangesSource } from './range-set.ts'

/** A network with one store, in which the clock goes one millisecond further with each call. */
class Network {
  readonly store: LeaseStore = new MemoryLeaseStore('boot-1')
  sets: RangeSet[]
  nowMs = 1000

  constructor(source: RangesSource) {
    this.sets = parseRangeSets(source)
  }

  add(
    containerId: string,
    requested: readonly string[] = [],
    more: Partial<AllocationRequest> = {},
  ): Allocation[] {
    this.nowMs++
    const request = { network: 'n', containerId, ifname: 'eth0', sets: this.sets, nowMs: this.nowMs, ...more }
    return this.store.transaction((tx) =>
      allocate(tx, { ...request, requested: requested.map((text) => IpAddress.parse(text)) }),
    )
  }

  /** The addresses, or the message of the error. */
  tryAdd(containerId: string, requested: readonly string[] = []): string {
    try {
      return this.add(containerId, requested)
        .map(({ address }) => String(address))
        .join(' ')
    } catch (error) {
      if (!(error instanceof AllocationError)) throw error
      return `${error.code}: ${error.message}`
    }
  }

  del(containerId: string): void {
    this.nowMs++
    this.store.transaction((tx) => tx.release('n', { containerId, ifname: 'eth0' }, this.nowMs))
  }

  held(): string[] {
    return this.store.read((tx) => tx.listHeld('n').map((lease) => `${lease.address} ${lease.containerId}`))
  }
}

const EXHAUSTED = 'EEXHAUSTED: failed to allocate for range 0: no IP addresses available in range set:'

test('allocate hands addresses out in order, without gateway, network and broadcast address', async (t) => {
  for (const [source, expected] of [
    [{ subnet: '10.0.0.0/29' }, ['10.0.0.2/29', '10.0.0.3/29', '10.0.0.4/29', '10.0.0.5/29', '10.0.0.6/29']],
    [
      { subnet: '10.0.0.0/29', gateway: '10.0.0.6' },
      ['10.0.0.1/29', '10.0.0.2/29', '10.0.0.3/29', '10.0.0.4/29', '10.0.0.5/29'],
    ],
    [{ subnet: '10.0.0.0/29', rangeStart: '10.0.0.4', rangeEnd: '10.0.0.5' }, ['10.0.0.4/29', '10.0.0.5/29']],
    [{ subnet: '10.0.0.0/30' }, ['10.0.0.2/30']],
    [{ subnet: 'fd00::/126' }, ['fd00::2/126', 'fd00::3/126']],
    [{ subnet: '10.0.0.0/29', exclude: ['10.0.0.2', '10.0.0.4/31'] }, ['10.0.0.3/29', '10.0.0.6/29']],
    [{ subnet: '10.0.0.4/31' }, ['10.0.0.4/31', '10.0.0.5/31']],
    [{ subnet: '10.0.0.4/31', gateway: '10.0.0.4' }, ['10.0.0.5/31']],
    [{ subnet: '10.0.0.4/32' }, ['10.0.0.4/32']],
    [{ subnet: 'fd00::/127' }, ['fd00::/127', 'fd00::1/127']],
    [
      { subnet: 'ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff/128' },
      ['ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff/128'],
    ],
  ] as [RangesSource, string[]][]) {
    const network = new Network(source)
    const got = expected.map((_, i) => network.tryAdd(`c${i}`))
    t.same(got, expected, JSON.stringify(source))
    t.match(network.tryAdd('one too many'), EXHAUSTED)
  }
})

test('allocate gives the gateway of the range, and none where there is none', async (t) => {
  t.equal(String(new Network({ subnet: '10.0.0.0/24' }).add('c')[0]?.gateway), '10.0.0.1')
  t.equal(new Network({ subnet: '10.0.0.0/31' }).add('c')[0]?.gateway, undefined)
})

test('allocate goes on where it was, and reuses what has been free longest only after that', async (t) => {
  const network = new Network({ subnet: '10.0.0.0/29' })
  network.add('c1')
  network.add('c2')
  network.del('c2')
  network.del('c1')
  const got = ['c3', 'c4', 'c5', 'c6', 'c7', 'c8'].map((id) => network.tryAdd(id))
  t.same(got.slice(0, 3), ['10.0.0.4/29', '10.0.0.5/29', '10.0.0.6/29'], 'never used')
  t.same(got.slice(3, 5), ['10.0.0.3/29', '10.0.0.2/29'], 'in the order of their release')
  t.match(got[5], EXHAUSTED)
})

test('allocate goes on in the next range of a set when one is used up', async (t) => {
  const network = new Network({ ranges: [[{ subnet: '10.1.0.0/30' }, { subnet: '10.2.0.0/30' }]] })
  t.equal(network.tryAdd('c1'), '10.1.0.2/30')
  network.del('c1')
  t.equal(network.tryAdd('c2'), '10.2.0.2/30', 'never used comes before free')
  t.equal(network.tryAdd('c3'), '10.1.0.2/30')
  network.del('c2')
  network.del('c3')
  t.equal(network.tryAdd('c4'), '10.2.0.2/30', 'longest free of all ranges')
})

test('allocate takes one address of each set', async (t) => {
  const network = new Network({
    ranges: [[{ subnet: '10.1.0.0/24' }], [{ subnet: 'fd00::/64' }], [{ subnet: '10.2.0.0/24' }]],
  })
  t.equal(network.tryAdd('c1'), '10.1.0.2/24 fd00::2/64 10.2.0.2/24')
  t.equal(network.tryAdd('c2'), '10.1.0.3/24 fd00::3/64 10.2.0.3/24')
})

test('allocate takes nothing when one set has nothing', async (t) => {
  const network = new Network({ ranges: [[{ subnet: '10.1.0.0/24' }], [{ subnet: 'fd00::/126' }]] })
  network.add('c1')
  network.add('c2')
  t.equal(
    network.tryAdd('c3'),
    'EEXHAUSTED: failed to allocate for range 1: no IP addresses available in range set: fd00::1-fd00::3',
  )
  t.same(network.held(), ['10.1.0.2 c1', '10.1.0.3 c2', 'fd00::2 c1', 'fd00::3 c2'])
  network.del('c1')
  t.equal(network.tryAdd('c3'), '10.1.0.4/24 fd00::2/126')
})

test('allocate refuses an attachment that has an address, and leaves it that', async (t) => {
  const network = new Network({ ranges: [[{ subnet: '10.1.0.0/24' }], [{ subnet: '10.2.0.0/24' }]] })
  const refused =
    'EDUPLICATE: failed to allocate for range 0: 10.1.0.2 has been allocated to c1, duplicate allocation is not allowed'
  network.add('c1')
  t.equal(network.tryAdd('c1'), refused)
  t.equal(network.tryAdd('c1', ['10.1.0.9']), refused, 'also when it asks for another')
  t.same(network.held(), ['10.1.0.2 c1', '10.2.0.2 c1'])
})

test('allocate takes another interface and another network for another attachment', async (t) => {
  const network = new Network({ subnet: '10.1.0.0/24' })
  network.add('c1')
  t.equal(String(network.add('c1', [], { ifname: 'net1' })[0]?.address), '10.1.0.3/24')
  t.equal(String(network.add('c1', [], { network: 'other' })[0]?.address), '10.1.0.2/24')
})

test('allocate gives requested addresses', async (t) => {
  const network = new Network({
    ranges: [[{ subnet: '10.1.0.0/24' }, { subnet: '10.2.0.0/24' }], [{ subnet: 'fd00::/64' }]],
  })
  for (const [requested, expected] of [
    [['10.1.0.9'], '10.1.0.9/24 fd00::2/64'],
    [['10.2.0.9'], '10.2.0.9/24 fd00::3/64'],
    [['fd00::99', '10.1.0.10'], '10.1.0.10/24 fd00::99/64'],
    [['10.1.0.11', '10.1.0.11'], '10.1.0.11/24 fd00::4/64'],
  ] as const) {
    t.equal(network.tryAdd(requested.join(), requested), expected)
  }
})

test('allocate refuses requested addresses', async (t) => {
  const network = new Network({
    ranges: [
      [{ subnet: '10.1.0.0/24', rangeStart: '10.1.0.1', rangeEnd: '10.1.0.20', exclude: ['10.1.0.7'] }],
    ],
  })
  network.add('c1', ['10.1.0.5'], { podNamespace: 'default', podName: 'web-0' })
  const failed = 'failed to allocate for range 0: '
  for (const [requested, expected] of [
    [['10.1.0.1'], `EGATEWAY: ${failed}requested ip 10.1.0.1 is subnet's gateway`],
    [
      ['10.1.0.5'],
      `ENOTAVAILABLE: ${failed}requested IP address 10.1.0.5 is not available in range set 10.1.0.1-10.1.0.20`,
    ],
    [
      ['10.1.0.7'],
      `ENOTAVAILABLE: ${failed}requested IP address 10.1.0.7 is not available in range set 10.1.0.1-10.1.0.20`,
    ],
    [['10.1.0.21'], 'ENOTINRANGE: failed to allocate all requested IPs: 10.1.0.21'],
    [['10.1.0.0'], 'ENOTINRANGE: failed to allocate all requested IPs: 10.1.0.0'],
    [
      ['10.1.0.8', '10.1.0.9', 'fd00::1'],
      'ENOTINRANGE: failed to allocate all requested IPs: 10.1.0.9 fd00::1',
    ],
  ] as const) {
    t.equal(network.tryAdd('c2', requested), expected)
  }
  t.same(network.held(), ['10.1.0.5 c1'])
  t.throws(() => network.add('c2', ['10.1.0.5']), {
    code: 'ENOTAVAILABLE',
    details: '10.1.0.5 held by pod default/web-0 (container c1, eth0) since 1970-01-01T00:00:01.001Z',
  })
})

test('allocate steps over addresses that were requested', async (t) => {
  const network = new Network({ subnet: '10.0.0.0/29' })
  network.add('a', ['10.0.0.3'])
  network.add('b', ['10.0.0.2'])
  network.del('b')
  t.equal(network.tryAdd('c'), '10.0.0.4/29')
  t.equal(network.tryAdd('d', ['10.0.0.2']), '10.0.0.2/29', 'a free one can be requested')
})

test('allocate finds unused addresses behind many that are used', async (t) => {
  const network = new Network({ subnet: '10.0.0.0/22', exclude: ['10.0.0.150-10.0.0.170', '10.0.0.194'] })
  for (let i = 2; i < 194; i++) if (i < 150 || i > 170) network.add(`c${i}`, [`10.0.0.${i}`])
  t.equal(network.tryAdd('next'), '10.0.0.195/22')
})

test('allocate never gives out the gateway of another range', async (t) => {
  const network = new Network({
    ranges: [
      [
        { subnet: '10.0.0.0/24', rangeStart: '10.0.0.10', rangeEnd: '10.0.0.10' },
        { subnet: '10.0.0.0/24', rangeStart: '10.0.0.1', rangeEnd: '10.0.0.2', gateway: '10.0.0.254' },
      ],
    ],
  })
  t.same(
    ['a', 'b'].map((id) => network.tryAdd(id)),
    ['10.0.0.10/24', '10.0.0.2/24'],
  )
  t.match(network.tryAdd('c'), EXHAUSTED)
})

test('allocate says how full the network is and who holds addresses longest', async (t) => {
  const network = new Network({ subnet: '10.0.0.0/29' })
  network.add('c1', [], { podNamespace: 'default', podName: 'web-0' })
  for (const id of ['c2', 'c3', 'c4', 'c5']) network.add(id)
  t.throws(() => network.add('c6'), {
    code: 'EEXHAUSTED',
    message: 'failed to allocate for range 0: no IP addresses available in range set: 10.0.0.1-10.0.0.6',
    details:
      '5 of 5 addresses of network "n" are in use; the oldest: ' +
      '10.0.0.2 held by pod default/web-0 (container c1, eth0) since 1970-01-01T00:00:01.001Z, ' +
      '10.0.0.3 held by container c2, eth0 since 1970-01-01T00:00:01.002Z, ' +
      '10.0.0.4 held by container c3, eth0 since 1970-01-01T00:00:01.003Z; ' +
      'give back what containers that are gone still hold (CNI GC, podwire gc), or give the network a larger range',
  })
})

test('allocate uses a cooling address before it refuses a pod, and says so', async (t) => {
  const network = new Network({ subnet: '10.0.0.0/30' })
  const cooling = (nowMs: number) => network.add('c', [], { nowMs, coolDownMs: 30_000 })[0]?.cooling
  t.equal(cooling(5000), false, 'never used')
  for (const [releasedAtMs, nowMs, expected] of [
    [10_000, 20_000, true],
    [30_000, 60_000, false],
  ] as const) {
    network.store.transaction((tx) => tx.release('n', { containerId: 'c', ifname: 'eth0' }, releasedAtMs))
    t.equal(cooling(nowMs), expected)
  }
})

test('allocate finds every address again when the configuration changes', async (t) => {
  const network = new Network({ subnet: '10.0.0.0/29', exclude: ['10.0.0.3'] })
  t.same(
    ['a', 'b'].map((id) => network.tryAdd(id)),
    ['10.0.0.2/29', '10.0.0.4/29'],
  )
  network.del('b')
  network.sets = parseRangeSets({ subnet: '10.0.0.0/29', exclude: ['10.0.0.4'] })
  t.same(
    ['c', 'd', 'e'].map((id) => network.tryAdd(id)),
    ['10.0.0.3/29', '10.0.0.5/29', '10.0.0.6/29'],
    'no longer excluded',
  )
  t.match(network.tryAdd('f'), EXHAUSTED, 'free, but excluded')
  network.sets = parseRangeSets({ subnet: '10.0.0.0/29' })
  t.equal(network.tryAdd('f'), '10.0.0.4/29')
})

test('allocate shares a range between configurations that cut it differently', async (t) => {
  const network = new Network({ subnet: '10.0.0.0/29' })
  for (const id of ['a', 'b', 'c', 'd', 'e']) network.add(id)
  const whole = network.sets
  network.sets = parseRangeSets({ subnet: '10.0.0.0/29', rangeEnd: '10.0.0.4' })
  t.match(network.tryAdd('f'), EXHAUSTED)
  network.del('a')
  network.sets = whole
  t.equal(network.tryAdd('f'), '10.0.0.2/29')
})

test('allocate finds addresses again that another configuration has taken and left', async (t) => {
  const source = { subnet: '10.1.0.0/24', rangeStart: '10.1.0.2', rangeEnd: '10.1.0.3' }
  const network = new Network(source)
  for (const id of ['a', 'b']) network.add(id)
  for (const id of ['a', 'b']) network.del(id)
  network.sets = parseRangeSets({ subnet: '10.1.0.0/24' })
  t.equal(network.tryAdd('x'), '10.1.0.4/24')
  network.sets = parseRangeSets(source)
  t.equal(network.tryAdd('c'), '10.1.0.2/24')
})

test('allocate does not remember all addresses that a huge range has used', async (t) => {
  const day = 86_400_000
  for (const [coolDownMs, expected] of [
    [0, ['fd00::14', 'fd00::15']], // those released within a day, and the last
    [2 * day, ['fd00::13', 'fd00::14', 'fd00::15']],
  ] as const) {
    const network = new Network({ subnet: 'fd00::/64' })
    for (let i = 0; i < 20; i++) {
      network.add(`c${i}`, [], { nowMs: i * day, coolDownMs })
      network.store.transaction((tx) => tx.release('n', { containerId: `c${i}`, ifname: 'eth0' }, i * day))
    }
    const used = network.store.transaction((tx) => {
      const [range] = network.sets.flat()
      return range ? tx.listUsed('n', range, 100).map(String) : []
    })
    t.same(used, expected, `cool-down of ${coolDownMs / day} days`)
    t.equal(network.tryAdd('next'), 'fd00::16/64')
  }
})

const WEB = { podNamespace: 'default', podName: 'web-0', sticky: true }

test('allocate gives a pod the addresses that the last one of its name had', async (t) => {
  const network = new Network({ ranges: [[{ subnet: '10.0.0.0/24' }], [{ subnet: 'fd00::/64' }]] })
  const add = (id: string, more: Partial<AllocationRequest> = {}, requested: string[] = []) =>
    network
      .add(id, requested, { ...WEB, ...more })
      .map(({ address }) => String(address))
      .join(' ')
  t.equal(add('c1'), '10.0.0.2/24 fd00::2/64')
  t.equal(add('c1', { ifname: 'net1' }), '10.0.0.3/24 fd00::3/64', 'each interface its own')
  network.del('c1')
  t.equal(add('c2'), '10.0.0.2/24 fd00::2/64')
  t.equal(add('c3'), '10.0.0.4/24 fd00::4/64', 'not free')
  network.del('c2')
  network.del('c3')
  t.equal(add('c4'), '10.0.0.4/24 fd00::4/64', 'those it had last')
  network.del('c4')
  t.equal(add('c5', { podNamespace: 'other' }), '10.0.0.5/24 fd00::5/64')
  t.equal(add('c6', { sticky: false }), '10.0.0.6/24 fd00::6/64')
  t.equal(add('c7', {}, ['10.0.0.77']), '10.0.0.77/24 fd00::4/64', 'what is requested comes first')
})

test('allocate keeps no address for a pod, and gives none that is not for pods any more', async (t) => {
  const network = new Network({ subnet: '10.0.0.0/30' })
  network.add('c1', [], WEB)
  network.del('c1')
  t.equal(network.tryAdd('other'), '10.0.0.2/30')
  t.throws(() => network.add('c2', [], WEB), { code: 'EEXHAUSTED' })
  network.del('other')
  for (const source of [
    { subnet: '10.0.0.0/30', gateway: '10.0.0.2' },
    { subnet: '10.0.0.0/30', exclude: ['10.0.0.2'], gateway: '10.0.0.3' },
  ]) {
    network.sets = parseRangeSets(source)
    t.equal(String(network.add('c2', [], WEB)[0]?.address), '10.0.0.1/30')
    network.del('c2')
    network.store.transaction((tx) =>
      tx.remember({ network: 'n', podNamespace: 'default', podName: 'web-0', ifname: 'eth0' }, [
        IpAddress.parse('10.0.0.2'),
      ]),
    )
  }
})

test('allocate remembers nothing for a pod without a name', async (t) => {
  const network = new Network({ subnet: '10.0.0.0/24' })
  network.add('c1', [], { sticky: true })
  network.del('c1')
  t.equal(String(network.add('c2', [], { sticky: true })[0]?.address), '10.0.0.3/24')
})

test('allocate refuses an attachment whose lease names no interface', async (t) => {
  const network = new Network({ subnet: '10.0.0.0/24' })
  network.add('c1', [], { ifname: '' })
  t.match(network.tryAdd('c1'), /^EDUPLICATE: .*10\.0\.0\.2 has been allocated to c1/)
})
