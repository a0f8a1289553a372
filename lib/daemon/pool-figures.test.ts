import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Test, test } from 'tap'
import { allocate } from '../ipam/allocator.ts'
import { LEASES_FILE } from '../ipam/lease-store.ts'
import { SqliteLeaseStore } from '../ipam/lease-store-sqlite.ts'
import { parseRangeSets } from '../ipam/range-set.ts'
import { PoolFigures } from './pool-figures.ts'

function open(t: Test) {
  const dataDir = mkdtempSync(join(tmpdir(), 'pw-pools-'))
  const store = SqliteLeaseStore.open(join(dataDir, LEASES_FILE), { bootId: 'boot-1' })
  t.teardown(() => {
    store.close()
    rmSync(dataDir, { recursive: true })
  })
  const hold = (network: string, count: number, ranges: Parameters<typeof parseRangeSets>[0]['ranges']) =>
    store.transaction((tx) => {
      const sets = parseRangeSets({ ranges })
      for (let i = 0; i < count; i++)
        allocate(tx, { network, containerId: `c${i}`, ifname: 'eth0', sets, nowMs: i })
    })
  const pools = new PoolFigures({ leases: () => store })
  return { dataDir, store, hold, pools }
}

test('pools are told by network, range set and family, with what no pod gets', async (t) => {
  const { dataDir, hold, pools, store } = open(t)
  t.strictSame(await pools.read(), [])
  pools.addDataDir(dataDir)
  pools.addDataDir('/nowhere')
  hold('a', 3, [
    [{ subnet: '10.1.0.0/24', exclude: ['10.1.0.100-10.1.0.109'] }, { subnet: '10.2.0.0/30' }],
    [{ subnet: 'fd00::/64' }],
  ])
  hold('b', 1, [[{ subnet: '10.3.0.0/30' }]])
  store.transaction((tx) => tx.release('a', { containerId: 'c1', ifname: 'eth0' }, 9))
  const figures = [...(await pools.read())].sort((x, y) =>
    x.network < y.network ? -1 : x.setIndex - y.setIndex,
  )
  t.strictSame(figures, [
    { network: 'a', setIndex: 0, family: 4, total: 244n, used: 2, reserved: 12n },
    { network: 'a', setIndex: 1, family: 6, total: 18446744073709551614n, used: 2, reserved: 1n },
    { network: 'b', setIndex: 0, family: 4, total: 1n, used: 1, reserved: 1n },
  ])
})

test('many leases are counted in pieces, and none twice', async (t) => {
  const { dataDir, hold, pools } = open(t)
  pools.addDataDir(dataDir)
  for (const count of [2000, 2001, 4500]) {
    hold(`n${count}`, count, [[{ subnet: '10.0.0.0/16' }]])
    const found = (await pools.read()).find(({ network }) => network === `n${count}`)
    t.equal(found?.used, count)
  }
})
