import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { type Test, test } from 'tap'

import { Database } from '../state/database.ts'
import { SCHEMA, SQL, SqliteLeaseStore } from './lease-store-sqlite.ts'

function leasesPath(t: Test): string {
  const directory = mkdtempSync(join(tmpdir(), 'podwire-leases-'))
  t.teardown(() => rmSync(directory, { recursive: true, force: true }))
  return join(directory, 'leases.db')
}

/** What may read more leases the more there are: lists of everything, and what an exhausted set has to say. */
const READS_ALL = ['listHeld', 'listOldest', 'listLastTaken', 'listPools']

test('SqliteLeaseStore searches an index in every statement', async (t) => {
  const db = Database.open(leasesPath(t), SCHEMA, { bootId: 'boot-1' })
  for (const [name, sql] of Object.entries(SQL)) {
    const parameters = Array.from(sql.matchAll(/\?/g), () => 1)
    const plan = db.list<{ detail: string }>(`EXPLAIN QUERY PLAN ${sql}`, ...parameters)
    for (const { detail } of plan.filter(() => !READS_ALL.includes(name))) {
      t.match(detail, /^(?:SEARCH|LIST SUBQUERY|SCALAR SUBQUERY)/, `${name}: ${detail}`)
    }
  }
})

test('SqliteLeaseStore finds a holder without reading the other leases', async (t) => {
  const db = Database.open(leasesPath(t), SCHEMA, { bootId: 'boot-1' })
  for (const [sql, index] of [
    [SQL.listByHolder, 'held (network=? AND container_id=? AND ifname=?)'],
    [SQL.release, 'held (network=? AND container_id=? AND ifname=?)'],
    [SQL.findLongestFree, 'free (pool_id=? AND released_at_ms>?)'],
  ] as const) {
    const parameters = Array.from(sql.matchAll(/\?/g), () => 1)
    const plan = db.list<{ detail: string }>(`EXPLAIN QUERY PLAN ${sql}`, ...parameters)
    t.same(
      plan.map(({ detail }) => detail),
      [`SEARCH leases USING INDEX ${index}`],
    )
  }
})

/** Takes eight addresses of each family and prints them; ends as the product does, without closing. */
const WORKER = `
  import { writeSync } from 'node:fs'
  import { allocate } from ${JSON.stringify(new URL('allocator.ts', import.meta.url).href)}
  import { parseRangeSets } from ${JSON.stringify(new URL('range-set.ts', import.meta.url).href)}
  import { SqliteLeaseStore } from ${JSON.stringify(new URL('lease-store-sqlite.ts', import.meta.url).href)}
  import { loadNative } from ${JSON.stringify(new URL('../native/native.ts', import.meta.url).href)}
  const [, path, worker] = process.argv
  const sets = parseRangeSets({ ranges: [[{ subnet: '10.1.0.0/24' }], [{ subnet: 'fd00::/64' }]] })
  const store = SqliteLeaseStore.open(path, { bootId: 'boot-1' })
  for (let i = 0; i < 8; i++) {
    const request = { network: 'n', containerId: worker + '-' + i, ifname: 'eth0', sets, nowMs: i }
    const taken = store.transaction((tx) => allocate(tx, request))
    writeSync(1, taken.map(({ address }) => address + ' ').join(''))
  }
  loadNative().exit(0)
`

test('SqliteLeaseStore gives no address twice to sixteen processes at once', async (t) => {
  const path = leasesPath(t)
  const outputs = Array.from({ length: 16 }, async (_, worker) => {
    const args = ['--input-type=module-typescript', '--eval', WORKER, path, String(worker)]
    const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] })
    const [output, [status]] = await Promise.all([text(child.stdout), once(child, 'exit')])
    t.equal(status, 0)
    return output.trim().split(' ')
  })
  const taken = (await Promise.all(outputs)).flat()
  t.equal(taken.length, 16 * 8 * 2)
  t.equal(new Set(taken).size, taken.length, 'no address twice')
  const store = SqliteLeaseStore.open(path, { bootId: 'boot-1' })
  t.same(
    new Set(store.read((tx) => tx.listHeld('n').map((lease) => String(lease.address)))),
    new Set(taken.map((address) => address.replace(/\/.*/, ''))),
    'all are in the store',
  )
})

test('SqliteLeaseStore goes on with what the first version of its schema holds', async (t) => {
  const path = leasesPath(t)
  const first = { ...SCHEMA, migrations: SCHEMA.migrations.slice(0, 1) }
  const before = Database.open(path, first, { bootId: 'boot-1' })
  before.transaction((db) => {
    db.run("INSERT INTO pools (network, key, boot_id) VALUES ('n', 'k', 'boot-1')")
    db.run(`INSERT INTO leases (network, family, address, container_id, ifname, boot_id, acquired_at_ms, pool_id)
      VALUES ('n', 4, x'0a010002', 'c1', 'eth0', 'boot-1', 1, 1)`)
  })
  before.close()
  const store = SqliteLeaseStore.open(path, { bootId: 'boot-1' })
  t.same(
    store.read((tx) => tx.listHeld('n').map((lease) => String(lease.address))),
    ['10.1.0.2'],
  )
  t.match(
    store.read((tx) => tx.listLastTaken('n')),
    [{ setIndex: 0 }],
  )
})
