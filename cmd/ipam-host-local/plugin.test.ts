import { test } from 'tap'

import { MemoryLeaseStore } from '../../lib/ipam/lease-store-memory.ts'
import { StoreError } from '../../lib/state/store-error.ts'
import { BOOT_ID, BOOTED_AT_MS, DATA_DIR, World } from './world.fixture.ts'

const SMALL = { ranges: [[{ subnet: '10.1.0.0/29' }]] }
const BOTH = { ranges: [[{ subnet: '10.1.0.0/24' }], [{ subnet: 'fd00::/64' }]] }
const POD = 'IgnoreUnknown=1;K8S_POD_NAMESPACE=default;K8S_POD_NAME=web-0'

test('ADD answers with addresses, gateways, routes and dns', async (t) => {
  const world = new World({
    ...BOTH,
    routes: [{ dst: '0.0.0.0/0' }, { dst: '10.9.0.0/16', gw: '10.1.0.9', mtu: 1400, table: 7 }],
    resolvConf: '/etc/pod.conf',
  })
  t.strictSame(await world.call('ADD', 'c1'), {
    cniVersion: '1.1.0',
    ips: [
      { address: '10.1.0.2/24', gateway: '10.1.0.1' },
      { address: 'fd00::2/64', gateway: 'fd00::1' },
    ],
    routes: [{ dst: '0.0.0.0/0' }, { dst: '10.9.0.0/16', gw: '10.1.0.9', mtu: 1400, table: 7 }],
    dns: { nameservers: ['10.0.0.53'], search: ['cluster.local'] },
  })
  t.same(world.held(), ['10.1.0.2 c1/eth0', 'fd00::2 c1/eth0'])
})

test('ADD takes nothing when resolvConf is not there', async (t) => {
  const world = new World({ ...SMALL, resolvConf: '/nowhere' })
  t.match(await world.call('ADD', 'c1'), { code: 5, msg: 'open /nowhere: no such file or directory' })
  t.same(world.held(), [])
})

test('ADD gives every address of small subnets and sets of several ranges', async (t) => {
  const rows: [what: string, ipam: object, expected: string[]][] = [
    ['/31', { subnet: '10.1.0.4/31' }, ['10.1.0.4/31', '10.1.0.5/31']],
    ['/31 with a gateway', { subnet: '10.1.0.4/31', gateway: '10.1.0.4' }, ['10.1.0.5/31']],
    ['/32', { ranges: [[{ subnet: '10.1.0.4/32' }]] }, ['10.1.0.4/32']],
    ['/127', { subnet: 'fd00::4/127' }, ['fd00::4/127', 'fd00::5/127']],
    ['/128', { subnet: 'fd00::4/128' }, ['fd00::4/128']],
    [
      'several /32',
      { ranges: [[{ subnet: '10.1.0.4/32' }, { subnet: '10.1.0.9/32' }]] },
      ['10.1.0.4/32', '10.1.0.9/32'],
    ],
    [
      '/31 and /127',
      { ranges: [[{ subnet: '10.1.0.4/31' }], [{ subnet: 'fd00::4/127' }]] },
      ['10.1.0.4/31 fd00::4/127', '10.1.0.5/31 fd00::5/127'],
    ],
    [
      'exclude in a range',
      { ranges: [[{ subnet: '10.1.0.0/29', exclude: ['10.1.0.2', '10.1.0.4-10.1.0.5'] }]] },
      ['10.1.0.3/29', '10.1.0.6/29'],
    ],
    [
      'exclude beside ranges',
      { exclude: ['10.1.0.2'], ranges: [[{ subnet: '10.1.0.0/30' }, { subnet: '10.2.0.0/30' }]] },
      ['10.2.0.2/30'],
    ],
    [
      'exclude of IPv6',
      { exclude: ['fd00::/126', 'fd00::6'], subnet: 'fd00::/125' },
      ['fd00::4/125', 'fd00::5/125', 'fd00::7/125'],
    ],
    [
      'two subnets of IPv4',
      { ranges: [[{ subnet: '10.1.0.0/30' }], [{ subnet: '10.2.0.0/30' }]] },
      ['10.1.0.2/30 10.2.0.2/30'],
    ],
  ]
  for (const [what, ipam, expected] of rows) {
    const world = new World(ipam)
    for (const [nth, addresses] of expected.entries()) t.equal(await world.add(`c${nth}`), addresses, what)
    t.match(await world.add('more'), /no IP addresses available in range set/, `${what}: no more`)
    await world.call('DEL', 'c0')
    t.equal(await world.add('next'), expected[0], `${what}: given back`)
  }
})

test('ADD gives no gateway where a subnet has none', async (t) => {
  t.strictSame((await new World({ subnet: '10.1.0.4/32' }).call('ADD', 'c1'))?.['ips'], [
    { address: '10.1.0.4/32' },
  ])
})

test('ADD refuses an exclusion that is none', async (t) => {
  for (const [exclude, msg] of [
    ['10.2.0.1', 'invalid range set 0: exclude 10.2.0.1 not in network 10.1.0.0/29'],
    ['10.1.0.5-10.1.0.2', /10\.1\.0\.5-10\.1\.0\.2 is no range of addresses/],
    ['x', /invalid range set 0: exclude: /],
  ] as const) {
    const world = new World({ ranges: [[{ subnet: '10.1.0.0/29', exclude: [exclude] }]] })
    t.match(await world.call('ADD', 'c1'), { code: 7, msg }, exclude)
  }
})

test('ADD of an exhausted pool says how full it is, who holds it and what to do', async (t) => {
  const world = new World({ subnet: '10.1.0.0/30' })
  await world.add('c1', { args: POD })
  t.strictSame(await world.call('ADD', 'c2'), {
    cniVersion: '1.1.0',
    code: 999,
    msg: 'failed to allocate for range 0: no IP addresses available in range set: 10.1.0.1-10.1.0.2',
    details:
      '1 of 1 addresses of network "net" are in use; the oldest: 10.1.0.2 held by pod default/web-0 (container c1, eth0) ' +
      `since ${new Date(BOOTED_AT_MS + 3_601_000).toISOString()}; give back what containers that are gone still hold ` +
      '(CNI GC, podwire gc), or give the network a larger range',
  })
})

test('DEL gives addresses back, again and again, whatever the config says by then', async (t) => {
  const world = new World(BOTH)
  await world.add('c1')
  await world.add('c1', { ifname: 'net1' })
  for (const ipam of [{}, {}, { ranges: [[{ subnet: 'broken' }]] }]) {
    t.equal(await world.call('DEL', 'c1', { ipam }), undefined)
  }
  t.same(world.held(), ['10.1.0.3 c1/net1', 'fd00::3 c1/net1'])
  t.equal(await world.call('DEL', 'never'), undefined)
})

test('CHECK finds the lease, or says that there is none', async (t) => {
  const world = new World(SMALL)
  await world.add('c1')
  t.equal(await world.call('CHECK', 'c1'), undefined)
  for (const [containerId, call] of [
    ['c2', {}],
    ['c1', { ifname: 'net1' }],
    ['c1', { name: 'other' }],
  ] as const) {
    t.match(await world.call('CHECK', containerId, call), {
      code: 999,
      msg: `host-local: Failed to find address added by container ${containerId}`,
    })
  }
})

const attachments = (...ids: string[]) => ({
  'cni.dev/valid-attachments': ids.map((containerID) => ({ containerID, ifname: 'eth0' })),
})

test('GC releases what is not valid, in its network only', async (t) => {
  const world = new World(BOTH)
  for (const id of ['c1', 'c2', 'c3']) await world.add(id)
  await world.add('c1', { ifname: 'net1' })
  await world.add('c9', { name: 'other' })
  t.equal(await world.call('GC', '', { outer: attachments('c2', 'unknown') }), undefined)
  t.same(world.held(), ['10.1.0.3 c2/eth0', 'fd00::3 c2/eth0', '10.1.0.2 c9/eth0', 'fd00::2 c9/eth0'])
  t.match(world.logged.at(-1), /^info released leases .*"10\.1\.0\.2","fd00::2","10\.1\.0\.4"/)
  t.equal(await world.call('GC', '', { outer: attachments() }), undefined, 'an empty list is an answer')
  t.same(world.held(), ['10.1.0.2 c9/eth0', 'fd00::2 c9/eth0'])
})

test('GC leaves everything when the runtime names nothing', async (t) => {
  const world = new World(SMALL)
  await world.add('c1')
  for (const outer of [{}, { 'cni.dev/valid-attachments': null }]) {
    t.equal(await world.call('GC', '', { outer }), undefined)
    t.same(world.held(), ['10.1.0.2 c1/eth0'], JSON.stringify(outer))
  }
})

test('GC releases leases of namespaces that are gone when the runtime names nothing', async (t) => {
  const world = new World(SMALL)
  await world.add('c1')
  for (const id of ['c2', 'c3']) {
    world.kernel.addNamespace(`/run/netns/${id}`)
    await world.add(id, { netns: `/run/netns/${id}` })
    world.kernel.removeNamespace(`/run/netns/${id}`)
  }
  const key = { plugin: 'cni-bridge', network: 'net', containerId: 'c3', ifname: 'eth0' }
  world.attachments.put({ ...key, netns: '', record: {}, isComplete: true, bootId: BOOT_ID, createdAtMs: 0 })
  t.equal(await world.call('GC', ''), undefined)
  t.same(world.held(), ['10.1.0.2 c1/eth0', '10.1.0.4 c3/eth0'], 'what is recorded goes with its record')
  world.attachments.delete(key)
  t.equal(await world.call('GC', ''), undefined)
  t.same(world.held(), ['10.1.0.2 c1/eth0'])
})

test('GC releases many in one transaction', async (t) => {
  let transactions = 0
  class Counting extends MemoryLeaseStore {
    override transaction: MemoryLeaseStore['transaction'] = (work, committed) => {
      transactions++
      return super.transaction(work, committed)
    }
  }
  const world = new World(BOTH, new Counting(BOOT_ID))
  for (const id of ['c1', 'c2', 'c3']) await world.add(id)
  transactions = 0
  await world.call('GC', '', { outer: attachments() })
  t.same(world.held(), [])
  t.equal(transactions, 1)
})

test('garbage is told with who holds it and why it goes, and goes one by one', async (t) => {
  const { findGarbage } = await import('./gc.ts')
  const world = new World(SMALL)
  await world.add('c1', { args: POD })
  await world.add('c2')
  const netconf = { ipam: { dataDir: DATA_DIR }, ...attachments('c7') }
  const request = { netconf, name: 'net' } as unknown as Parameters<typeof findGarbage>[1]
  const garbage = await findGarbage(world.ports, request)
  const since = new Date(BOOTED_AT_MS + 3_601_000).toISOString()
  t.match(garbage, [
    {
      what: 'lease 10.1.0.2 of network net',
      why:
        `10.1.0.2 held by pod default/web-0 (container c1, eth0) since ${since}; ` +
        'it is not one of the 1 attachments that the runtime names as valid',
    },
    { what: 'lease 10.1.0.3 of network net' },
  ])
  t.equal(world.held().length, 2, 'looking changes nothing')
  await garbage[0]?.remove()
  t.same(world.held(), ['10.1.0.3 c2/eth0'])
})

test('a lease that its container has anew since GC looked stays', async (t) => {
  const { findGarbage } = await import('./gc.ts')
  const world = new World(BOTH)
  const path = '/run/netns/dead'
  const request = { netconf: { ipam: { dataDir: DATA_DIR } }, name: 'net' } as unknown as Parameters<
    typeof findGarbage
  >[1]
  const add = () => {
    world.kernel.addNamespace(path)
    return world.add('c1', { netns: path })
  }
  const findDead = async () => {
    world.kernel.removeNamespace(path)
    return findGarbage(world.ports, request)
  }
  await add()
  const garbage = await findDead()
  t.equal(garbage.length, 2)
  await world.call('DEL', 'c1')
  await add()
  const held = world.held()
  for (const { remove } of garbage) t.equal(await remove(), false)
  t.same(world.held(), held)
  const again = await findDead()
  for (const { remove } of again) t.equal(await remove(), true, 'the second went with the first')
  t.same(world.held(), [])
})

test('STATUS is ready until no address is free', async (t) => {
  const world = new World({ subnet: '10.1.0.0/29', exclude: ['10.1.0.6'] })
  t.equal(await world.call('STATUS', ''), undefined, 'before the first ADD')
  for (const id of ['c1', 'c2', 'c3']) await world.add(id, { args: POD })
  t.equal(await world.call('STATUS', ''), undefined)
  await world.add('c4')
  const full = await world.call('STATUS', '')
  t.match(full, {
    code: 50,
    msg: 'no IP addresses available in range set 0: 10.1.0.1-10.1.0.6',
    details:
      /^4 of 4 addresses of network "net" are in use; the oldest: 10\.1\.0\.2 held by pod default\/web-0 .*; give back/,
  })
  await world.call('DEL', 'c1')
  t.equal(await world.call('STATUS', ''), undefined)
})

test('STATUS answers 50 as soon as fewer addresses are free than asked for', async (t) => {
  const world = new World({ ranges: [[{ subnet: 'fd00::/64' }], [{ subnet: '10.1.0.0/29' }]] })
  await world.add('c1')
  for (const [statusMinFree, expected] of [
    [0, undefined],
    [4, undefined],
    [5, { code: 50, msg: 'only 4 IP addresses available in range set 1: 10.1.0.1-10.1.0.6' }],
  ] as const) {
    const answer = await world.call('STATUS', '', { ipam: { statusMinFree } })
    if (expected) t.match(answer, expected)
    else t.equal(answer, undefined, `${statusMinFree}`)
  }
})

test('STATUS answers 50 when the store cannot be written, with the remedy', async (t) => {
  class Broken extends MemoryLeaseStore {
    override probe(): void {
      throw new StoreError('EFULL', {
        operation: 'write',
        path: '/x.db',
        why: 'no space',
        remedy: 'free some',
      })
    }
  }
  const world = new World(SMALL, new Broken(BOOT_ID))
  const expected = { code: 50, msg: 'write "/x.db": EFULL: no space', details: 'free some' }
  t.match(await world.call('STATUS', ''), expected)
})

test('STATUS answers for a config that cannot be used as ADD does', async (t) => {
  const world = new World({ subnet: '10.1.0.3/24' })
  const [add, status] = [await world.call('ADD', 'c1'), await world.call('STATUS', '')]
  t.match(status, { code: 7, msg: /host bits/ })
  t.same(status, add)
})

test('cool-down is 30 seconds, soft, and told', async (t) => {
  for (const [ipam, isTold] of [
    [{}, true],
    [{ coolDown: 2 }, false],
    [{ coolDown: 0 }, false],
  ] as const) {
    const world = new World({ subnet: '10.1.0.0/30', ...ipam })
    await world.add('c1')
    await world.call('DEL', 'c1')
    world.nowMs += 28_000
    t.equal(await world.add('c2'), '10.1.0.2/30', 'rather than none')
    const told =
      'info used addresses that are still cooling {"network":"net","coolDown":30,"addresses":["10.1.0.2/30"]}'
    t.same(world.logged, isTold ? [told] : [], JSON.stringify(ipam))
  }
  t.match(await new World({ ...SMALL, coolDown: -1 }).call('ADD', 'c1'), { code: 7, msg: /ipam\.coolDown/ })
})

test('sticky gives a pod its addresses again', async (t) => {
  const world = new World({ ...BOTH, sticky: true })
  t.equal(await world.add('c1', { args: POD }), '10.1.0.2/24 fd00::2/64')
  await world.call('DEL', 'c1')
  t.equal(await world.add('c2', { args: POD.replace('web-0', 'web-1') }), '10.1.0.3/24 fd00::3/64')
  t.equal(await world.add('c3', { args: POD }), '10.1.0.2/24 fd00::2/64')
  await world.call('DEL', 'c3')
  t.equal(await world.add('c4', { args: POD, ipam: { sticky: false } }), '10.1.0.4/24 fd00::4/64')
})
