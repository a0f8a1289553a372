// Leases in SQLite.
//
// Addresses are stored as bytes in network order beside their family, so that their order is the numeric one.
// Two partial indexes keep the hot path independent of how many leases there are: who holds what, and which free
// address of a pool has been free longest (lease-store-sqlite.test.ts looks at the query plans).

import { type Family, IpAddress } from '../ip/address.ts'
import { Database, type DatabaseOptions, type Schema } from '../state/database.ts'
import {
  type Holder,
  type Lease,
  type LeaseReader,
  type LeaseStore,
  type LeaseTx,
  type NamedPool,
  type NewLease,
  type PodInterface,
  type Pool,
  REMEMBERED,
} from './lease-store.ts'
import type { Span } from './span.ts'
import { UpstreamDirectory } from './upstream-directory.ts'
import type { UpstreamLeases } from './upstream-leases.ts'

export const SCHEMA: Schema = {
  migrations: [
    `CREATE TABLE pools (
       id INTEGER PRIMARY KEY, network TEXT NOT NULL, key TEXT NOT NULL, boot_id TEXT NOT NULL,
       last BLOB, UNIQUE (network, key)
     ) STRICT;
     CREATE TABLE leases (
       network TEXT NOT NULL, family INTEGER NOT NULL, address BLOB NOT NULL,
       container_id TEXT NOT NULL, ifname TEXT NOT NULL, pod_namespace TEXT, pod_name TEXT,
       boot_id TEXT NOT NULL, acquired_at_ms INTEGER NOT NULL, released_at_ms INTEGER, pool_id INTEGER NOT NULL,
       PRIMARY KEY (network, family, address)
     ) STRICT, WITHOUT ROWID;
     CREATE INDEX held ON leases (network, container_id, ifname) WHERE released_at_ms IS NULL;
     CREATE INDEX free ON leases (pool_id, released_at_ms, family, address) WHERE released_at_ms IS NOT NULL`,
    `ALTER TABLE pools ADD COLUMN set_index INTEGER NOT NULL DEFAULT 0;
     CREATE TABLE remembered (
       id INTEGER PRIMARY KEY, network TEXT NOT NULL, family INTEGER NOT NULL, address BLOB NOT NULL,
       pod_namespace TEXT NOT NULL, pod_name TEXT NOT NULL, ifname TEXT NOT NULL,
       UNIQUE (network, family, address)
     ) STRICT;
     CREATE INDEX remembered_by_pod ON remembered (network, pod_namespace, pod_name, ifname)`,
    'ALTER TABLE leases ADD COLUMN netns TEXT',
  ],
  forget: ['DELETE FROM leases WHERE boot_id <> ?', 'DELETE FROM pools WHERE boot_id <> ?'],
}

const SELECT = `SELECT network, address, container_id AS containerId, ifname, netns, pod_namespace AS podNamespace,
  pod_name AS podName, boot_id AS bootId, acquired_at_ms AS acquiredAtMs, released_at_ms AS releasedAtMs FROM leases`
const SPAN = 'network = ? AND family = ? AND address BETWEEN ? AND ?'
const HELD = 'released_at_ms IS NULL'
const FREE = 'released_at_ms IS NOT NULL'
const POD = 'network = ? AND pod_namespace = ? AND pod_name = ? AND ifname = ?'
const BY_HOLDER = `network = ? AND container_id = ? AND ifname = ? AND ${HELD}`

/** A limit that is a parameter and nothing else is part of the plan, so that SQLite makes it anew for each value that is bound. */
const LIMIT = 'LIMIT ? + 0'

/**
 * INDEXED BY where SQLite, which has no statistics here, takes the primary key for better than the index that
 * knows: it read every lease of the network to find one holder's.
 *
 * Exported so that a test can look at every plan.
 */
export const SQL = {
  // With those of no interface, which upstream left in files of an older form.
  listByHolder: `${SELECT} INDEXED BY held WHERE network = ? AND container_id = ? AND ifname IN (?, '') AND ${HELD}
    AND boot_id = ? ORDER BY ifname, family, address`,
  listHeld: `${SELECT} WHERE ${HELD} AND boot_id = ? ORDER BY network, family, address`,
  listHeldOfNetwork: `${SELECT} WHERE network = ? AND ${HELD} AND boot_id = ? ORDER BY family, address`,
  countHeld: `SELECT count(*) AS count FROM leases WHERE ${SPAN} AND ${HELD} AND boot_id = ?`,
  findNth: `SELECT address FROM leases WHERE ${SPAN} ORDER BY address LIMIT 1 OFFSET ?`,
  listOldest: `${SELECT} WHERE ${SPAN} AND ${HELD} AND boot_id = ? ORDER BY acquired_at_ms, address ${LIMIT}`,
  find: `${SELECT} WHERE network = ? AND family = ? AND address = ?`,
  listUsed: `SELECT address FROM leases WHERE ${SPAN} ORDER BY address ${LIMIT}`,
  countUsed: `SELECT count(*) AS count FROM leases WHERE ${SPAN}`,
  hold: `INSERT INTO leases (network, family, address, container_id, ifname, pod_namespace, pod_name, boot_id,
      acquired_at_ms, pool_id, netns) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
    ON CONFLICT DO UPDATE SET container_id = excluded.container_id, ifname = excluded.ifname, netns = excluded.netns,
      pod_namespace = excluded.pod_namespace, pod_name = excluded.pod_name, boot_id = excluded.boot_id,
      acquired_at_ms = excluded.acquired_at_ms, released_at_ms = NULL, pool_id = excluded.pool_id
    WHERE ${FREE}`,
  release: `UPDATE leases INDEXED BY held SET released_at_ms = ? WHERE ${BY_HOLDER}`,
  // Before it, so that its pools have still an address that is held.
  releaseLater: `UPDATE leases SET released_at_ms = ? WHERE ${FREE} AND released_at_ms > ? AND pool_id IN
    (SELECT pool_id FROM leases INDEXED BY held WHERE ${BY_HOLDER})`,
  forget: 'DELETE FROM leases WHERE network = ? AND family = ? AND address = ?',
  findPool: 'SELECT id, last FROM pools WHERE network = ? AND key = ? AND boot_id = ?',
  listPools: 'SELECT network, key, set_index AS setIndex FROM pools WHERE boot_id = ? ORDER BY id DESC',
  createPool: 'INSERT INTO pools (network, key, set_index, boot_id) VALUES (?, ?, ?, ?) RETURNING id, last',
  setPoolLast: 'UPDATE pools SET last = ? WHERE id = ?',
  adopt: `UPDATE leases SET pool_id = ? WHERE ${SPAN} AND pool_id <> ?`,
  listFree: `SELECT address FROM leases WHERE pool_id = ? AND ${FREE} ORDER BY released_at_ms, family, address ${LIMIT}`,
  findLongestFree: `${SELECT} WHERE pool_id = ? AND ${FREE} ORDER BY released_at_ms, family, address LIMIT 1`,
  forgetReleased: `DELETE FROM leases WHERE (network, family, address) IN (SELECT network, family, address
    FROM leases WHERE pool_id = ? AND ${FREE} AND released_at_ms < ? ORDER BY released_at_ms ${LIMIT})`,
  // SQLite takes the other columns from the row that has the maximum (https://sqlite.org/lang_select.html#bareagg).
  listLastTaken: `SELECT set_index AS setIndex, address, max(acquired_at_ms) FROM pools
    JOIN leases ON pool_id = id AND leases.network = pools.network
    WHERE pools.network = ? AND leases.boot_id = ? GROUP BY set_index ORDER BY set_index`,
  forgetLeases: 'DELETE FROM leases WHERE network = ?',
  forgetPools: 'DELETE FROM pools WHERE network = ?',
  listRemembered: `SELECT address FROM remembered WHERE ${POD} ORDER BY family, address`,
  forgetPod: `DELETE FROM remembered WHERE ${POD}`,
  remember: `INSERT OR REPLACE INTO remembered (network, family, address, pod_namespace, pod_name, ifname)
    VALUES (?, ?, ?, ?, ?, ?)`,
  forgetLongestRemembered: 'DELETE FROM remembered WHERE id <= (SELECT max(id) FROM remembered) - ?',
} as const

interface LeaseRow extends Holder {
  readonly network: string
  readonly address: Uint8Array
  readonly netns: string | null
  readonly podNamespace: string | null
  readonly podName: string | null
  readonly bootId: string
  readonly acquiredAtMs: number
  readonly releasedAtMs: number | null
}

export class SqliteLeaseStore implements LeaseStore {
  readonly upstream: UpstreamLeases
  readonly #db: Database
  readonly #leases: SqliteLeases

  private constructor(db: Database, bootId: string) {
    this.upstream = new UpstreamDirectory(db.path)
    this.#db = db
    this.#leases = new SqliteLeases(db, bootId)
  }

  /**
   * @param path  the database's file, made where it is missing; its directory is also that of upstream's leases
   * @throws StoreError
   */
  static open(path: string, options: DatabaseOptions): SqliteLeaseStore {
    return new SqliteLeaseStore(Database.open(path, SCHEMA, options), options.bootId)
  }

  transaction<T>(work: (tx: LeaseTx) => T, committed?: (result: T) => void): T {
    return this.#db.transaction(() => work(this.#leases), committed)
  }

  read<T>(work: (reader: LeaseReader) => T): T {
    return this.#db.read(() => work(this.#leases))
  }

  probe(): void {
    this.#db.probe()
  }

  close(): void {
    this.#db.close()
  }
}

class SqliteLeases implements LeaseTx {
  readonly #db: Database
  readonly #bootId: string

  constructor(db: Database, bootId: string) {
    this.#db = db
    this.#bootId = bootId
  }

  listByHolder(network: string, { containerId, ifname }: Holder): Lease[] {
    const all = this.#list(SQL.listByHolder, network, containerId, ifname, this.#bootId)
    const own = all.filter((lease) => lease.ifname === ifname)
    return own.length > 0 ? own : all
  }

  listHeld(network?: string): Lease[] {
    return network === undefined
      ? this.#list(SQL.listHeld, this.#bootId)
      : this.#list(SQL.listHeldOfNetwork, network, this.#bootId)
  }

  countHeld(network: string, span: Span): number {
    return this.#count(SQL.countHeld, ...spanOf(network, span), this.#bootId)
  }

  findNth(network: string, span: Span, nth: number): IpAddress | undefined {
    const row = this.#db.find<{ address: Uint8Array }>(SQL.findNth, ...spanOf(network, span), nth)
    return row && IpAddress.fromBytes(row.address)
  }

  listOldest(network: string, span: Span, limit: number): Lease[] {
    return this.#list(SQL.listOldest, ...spanOf(network, span), this.#bootId, limit)
  }

  listLastTaken(network: string): { setIndex: number; address: IpAddress }[] {
    return this.#db
      .list<{ setIndex: number; address: Uint8Array }>(SQL.listLastTaken, network, this.#bootId)
      .map(({ setIndex, address }) => ({ setIndex, address: IpAddress.fromBytes(address) }))
  }

  find(network: string, address: IpAddress): Lease | undefined {
    return this.#list(SQL.find, network, ...keyOf(address))[0]
  }

  listUsed(network: string, span: Span, limit: number): IpAddress[] {
    const rows = this.#db.list<{ address: Uint8Array }>(SQL.listUsed, ...spanOf(network, span), limit)
    return rows.map((row) => IpAddress.fromBytes(row.address))
  }

  countUsed(network: string, span: Span): number {
    return this.#count(SQL.countUsed, ...spanOf(network, span))
  }

  hold(lease: NewLease, poolId: number): void {
    const changed = this.#db.run(
      SQL.hold,
      lease.network,
      ...keyOf(lease.address),
      lease.containerId,
      lease.ifname,
      lease.podNamespace ?? null,
      lease.podName ?? null,
      this.#bootId,
      lease.acquiredAtMs,
      poolId,
      lease.netns ?? null,
    )
    if (changed === 0) throw new Error(`${lease.address} of network ${lease.network} is held`)
  }

  release(network: string, holder: Holder, nowMs: number): Lease[] {
    const held = this.listByHolder(network, holder)
    const [first] = held
    if (first) {
      const key = [network, first.containerId, first.ifname] as const
      // Released by a clock that was set back since then: not after what is released now.
      this.#db.run(SQL.releaseLater, nowMs - 1, nowMs, ...key)
      this.#db.run(SQL.release, nowMs, ...key)
    }
    return held
  }

  forget(network: string, address: IpAddress): void {
    this.#db.run(SQL.forget, network, ...keyOf(address))
  }

  findPool(network: string, key: string): Pool | undefined {
    const row = this.#db.find<PoolRow>(SQL.findPool, network, key, this.#bootId)
    return row && toPool(row)
  }

  listPools(): NamedPool[] {
    return this.#db.list<NamedPool>(SQL.listPools, this.#bootId)
  }

  createPool(network: string, key: string, setIndex: number): Pool {
    const [row] = this.#db.list<PoolRow>(SQL.createPool, network, key, setIndex, this.#bootId)
    if (row === undefined) throw new Error('INSERT without RETURNING')
    return toPool(row)
  }

  setPoolLast(poolId: number, last: IpAddress | undefined): void {
    this.#db.run(SQL.setPoolLast, last?.toBytes() ?? null, poolId)
  }

  adopt(poolId: number, network: string, span: Span): void {
    this.#db.run(SQL.adopt, poolId, ...spanOf(network, span), poolId)
  }

  listFree(poolId: number, limit: number): IpAddress[] {
    return this.#db
      .list<{ address: Uint8Array }>(SQL.listFree, poolId, limit)
      .map(({ address }) => IpAddress.fromBytes(address))
  }

  findLongestFree(poolId: number): Lease | undefined {
    return this.#list(SQL.findLongestFree, poolId)[0]
  }

  forgetReleased(poolId: number, beforeMs: number, limit: number): void {
    this.#db.run(SQL.forgetReleased, poolId, beforeMs, limit)
  }

  forgetNetwork(network: string): void {
    this.#db.run(SQL.forgetLeases, network)
    this.#db.run(SQL.forgetPools, network)
  }

  listRemembered(pod: PodInterface): IpAddress[] {
    return this.#db
      .list<{ address: Uint8Array }>(SQL.listRemembered, ...podKey(pod))
      .map(({ address }) => IpAddress.fromBytes(address))
  }

  remember(pod: PodInterface, addresses: readonly IpAddress[]): void {
    const [network, ...rest] = podKey(pod)
    this.#db.run(SQL.forgetPod, network, ...rest)
    for (const address of addresses) this.#db.run(SQL.remember, network, ...keyOf(address), ...rest)
    this.#db.run(SQL.forgetLongestRemembered, REMEMBERED)
  }

  #list(sql: string, ...parameters: (string | number | Uint8Array)[]): Lease[] {
    return this.#db.list<LeaseRow>(sql, ...parameters).map(toLease)
  }

  #count(sql: string, ...parameters: (string | number | Uint8Array)[]): number {
    return this.#db.find<{ count: number }>(sql, ...parameters)?.count ?? 0
  }
}

interface PoolRow {
  readonly id: number
  readonly last: Uint8Array | null
}

function toPool({ id, last }: PoolRow): Pool {
  return { id, last: last === null ? undefined : IpAddress.fromBytes(last) }
}

function toLease(row: LeaseRow): Lease {
  const { address, netns, podNamespace, podName, releasedAtMs, ...rest } = row
  return {
    ...rest,
    address: IpAddress.fromBytes(address),
    ...(netns !== null && { netns }),
    ...(podNamespace !== null && { podNamespace }),
    ...(podName !== null && { podName }),
    ...(releasedAtMs !== null && { releasedAtMs }),
  }
}

function keyOf(address: IpAddress): [Family, Uint8Array] {
  return [address.family, address.toBytes()]
}

function spanOf(network: string, { start, end }: Span): [string, Family, Uint8Array, Uint8Array] {
  return [network, start.family, start.toBytes(), end.toBytes()]
}

function podKey({ network, podNamespace, podName, ifname }: PodInterface): [string, string, string, string] {
  return [network, podNamespace, podName, ifname]
}
