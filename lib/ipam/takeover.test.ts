import { test } from 'tap'

import { IpAddress } from '../ip/address.ts'
import { allocate } from './allocator.ts'
import type { LeaseTx } from './lease-store.ts'
import { LeaseMemory, MemoryLeaseStore } from './lease-store-memory.ts'
import { parseRangeSets } from './range-set.ts'
import { changeLeases, handBack, listNetworks, readLeases, releaseLeases, type Takeover } from './takeover.ts'

const BOOTED_AT_MS = 1_000_000_000
const NOW_MS = BOOTED_AT_MS + 1000
const SETS = parseRangeSets({ ranges: [[{ subnet: '10.1.0.0/24' }], [{ subnet: 'fd00::/64' }]] })

/** A data directory in which upstream has worked, and our store in it. */
class World {
  readonly memory = new LeaseMemory()
  readonly store = new MemoryLeaseStore('boot-1', this.memory)
  readonly takeovers: Takeover[] = []
  readonly network = { network: 'net', bootedAtMs: () => BOOTED_AT_MS }

  write(name: string, content: string, modifiedAtMs = BOOTED_AT_MS + 1): void {
    this.memory.upstream.write('net', { name, content, modifiedAtMs })
  }

  change<T>(work: (tx: LeaseTx) => T, claimsNew = false): T {
    const onTakeover = (takeover: Takeover) => void this.takeovers.push(takeover)
    return changeLeases(this.store, { ...this.network, nowMs: NOW_MS, claimsNew, onTakeover }, work)
  }

  add(containerId: string): string {
    const request = { network: 'net', containerId, ifname: 'eth0', sets: SETS, nowMs: NOW_MS }
    return this.change((tx) => allocate(tx, request), true)
      .map(({ address }) => address.address)
      .join(' ')
  }

  release(containerId: string): string[] {
    const onTakeover = (takeover: Takeover) => void this.takeovers.push(takeover)
    return releaseLeases(
      this.store,
      { ...this.network, nowMs: NOW_MS, onTakeover },
      {
        ours: (tx) => tx.release('net', { containerId, ifname: 'eth0' }, NOW_MS),
        theirs: (leases) => leases.filter((lease) => lease.containerId === containerId),
      },
    ).map(({ address }) => String(address))
  }

  held(): string[] {
    return this.store.read((tx) =>
      tx.listHeld().map(({ address, containerId, ifname }) => `${address} ${containerId}/${ifname}`),
    )
  }
}

test('changeLeases takes over what upstream left, once', async (t) => {
  const world = new World()
  world.write('10.1.0.2', 'c1\r\neth0')
  world.write('fd00::2', 'c1\r\neth0')
  world.write('10.1.0.3', 'old')
  world.write('last_reserved_ip.0', '10.1.0.3')
  t.equal(world.add('c2'), '10.1.0.4 fd00::3')
  t.same(world.held(), [
    '10.1.0.2 c1/eth0',
    '10.1.0.3 old/',
    '10.1.0.4 c2/eth0',
    'fd00::2 c1/eth0',
    'fd00::3 c2/eth0',
  ])
  t.same(world.takeovers, [{ taken: 3, dropped: [] }])
  world.change((tx) => tx.release('net', { containerId: 'c1', ifname: 'eth0' }, NOW_MS))
  world.add('c3')
  t.same(world.takeovers.length, 1)
  t.notOk(world.held().includes('10.1.0.2 c1/eth0'), 'released is released')
})

test('changeLeases drops what is no live lease, and says so', async (t) => {
  const world = new World()
  world.write('10.1.0.2', '')
  world.write('10.1.0.3', '\0\0\0')
  world.write('10.1.0.4', 'c4\r\neth0', BOOTED_AT_MS - 1_000_000)
  world.write('notes', 'c5')
  world.write('10.1.0.6', 'c6\r\neth0')
  t.equal(world.add('c7'), '10.1.0.2 fd00::2')
  const dropped = [
    { name: '10.1.0.2', why: 'empty' },
    { name: '10.1.0.3', why: 'names no container' },
    { name: '10.1.0.4', why: 'older than this boot' },
    { name: 'notes', why: 'its name is no address' },
  ]
  t.same(world.takeovers, [{ taken: 1, dropped }])
  t.equal(
    world.memory.upstream.note('net'),
    `
1970-01-12T13:46:41.000Z: took over 1 leases, and left out
  10.1.0.2: empty
  10.1.0.3: names no container
  10.1.0.4: older than this boot
  notes: its name is no address
What was here is now in .taken-over.
`,
  )
})

test('changeLeases keeps upstream out of a new network when an address is handed out', async (t) => {
  const world = new World()
  world.change((tx) => tx.release('net', { containerId: 'c1', ifname: 'eth0' }, NOW_MS))
  t.equal(world.store.upstream.owner('net'), 'nobody')
  world.add('c1')
  t.equal(world.store.upstream.owner('net'), 'podwire')
  t.same(world.takeovers, [])
})

test('changeLeases takes a network over in which upstream has no lease left', async (t) => {
  const world = new World()
  world.memory.upstream.write('net')
  t.equal(world.store.upstream.owner('net'), 'upstream')
  world.change(() => undefined)
  t.equal(world.store.upstream.owner('net'), 'podwire')
})

test('changeLeases takes over again what a call that failed had claimed', async (t) => {
  const world = new World()
  world.write('10.1.0.2', 'c1\r\neth0')
  const fail = () => {
    throw new Error('no')
  }
  t.throws(() => world.change(fail), { message: 'no' })
  t.same(world.held(), [])
  t.equal(world.add('c2'), '10.1.0.3 fd00::2')
  t.same(world.takeovers, [{ taken: 1, dropped: [] }])
})

test('changeLeases does not mind leases that it has already', async (t) => {
  const world = new World()
  world.write('10.1.0.2', 'c1\r\neth0')
  world.write('10.1.0.3', 'c3\r\neth0')
  world.store.transaction((tx) => {
    for (const [text, containerId] of [
      ['10.1.0.2', 'c1'],
      ['10.1.0.3', 'ours'],
    ] as const) {
      const address = IpAddress.parse(text)
      tx.hold({ network: 'net', address, containerId, ifname: 'eth0', acquiredAtMs: 0 }, 1)
    }
  })
  world.change(() => undefined)
  const why = 'of c3, but 10.1.0.3 held by container ours, eth0 since 1970-01-01T00:00:00.000Z'
  t.same(world.takeovers, [{ taken: 1, dropped: [{ name: '10.1.0.3', why }] }])
  t.same(world.held(), ['10.1.0.2 c1/eth0', '10.1.0.3 ours/eth0'])
})

test('an address that was taken over is handed out again when all others were', async (t) => {
  const world = new World()
  const [set = []] = parseRangeSets({ subnet: '10.1.0.0/29' })
  world.write('10.1.0.2', 'c1\r\neth0')
  const add = (containerId: string) =>
    world.change((tx) =>
      String(
        allocate(tx, { network: 'net', containerId, ifname: 'eth0', sets: [set], nowMs: NOW_MS })[0]?.address
          .address,
      ),
    )
  const del = (containerId: string) =>
    world.change((tx) => tx.release('net', { containerId, ifname: 'eth0' }, NOW_MS))
  del('c1')
  t.same(['a', 'b', 'c', 'd', 'e'].map(add), ['10.1.0.3', '10.1.0.4', '10.1.0.5', '10.1.0.6', '10.1.0.2'])
  t.throws(() => add('f'), { code: 'EEXHAUSTED', details: /^5 of 5 addresses/ })
})

test('releaseLeases takes over where both have leases, and where a takeover is under way', async (t) => {
  const release = (world: World) => world.release('c1')
  const [both, underway, theirs] = [new World(), new World(), new World()]
  for (const world of [both, underway, theirs]) world.write('10.1.0.2', 'c1\r\neth0')
  both.store.transaction((tx) => {
    const address = IpAddress.parse('10.1.0.3')
    tx.hold({ network: 'net', address, containerId: 'ours', ifname: 'eth0', acquiredAtMs: 0 }, 1)
  })
  underway.store.upstream.claim('net')
  for (const world of [both, underway]) {
    t.same(release(world), ['10.1.0.2'])
    t.equal(world.store.upstream.owner('net'), 'podwire')
    t.equal(world.takeovers.length, 1)
  }
  t.same(both.held(), ['10.1.0.3 ours/eth0'])
  t.same(release(theirs), ['10.1.0.2'])
  t.equal(theirs.store.upstream.owner('net'), 'upstream')
  t.same(theirs.store.upstream.list('net'), [])
  t.same(theirs.held(), [])
  theirs.write('10.1.0.5', 'c5\r\neth0')
  t.equal(theirs.add('c6'), '10.1.0.3 fd00::2', 'the address that was released is given last')
})

test('changeLeases takes over what upstream leased again after it was released where it was', async (t) => {
  const world = new World()
  world.write('10.1.0.2', 'c1\r\neth0')
  t.same(world.release('c1'), ['10.1.0.2'])
  world.write('10.1.0.2', 'c2\r\neth0')
  world.change(() => undefined)
  t.same(world.takeovers, [{ taken: 1, dropped: [] }])
  t.same(world.held(), ['10.1.0.2 c2/eth0'])
  const requested = [IpAddress.parse('10.1.0.2')]
  const request = { network: 'net', containerId: 'c3', ifname: 'eth0', sets: SETS, requested, nowMs: NOW_MS }
  t.throws(() => world.change((tx) => allocate(tx, request)), { code: 'ENOTAVAILABLE' })
})

test('readLeases sees upstream’s leases as they will be, and changes nothing', async (t) => {
  const world = new World()
  world.write('10.1.0.2', 'c1\r\neth0')
  world.write('10.1.0.3', '')
  const find = (ifname: string) =>
    readLeases(world.store, world.network, (tx) => tx.listByHolder('net', { containerId: 'c1', ifname }))
      .length
  t.equal(find('eth0'), 1)
  t.equal(find('net1'), 0)
  t.same(world.held(), [])
  t.equal(world.store.upstream.owner('net'), 'upstream')
  world.add('c2')
  t.equal(find('eth0'), 1, 'as ours')
})

test('readLeases passes on what its work throws', async (t) => {
  const world = new World()
  world.write('10.1.0.2', 'c1\r\neth0')
  const fail = () => {
    throw new Error('no')
  }
  t.throws(() => readLeases(world.store, world.network, fail), { message: 'no' })
})

test('handBack writes what upstream would have, and forgets it', async (t) => {
  const world = new World()
  world.write('10.1.0.77', 'old')
  world.add('c1')
  world.add('c2')
  world.change((tx) => tx.release('net', { containerId: 'c2', ifname: 'eth0' }, NOW_MS))
  t.same(listNetworks(world.store), ['net'])
  const files = handBack(world.store, world.network)
  t.same(Object.fromEntries(files), {
    '10.1.0.2': 'c1\r\neth0',
    '10.1.0.77': 'old',
    'fd00::2': 'c1\r\neth0',
    'last_reserved_ip.0': '10.1.0.3',
    'last_reserved_ip.1': 'fd00::3',
  })
  t.same(world.store.upstream.list('net').length, 5)
  t.same(world.held(), [])
  t.same(listNetworks(world.store), [])
  t.throws(() => handBack(world.store, world.network), {
    code: 'ENONETWORK',
    message: 'network "net": ENONETWORK: it is not ours',
  })
})

test('handBack and changeLeases lose nothing on the way there and back', async (t) => {
  const world = new World()
  world.write('10.1.0.77', 'old')
  world.add('c1')
  const before = world.held()
  handBack(world.store, { ...world.network, bootedAtMs: () => 0 })
  world.change(() => undefined)
  t.same(world.held(), [], 'files without a time are older than the boot')
  const again = new World()
  again.memory.upstream.write('net', { name: '10.1.0.77', content: 'old', modifiedAtMs: NOW_MS })
  again.add('c1')
  handBack(again.store, { network: 'net', bootedAtMs: () => 0 })
  changeLeases(
    again.store,
    { network: 'net', bootedAtMs: () => 0, nowMs: NOW_MS, onTakeover: () => undefined },
    () => undefined,
  )
  t.same(again.held(), before)
})

test('handBack refuses when both have leases and disagree', async (t) => {
  const world = new World()
  world.store.transaction((tx) => {
    const address = IpAddress.parse('10.1.0.2')
    tx.hold({ network: 'net', address, containerId: 'ours', ifname: 'eth0', acquiredAtMs: 0 }, 1)
  })
  world.write('10.1.0.2', 'theirs\r\neth0')
  const before = world.store.upstream.list('net')
  t.throws(() => handBack(world.store, world.network), {
    code: 'ECONFLICT',
    message:
      /upstream's file 10\.1\.0\.2 names "theirs\\r\\neth0", but 10\.1\.0\.2 held by container ours, eth0/,
  })
  t.same(world.store.upstream.list('net'), before)
  t.same(world.held(), ['10.1.0.2 ours/eth0'])
})

test('handBack joins both when they do not disagree', async (t) => {
  const world = new World()
  world.add('c1')
  handBack(world.store, world.network)
  // As when the call was killed after the files were there and before its rows were gone.
  world.store.transaction((tx) => {
    const address = IpAddress.parse('10.1.0.2')
    tx.hold({ network: 'net', address, containerId: 'c1', ifname: 'eth0', acquiredAtMs: 0 }, 1)
  })
  world.write('10.1.0.9', 'c9\r\neth0')
  const files = handBack(world.store, world.network)
  t.same([...files.keys()].sort(), ['10.1.0.2', '10.1.0.9', 'last_reserved_ip.0', 'last_reserved_ip.1'])
})
