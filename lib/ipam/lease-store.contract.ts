// What every LeaseStore does; run on the real one and on the fake.

import { type Test, test } from 'tap'

import { IpAddress } from '../ip/address.ts'
import { type Lease, type LeaseStore, type LeaseTx, REMEMBERED, releaseAllExcept } from './lease-store.ts'
import { parseSpan } from './span.ts'

/** Opens a store on what the stores opened before in this test left. */
export type OpenLeases = (bootId: string) => LeaseStore

const NETWORK = 'kindnet'
const SPAN = parseSpan('10.1.0.0/24')

/** `10.1.0.2 c1/eth0 @5`, and ` -9` when it was released. */
function describe(lease: Lease): string {
  const released = lease.releasedAtMs === undefined ? '' : ` -${lease.releasedAtMs}`
  return `${lease.address} ${lease.containerId}/${lease.ifname} @${lease.acquiredAtMs}${released}`
}

interface Hold {
  readonly at?: number
  readonly ifname?: string
  readonly network?: string
  readonly pool?: number
}

function hold(tx: LeaseTx, [address, containerId]: readonly [string, string], options: Hold = {}): void {
  const { at = 1, ifname = 'eth0', network = NETWORK } = options
  const lease = { network, address: IpAddress.parse(address), containerId, ifname, acquiredAtMs: at }
  tx.hold(lease, options.pool ?? poolOf(tx, network))
}

function poolOf(tx: LeaseTx, network = NETWORK): number {
  return (tx.findPool(network, 'a pool') ?? tx.createPool(network, 'a pool', 0)).id
}

const eth0 = (containerId: string) => ({ containerId, ifname: 'eth0' })

export function leaseStoreContract(name: string, prepare: (t: Test) => OpenLeases): void {
  test(`${name} keeps all that is known of a lease`, async (t) => {
    const store = prepare(t)('boot-1')
    const address = IpAddress.parse('fd00::2')
    const lease = { network: NETWORK, address, ...eth0('c1'), acquiredAtMs: 1_700_000_000_123 }
    const pod = { netns: '/run/netns/x', podNamespace: 'default', podName: 'web-0' }
    store.transaction((tx) => tx.hold({ ...lease, ...pod }, poolOf(tx)))
    t.strictSame(
      store.transaction((tx) => tx.find(NETWORK, address)),
      { ...lease, ...pod, bootId: 'boot-1' },
    )
    store.transaction((tx) => tx.release(NETWORK, lease, 1_700_000_000_456))
    store.transaction((tx) => tx.hold({ ...lease, ...eth0('c2') }, poolOf(tx)))
    const taken = { ...lease, ...eth0('c2'), bootId: 'boot-1' }
    t.strictSame(
      store.transaction((tx) => tx.find(NETWORK, address)),
      taken,
      'nothing left of the last holder',
    )
  })

  test(`${name} refuses to give a held address away`, async (t) => {
    const store = prepare(t)('boot-1')
    store.transaction((tx) => hold(tx, ['10.1.0.2', 'c1']))
    t.throws(() => store.transaction((tx) => hold(tx, ['10.1.0.2', 'c2'])), {
      message: '10.1.0.2 of network kindnet is held',
    })
    t.same(store.read((tx) => tx.listHeld()).map(describe), ['10.1.0.2 c1/eth0 @1'])
  })

  test(`${name} undoes all of a transaction that throws`, async (t) => {
    const store = prepare(t)('boot-1')
    store.transaction((tx) => hold(tx, ['10.1.0.2', 'c1']))
    t.throws(
      () => {
        store.transaction((tx) => {
          tx.release(NETWORK, eth0('c1'), 2)
          hold(tx, ['10.1.0.3', 'c2'])
          tx.setPoolLast(poolOf(tx), IpAddress.parse('10.1.0.3'))
          tx.createPool(NETWORK, 'another', 0)
          throw new Error('no')
        })
      },
      { message: 'no' },
    )
    t.same(store.read((tx) => tx.listHeld()).map(describe), ['10.1.0.2 c1/eth0 @1'])
    t.equal(
      store.transaction((tx) => tx.findPool(NETWORK, 'a pool')?.last),
      undefined,
    )
    t.equal(
      store.transaction((tx) => tx.findPool(NETWORK, 'another')),
      undefined,
    )
  })

  test(`${name} lists what is held, in address order`, async (t) => {
    const store = prepare(t)('boot-1')
    store.transaction((tx) => {
      for (const each of [
        ['fd00::2', 'c1'],
        ['10.1.0.10', 'c1'],
        ['10.1.0.9', 'c2'],
        ['10.1.0.8', 'c3'],
      ] as const)
        hold(tx, each)
      hold(tx, ['10.1.0.9', 'c1'], { network: 'other' })
      hold(tx, ['10.1.0.11', 'c1'], { ifname: 'net1' })
      tx.release(NETWORK, eth0('c3'), 5)
    })
    store.read((tx) => {
      const list = (leases: Lease[]) => leases.map((lease) => `${lease.network} ${describe(lease)}`)
      const c2 = 'kindnet 10.1.0.9 c2/eth0 @1'
      const c1 = ['kindnet 10.1.0.10 c1/eth0 @1', 'kindnet fd00::2 c1/eth0 @1']
      const net1 = 'kindnet 10.1.0.11 c1/net1 @1'
      t.same(list(tx.listByHolder(NETWORK, eth0('c1'))), c1)
      t.same(list(tx.listByHolder(NETWORK, eth0('c3'))), [])
      t.same(list(tx.listHeld(NETWORK)), [c2, c1[0], net1, c1[1]])
      t.same(list(tx.listHeld()), [c2, c1[0], net1, c1[1], 'other 10.1.0.9 c1/eth0 @1'])
    })
  })

  test(`${name} counts`, async (t) => {
    const store = prepare(t)('boot-1')
    store.transaction((tx) => {
      for (const each of [
        ['10.1.0.1', 'c1'],
        ['10.1.0.2', 'c2'],
        ['10.1.0.3', 'c3'],
        ['a01::2', 'c4'],
      ] as const)
        hold(tx, each)
      tx.release(NETWORK, eth0('c2'), 5)
      t.equal(tx.countHeld(NETWORK, SPAN), 2)
      t.equal(tx.countUsed(NETWORK, SPAN), 3)
      t.equal(tx.countHeld(NETWORK, parseSpan('10.1.0.2-10.1.0.3')), 1)
      t.equal(tx.countHeld('other', SPAN), 0)
      t.same(
        [0, 1, 2, 3].map((nth) => String(tx.findNth(NETWORK, SPAN, nth))),
        ['10.1.0.1', '10.1.0.2', '10.1.0.3', 'undefined'],
      )
      t.equal(tx.findNth('other', SPAN, 0), undefined)
      t.same(tx.listUsed(NETWORK, SPAN, 2).map(String), ['10.1.0.1', '10.1.0.2'])
      t.same(tx.listUsed(NETWORK, parseSpan('10.0.0.0/8'), 9).map(String), [
        '10.1.0.1',
        '10.1.0.2',
        '10.1.0.3',
      ])
    })
  })

  test(`${name} lists who holds an address longest`, async (t) => {
    const store = prepare(t)('boot-1')
    store.transaction((tx) => {
      for (const [address, id, at] of [
        ['10.1.0.1', 'c1', 9],
        ['10.1.0.2', 'c2', 3],
        ['10.1.0.3', 'c3', 5],
      ] as const)
        hold(tx, [address, id], { at })
      t.same(tx.listOldest(NETWORK, SPAN, 2).map(describe), ['10.1.0.2 c2/eth0 @3', '10.1.0.3 c3/eth0 @5'])
    })
  })

  test(`${name} releases all of a holder, once`, async (t) => {
    const store = prepare(t)('boot-1')
    store.transaction((tx) => {
      for (const each of [
        ['10.1.0.1', 'c1'],
        ['fd00::1', 'c1'],
        ['10.1.0.2', 'c2'],
      ] as const)
        hold(tx, each)
      hold(tx, ['10.1.0.3', 'c1'], { ifname: 'net1' })
      const released = ['10.1.0.1 c1/eth0 @1', 'fd00::1 c1/eth0 @1']
      t.same(tx.release(NETWORK, eth0('c1'), 7).map(describe), released)
      t.same(tx.release(NETWORK, eth0('c1'), 8), [], 'a second time is fine')
      t.same(tx.release(NETWORK, eth0('unknown'), 8), [])
      t.same(tx.listHeld().map(describe), ['10.1.0.2 c2/eth0 @1', '10.1.0.3 c1/net1 @1'])
      const free = tx.find(NETWORK, IpAddress.parse('10.1.0.1'))
      t.equal(free && describe(free), '10.1.0.1 c1/eth0 @1 -7')
    })
  })

  test(`${name} releases everyone but those to keep`, async (t) => {
    const store = prepare(t)('boot-1')
    store.transaction((tx) => {
      for (const each of [
        ['10.1.0.1', 'c1'],
        ['fd00::1', 'c1'],
        ['10.1.0.2', 'c2'],
      ] as const)
        hold(tx, each)
      hold(tx, ['10.1.0.3', 'c2'], { ifname: 'net1' })
      hold(tx, ['10.1.0.1', 'c9'], { network: 'other' })
      const gone = releaseAllExcept(tx, { network: NETWORK, keep: [eth0('c2'), eth0('c7')], nowMs: 5 })
      t.same(gone.map(describe), ['10.1.0.1 c1/eth0 @1', 'fd00::1 c1/eth0 @1', '10.1.0.3 c2/net1 @1'])
      t.same(tx.listHeld().map(describe), ['10.1.0.2 c2/eth0 @1', '10.1.0.1 c9/eth0 @1'])
    })
  })

  test(`${name} finds the address of a pool that has been free longest`, async (t) => {
    const store = prepare(t)('boot-1')
    store.transaction((tx) => {
      const [pool, other] = [poolOf(tx), tx.createPool(NETWORK, 'other', 0).id]
      const longest = () => {
        const lease = tx.findLongestFree(pool)
        return lease && describe(lease)
      }
      for (const each of [
        ['10.1.0.1', 'c1'],
        ['10.1.0.2', 'c2'],
        ['10.1.0.3', 'c3'],
      ] as const)
        hold(tx, each)
      hold(tx, ['10.1.0.4', 'c4'], { pool: other })
      t.equal(longest(), undefined)
      for (const [id, at] of [
        ['c4', 4],
        ['c3', 5],
        ['c2', 5],
        ['c1', 6],
      ] as const) {
        tx.release(NETWORK, eth0(id), at)
      }
      t.equal(longest(), '10.1.0.2 c2/eth0 @1 -5', 'of equals the lower address')
      t.same(tx.listFree(pool, 2).map(String), ['10.1.0.2', '10.1.0.3'])
      t.same(tx.listFree(other, 2).map(String), ['10.1.0.4'])
      hold(tx, ['10.1.0.2', 'c5'])
      t.equal(longest(), '10.1.0.3 c3/eth0 @1 -5')
      tx.forget(NETWORK, IpAddress.parse('10.1.0.3'))
      t.equal(longest(), '10.1.0.1 c1/eth0 @1 -6')
      tx.adopt(pool, NETWORK, parseSpan('10.1.0.4'))
      t.equal(longest(), '10.1.0.4 c4/eth0 @1 -4')
    })
  })

  test(`${name} has what is released last for last after the clock was set back`, async (t) => {
    const store = prepare(t)('boot-1')
    store.transaction((tx) => {
      const other = tx.createPool(NETWORK, 'other', 1).id
      hold(tx, ['10.1.0.9', 'c9'], { pool: other })
      tx.release(NETWORK, eth0('c9'), 9000)
      for (const [address, id, at] of [
        ['10.1.0.2', 'c2', 3000],
        ['10.1.0.3', 'c3', 9000],
        ['10.1.0.4', 'c4', 9000],
        ['10.1.0.1', 'c1', 5000],
      ] as const) {
        hold(tx, [address, id])
        tx.release(NETWORK, eth0(id), at)
      }
      t.same(tx.listFree(poolOf(tx), 9).map(String), ['10.1.0.2', '10.1.0.3', '10.1.0.4', '10.1.0.1'])
      t.equal(tx.find(NETWORK, IpAddress.parse('10.1.0.3'))?.releasedAtMs, 4999, 'so that a coolDown ends')
      t.equal(tx.findLongestFree(other)?.releasedAtMs, 9000, 'of its pools only')
    })
  })

  test(`${name} forgets the oldest free addresses`, async (t) => {
    const store = prepare(t)('boot-1')
    store.transaction((tx) => {
      for (const [address, id, at] of [
        ['10.1.0.2', 'c2', 5],
        ['10.1.0.3', 'c3', 6],
        ['10.1.0.4', 'c4', 7],
        ['10.1.0.1', 'c1', 8],
      ] as const) {
        hold(tx, [address, id])
        tx.release(NETWORK, eth0(id), at)
      }
      tx.forgetReleased(poolOf(tx), 8, 2)
      t.same(tx.listUsed(NETWORK, SPAN, 9).map(String), ['10.1.0.1', '10.1.0.4'])
      tx.forgetReleased(poolOf(tx), 8, 2)
      t.same(tx.listUsed(NETWORK, SPAN, 9).map(String), ['10.1.0.1'])
    })
  })

  test(`${name} remembers pools by network and key`, async (t) => {
    const store = prepare(t)('boot-1')
    const last = IpAddress.parse('10.1.0.7')
    store.transaction((tx) => {
      const { id } = tx.createPool(NETWORK, 'k', 0)
      tx.createPool('other', 'k', 0)
      tx.setPoolLast(id, last)
    })
    store.transaction((tx) => {
      const pool = tx.findPool(NETWORK, 'k')
      t.equal(String(pool?.last), '10.1.0.7')
      t.equal(tx.findPool('other', 'k')?.last, undefined)
      t.equal(tx.findPool(NETWORK, 'l'), undefined)
      tx.setPoolLast(pool?.id ?? 0, undefined)
      t.equal(tx.findPool(NETWORK, 'k')?.last, undefined)
    })
  })

  test(`${name} takes a lease without interface for that of any that has none of its own`, async (t) => {
    const store = prepare(t)('boot-1')
    store.transaction((tx) => {
      hold(tx, ['10.1.0.1', 'c1'], { ifname: '' })
      hold(tx, ['10.1.0.2', 'c1'], { ifname: 'net1' })
      hold(tx, ['10.1.0.3', 'c2'], { ifname: '' })
      const of = (ifname: string) => tx.listByHolder(NETWORK, { containerId: 'c1', ifname }).map(describe)
      t.same(of('net1'), ['10.1.0.2 c1/net1 @1'])
      t.same(of('eth0'), ['10.1.0.1 c1/ @1'])
      t.same(tx.release(NETWORK, { containerId: 'c1', ifname: 'net1' }, 5).map(describe), [
        '10.1.0.2 c1/net1 @1',
      ])
      t.same(tx.release(NETWORK, eth0('c1'), 6).map(describe), ['10.1.0.1 c1/ @1'])
      t.same(tx.listHeld().map(describe), ['10.1.0.3 c2/ @1'])
      t.same(
        releaseAllExcept(tx, { network: NETWORK, keep: [eth0('c2')], nowMs: 7 }),
        [],
        'its container is there',
      )
      t.same(releaseAllExcept(tx, { network: NETWORK, keep: [eth0('c1')], nowMs: 7 }).map(describe), [
        '10.1.0.3 c2/ @1',
      ])
    })
  })

  test(`${name} knows what was taken last of each set`, async (t) => {
    const store = prepare(t)('boot-1')
    store.transaction((tx) => {
      const [first, more, second] = [
        tx.createPool(NETWORK, 'a', 0).id,
        tx.createPool(NETWORK, 'b', 0).id,
        tx.createPool(NETWORK, 'c', 1).id,
      ]
      hold(tx, ['10.1.0.9', 'c1'], { pool: first, at: 3 })
      hold(tx, ['10.1.0.2', 'c2'], { pool: more, at: 5 })
      hold(tx, ['10.1.0.3', 'c3'], { pool: first, at: 4 })
      hold(tx, ['fd00::3', 'c1'], { pool: second, at: 3 })
      hold(tx, ['10.1.0.77', 'c1'], { network: 'other', at: 9 })
      tx.release(NETWORK, eth0('c2'), 6)
      const last = () => tx.listLastTaken(NETWORK).map(({ setIndex, address }) => `${setIndex} ${address}`)
      t.same(last(), ['0 10.1.0.2', '1 fd00::3'])
      tx.forgetNetwork(NETWORK)
      t.same(last(), [])
    })
  })

  test(`${name} forgets one network`, async (t) => {
    const store = prepare(t)('boot-1')
    store.transaction((tx) => {
      hold(tx, ['10.1.0.1', 'c1'])
      hold(tx, ['10.1.0.2', 'c2'])
      hold(tx, ['10.1.0.1', 'c1'], { network: 'other' })
      tx.release(NETWORK, eth0('c2'), 5)
      tx.forgetNetwork(NETWORK)
      t.same(
        tx.listHeld().map((lease) => lease.network),
        ['other'],
      )
      t.equal(tx.countUsed(NETWORK, SPAN), 0)
      t.equal(tx.findPool(NETWORK, 'a pool'), undefined)
      t.ok(tx.findPool('other', 'a pool'))
    })
  })

  test(`${name} remembers the addresses of a pod, in the next boot too`, async (t) => {
    const open = prepare(t)
    const pod = { network: NETWORK, podNamespace: 'default', podName: 'web-0', ifname: 'eth0' }
    const addresses = (...texts: string[]) => texts.map((text) => IpAddress.parse(text))
    open('boot-1').transaction((tx) => tx.remember(pod, addresses('fd00::2', '10.1.0.2')))
    const store = open('boot-2')
    store.transaction((tx) => {
      const of = (changes: Partial<typeof pod> = {}) => tx.listRemembered({ ...pod, ...changes }).map(String)
      t.same(of(), ['10.1.0.2', 'fd00::2'])
      for (const change of [{ network: 'x' }, { podNamespace: 'x' }, { podName: 'x' }, { ifname: 'x' }]) {
        t.same(of(change), [], JSON.stringify(change))
      }
      tx.remember({ ...pod, podName: 'web-1' }, addresses('10.1.0.2'))
      tx.remember({ ...pod, network: 'x' }, addresses('fd00::2'))
      t.same(of(), ['fd00::2'], 'the other is another pod’s now')
      tx.remember(pod, addresses('10.1.0.9'))
      t.same(of(), ['10.1.0.9'], 'in place of what was')
      t.same(of({ podName: 'web-1' }), ['10.1.0.2'])
    })
  })

  test(`${name} remembers so many addresses and no more`, async (t) => {
    const store = prepare(t)('boot-1')
    const pod = (nth: number) => ({ network: NETWORK, podNamespace: '', podName: `p${nth}`, ifname: 'eth0' })
    const first = IpAddress.parse('fd00::')
    store.transaction((tx) => {
      const all = Array.from({ length: REMEMBERED }, (_, nth) => first.plus(BigInt(nth)))
      tx.remember(pod(0), all)
      tx.remember(pod(1), [IpAddress.parse('10.1.0.2')])
      t.equal(tx.listRemembered(pod(0)).length, REMEMBERED - 1)
      t.equal(String(tx.listRemembered(pod(0))[0]), 'fd00::1')
      t.equal(tx.listRemembered(pod(1)).length, 1)
    })
  })

  test(`${name} calls back when a transaction is kept, and only then`, async (t) => {
    const open = prepare(t)
    const [store, other] = [open('boot-1'), open('boot-1')]
    const seen: unknown[] = []
    const look = (result: string) => {
      seen.push(
        result,
        other.read((tx) => tx.listHeld().map(describe)),
      )
    }
    store.transaction((tx) => {
      hold(tx, ['10.1.0.2', 'c1'])
      return 'kept'
    }, look)
    t.same(seen, ['kept', ['10.1.0.2 c1/eth0 @1']])
    const fail = (): string => {
      throw new Error('no')
    }
    t.throws(() => store.transaction(fail, look), { message: 'no' })
    t.equal(seen.length, 2)
  })

  test(`${name} changes nothing when it is probed`, async (t) => {
    const store = prepare(t)('boot-1')
    store.transaction((tx) => hold(tx, ['10.1.0.2', 'c1']))
    store.probe()
    t.same(store.read((tx) => tx.listHeld()).map(describe), ['10.1.0.2 c1/eth0 @1'])
  })

  test(`${name} lists the pools of this boot, those made last first`, async (t) => {
    const open = prepare(t)
    open('boot-0').transaction((tx) => tx.createPool(NETWORK, 'of another boot', 0))
    const store = open('boot-1')
    t.strictSame(
      store.read((reader) => reader.listPools()),
      [],
    )
    store.transaction((tx) => {
      tx.createPool(NETWORK, 'first', 0)
      tx.createPool('other', 'second', 1)
    })
    t.strictSame(
      store.read((reader) => reader.listPools().map((pool) => ({ ...pool }))),
      [
        { network: 'other', key: 'second', setIndex: 1 },
        { network: NETWORK, key: 'first', setIndex: 0 },
      ],
    )
  })

  test(`${name} knows no lease of an earlier boot`, async (t) => {
    const open = prepare(t)
    open('boot-1').transaction((tx) => hold(tx, ['10.1.0.2', 'c1']))
    const store = open('boot-2')
    t.same(
      store.read((tx) => [
        ...tx.listHeld(),
        ...tx.listHeld(NETWORK),
        ...tx.listByHolder(NETWORK, eth0('c1')),
      ]),
      [],
    )
    t.equal(
      store.read((tx) => tx.countHeld(NETWORK, SPAN)),
      0,
    )
    store.transaction((tx) => {
      t.equal(tx.countUsed(NETWORK, SPAN), 0)
      t.equal(tx.findPool(NETWORK, 'a pool'), undefined)
      hold(tx, ['10.1.0.2', 'c2'])
    })
    t.same(store.read((tx) => tx.listHeld()).map(describe), ['10.1.0.2 c2/eth0 @1'])
  })
}
