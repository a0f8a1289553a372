// A small SQLite database that several processes share: the one importer of node:sqlite.
//
// WAL with synchronous=NORMAL: a commit costs no fsync. Rows mean something only within one boot, so what is asked
// of a power cut is a consistent file, not the last rows. Every writer holds the lock beside the file, so SQLite's
// own locks are never contended. A process may end without closing (_exit): the WAL stays and is read by the next.
// Opening reads it from its start, so a long one costs every process (128 pages: 0.5 ms, 1000: 2 ms): whoever finds it
// longer than CHECKPOINT_PAGES copies it back and empties it. SQLite's own checkpoint, at 1000 pages, does not empty the
// WAL, and what it has copied back is forgotten when the last process ends; it is for a process that stays, which does
// not read the WAL again, and is held up by the disk for each checkpoint (fsync(2), three times).

import { closeSync, existsSync, openSync, readSync, renameSync, rmSync, statSync } from 'node:fs'
import type { DatabaseSync, SQLInputValue, StatementSync } from 'node:sqlite'

import { loadNative } from '../native/native.ts'
import { hasCode } from '../native/node-error.ts'
import { isLaterBoot } from './boot.ts'
import { FileLock, type Flock } from './file-lock.ts'
import { requireOwnFiles } from './own-file.ts'
import { storeErrorOfSqlite } from './sqlite-error.ts'
import { remedyFor, StoreError, storeErrorOfErrno } from './store-error.ts'
import { leastWalBytes, WAL_INDEX_BYTES } from './wal-index.ts'

const CHECKPOINT_PAGES = 128
const PAGE_BYTES = 4096
const LOCK_TIMEOUT_MS = 20_000
/** Only for those who do not know our lock: the sqlite3 shell, backups. */
const BUSY_TIMEOUT_MS = 5_000
const BOOT = 'SELECT id FROM boot'
/** In the lock's note, after the boot's id: rows of that boot may be there, and its id is. */
const WRITTEN = ' written'
const LOG_LOST = 'its log (WAL) lost what was committed in this boot'

export interface Schema {
  /** SQL scripts: the one at index n takes a database from version n to n + 1. Never edit one that was released. */
  readonly migrations: readonly string[]
  /** Statements with one parameter, this boot's id: they delete what earlier boots left. */
  readonly forget: readonly string[]
}

export interface DatabaseOptions {
  /** @see bootId */
  readonly bootId: string
  readonly lockTimeoutMs?: number
  readonly flock?: Flock
}

export class Database {
  static readonly #opened = new Set<Database>()
  readonly path: string
  readonly #schema: Schema
  readonly #bootId: string
  readonly #lock: FileLock
  readonly #lockTimeoutMs: number
  #sqlite: DatabaseSync
  readonly #log: { readonly wal: string; readonly shm: string }
  #identity: string | undefined
  #logIdentity: { wal: string | undefined; shm: string | undefined } = { wal: undefined, shm: undefined }
  #forgotten = false
  readonly #statements = new Map<string, StatementSync>()

  private constructor(path: string, schema: Schema, options: DatabaseOptions) {
    this.path = path
    this.#log = { wal: `${path}-wal`, shm: `${path}-shm` }
    this.#schema = schema
    this.#bootId = options.bootId
    this.#lockTimeoutMs = options.lockTimeoutMs ?? LOCK_TIMEOUT_MS
    this.#lock = FileLock.open(`${path}.lock`, options.flock ?? loadNative().flock)
    try {
      this.#sqlite = this.#locked(() => this.#open())
    } catch (error) {
      this.#lock.close()
      throw error
    }
  }

  /**
   * Opens the file, making it (0600), its directories (0700) and its tables where they are missing.
   *
   * A damaged file that was not used in this boot holds nothing live: it is renamed to `<path>.damaged` and a new
   * one begun. One that was is left alone, and so is one that vanished: ECORRUPT.
   *
   * @throws StoreError
   */
  static open(path: string, schema: Schema, options: DatabaseOptions): Database {
    return new Database(path, schema, options)
  }

  /**
   * Runs `work` alone: no other process writes meanwhile. All of it is kept, or nothing when it throws.
   *
   * `work` is synchronous and short, so a daemon can wait for the lock without blocking (FileLock.tryAcquire)
   * and call the same code once it has it.
   *
   * @param committed  what to do outside the database once it is all kept; no other process comes in between
   * @throws StoreError, or what `work` or `committed` throws
   */
  transaction<T>(work: (db: Database) => T, committed?: (result: T) => void): T {
    if (this.#sqlite.isOpen && this.#sqlite.isTransaction) throw new Error('transactions do not nest')
    return this.#locked(() => {
      const result = this.#write(() =>
        this.#run('BEGIN IMMEDIATE', () => {
          this.#refuseNewerSchema()
          return work(this)
        }),
      )
      committed?.(result)
      return result
    })
  }

  /**
   * Writes, but changes nothing, not even what earlier boots left: what a transaction would fail on, this fails on.
   *
   * @throws StoreError
   */
  probe(): void {
    this.#locked(() => {
      this.#reopenIfReplaced()
      this.#guard('write', () =>
        this.#run('BEGIN IMMEDIATE', () => {
          this.#refuseNewerSchema()
          // An UPDATE to what is there already writes nothing (btreeOverwriteContent of SQLite's btree.c).
          this.run("INSERT INTO boot (id) VALUES ('')")
          this.run("DELETE FROM boot WHERE id = ''")
        }),
      )
    })
  }

  /** Runs `work`, which only reads, on one snapshot; writers are not kept waiting. @throws StoreError */
  read<T>(work: (db: Database) => T): T {
    this.#reopenToRead()
    return this.#guard('read', () => this.#run('BEGIN', () => work(this)))
  }

  /** A transaction of one statement, which needs no other around it. @returns how many rows were changed. @throws StoreError */
  runAlone(sql: string, ...parameters: SQLInputValue[]): number {
    return this.#locked(() =>
      this.#write(() => {
        this.#refuseNewerSchema()
        return this.run(sql, ...parameters)
      }),
    )
  }

  /** As `read`, of one statement. @throws StoreError */
  findAlone<Row>(sql: string, ...parameters: SQLInputValue[]): Row | undefined {
    this.#reopenToRead()
    return this.#guard('read', () => this.find<Row>(sql, ...parameters))
  }

  /** @returns how many rows were changed */
  run(sql: string, ...parameters: SQLInputValue[]): number {
    return Number(this.#prepare(sql).run(...parameters).changes)
  }

  /** @typeParam Row  what the statement selects: text, numbers, bytes, null */
  find<Row>(sql: string, ...parameters: SQLInputValue[]): Row | undefined {
    return this.#prepare(sql).get(...parameters) as Row | undefined
  }

  list<Row>(sql: string, ...parameters: SQLInputValue[]): Row[] {
    return this.#prepare(sql).all(...parameters) as Row[]
  }

  /** Copies the WAL back when this is the last user. Not needed: a process may as well just end. */
  close(): void {
    this.#locked(() => this.#close())
    this.#lock.close()
  }

  #prepare(sql: string): StatementSync {
    const known = this.#statements.get(sql)
    if (known !== undefined) return known
    const statement = this.#sqlite.prepare(sql)
    this.#statements.set(sql, statement)
    return statement
  }

  #locked<T>(work: () => T): T {
    this.#lock.acquire(this.#lockTimeoutMs)
    try {
      return work()
    } finally {
      this.#lock.release()
    }
  }

  /** Under the lock. */
  #write<T>(work: () => T): T {
    this.#reopenIfReplaced()
    return this.#guard('write', () => {
      this.#forgetEarlierBoots()
      return work()
    })
  }

  #run<T>(begin: string, work: () => T): T {
    this.#prepare(begin).run()
    try {
      const result = work()
      this.#prepare('COMMIT').run()
      return result
    } catch (error) {
      // After a full disk or an I/O error SQLite has rolled back by itself.
      if (this.#sqlite.isTransaction) this.#sqlite.exec('ROLLBACK')
      throw error
    }
  }

  #guard<T>(operation: string, work: () => T): T {
    try {
      return work()
    } catch (error) {
      throw storeErrorOfSqlite(error, operation, this.path)
    }
  }

  /** Under the lock. Its note says in which boot the store was last written; builds before noted each opening, without WRITTEN. */
  #open(): DatabaseSync {
    requireOwnFiles([this.path, this.#log.wal, this.#log.shm])
    const note = this.#lock.readNote()
    const isWritten = note.endsWith(WRITTEN)
    const bootId = isWritten ? note.slice(0, -WRITTEN.length) : note
    this.#refuseLaterBoot(bootId)
    const sqlite = bootId === this.#bootId ? this.#openUsed(isWritten) : this.#openFirst(bootId !== '')
    this.#identity = loadNative().identify(this.path)
    this.#logIdentity = this.#identifyLog()
    Database.#opened.add(this)
    return sqlite
  }

  #openUsed(isWritten: boolean): DatabaseSync {
    if (sizeOf(this.path) === 0) throw this.#corrupt('it was emptied or removed')
    const leastWalBytes = this.#leastWalBytes() // first: the log may grow by the hand of somebody who does not know our lock
    if (sizeOf(this.#log.wal) < leastWalBytes) throw this.#corrupt(LOG_LOST)
    const sqlite = this.#guard('open', () => this.#connect({ atLeast: 1 }))
    if (!isWritten) return sqlite
    return closingOnError(sqlite, () => {
      const bootId = this.#guard('open', () => sqlite.prepare(BOOT).get()?.['id'])
      if (bootId !== this.#bootId) throw this.#corrupt(LOG_LOST)
      this.#forgotten = true
    })
  }

  /** To close a file drops the POSIX locks that another connection of this process has on it. */
  #leastWalBytes(): number {
    const identity = loadNative().identify(this.path) // a path may be spelled in several ways
    const isOpen = [...Database.#opened].some((other) => other !== this && other.#identity === identity)
    return isOpen ? 0 : leastWalBytes(readStart(this.#log.shm, WAL_INDEX_BYTES))
  }

  /** The first opening in this boot also looks for what a power cut may have done. */
  #openFirst(ofEarlierBoot: boolean): DatabaseSync {
    try {
      createFile(this.path)
      return this.#guard('open', () => this.#connectAndCheck())
    } catch (error) {
      if (!ofEarlierBoot || !isCorrupt(error)) throw error
      setAside(this.path)
      createFile(this.path)
      return this.#guard('open', () => this.#connect())
    }
  }

  #connectAndCheck(): DatabaseSync {
    const sqlite = this.#connect()
    return closingOnError(sqlite, () => {
      // quick_check would not compare indexes with their tables.
      const verdict = pragma(sqlite, 'integrity_check(1)')
      if (verdict !== 'ok') throw this.#corrupt(String(verdict))
    })
  }

  /** @param atLeast  the version that its schema has */
  #connect({ atLeast = 0 } = {}): DatabaseSync {
    // Loaded here and not by an import: a process that opens no store does without.
    const { DatabaseSync } = process.getBuiltinModule('node:sqlite')
    const sqlite = new DatabaseSync(this.path, { timeout: BUSY_TIMEOUT_MS })
    return closingOnError(sqlite, () => {
      sqlite.exec('PRAGMA synchronous = NORMAL')
      this.#migrate(sqlite, atLeast)
      if (sizeOf(this.#log.wal) > CHECKPOINT_PAGES * PAGE_BYTES) pragma(sqlite, 'wal_checkpoint(TRUNCATE)')
    })
  }

  #migrate(sqlite: DatabaseSync, atLeast: number): void {
    const version = this.#readVersion(sqlite)
    if (version < atLeast) throw this.#corrupt(LOG_LOST)
    const ours = this.#schema.migrations.length
    if (version === ours) return
    if (version === 0) this.#enableWal(sqlite)
    const scripts = this.#schema.migrations.slice(version)
    if (version === 0) scripts.unshift('CREATE TABLE boot (id TEXT NOT NULL) STRICT')
    sqlite.exec(`BEGIN IMMEDIATE; ${scripts.join(';')}; PRAGMA user_version = ${ours}; COMMIT`)
  }

  /** A newer Podwire may have come while this process (a daemon) ran. */
  #refuseNewerSchema(): void {
    const version = this.find<{ user_version: number }>('PRAGMA user_version')?.user_version ?? 0
    if (version > this.#schema.migrations.length) this.#readVersion(this.#sqlite)
  }

  #readVersion(sqlite: DatabaseSync): number {
    const version = Number(pragma(sqlite, 'user_version'))
    const ours = this.#schema.migrations.length
    if (version > ours) throw this.#failure('ENEWER', `its schema has version ${version}, ours ${ours}`)
    return version
  }

  #enableWal(sqlite: DatabaseSync): void {
    const mode = pragma(sqlite, 'journal_mode = WAL')
    if (mode !== 'wal') throw this.#failure('EIO', 'the file system cannot share memory between processes')
  }

  /** Once in each boot, before the first change; SQLite knows best whether it was done. */
  #forgetEarlierBoots(): void {
    if (this.#forgotten) return
    const bootId = this.find<{ id: string }>(BOOT)?.id
    if (bootId !== this.#bootId) {
      if (bootId !== undefined) this.#refuseLaterBoot(bootId)
      this.#run('BEGIN IMMEDIATE', () => {
        for (const sql of this.#schema.forget) this.run(sql, this.#bootId)
        this.run('DELETE FROM boot')
        this.run('INSERT INTO boot (id) VALUES (?)', this.#bootId)
      })
    }
    this.#lock.writeNote(`${this.#bootId}${WRITTEN}`)
    this.#forgotten = true
  }

  /** What another PID namespace wrote looks as if it were of a boot after ours. */
  #refuseLaterBoot(bootId: string): void {
    if (!isLaterBoot(bootId, this.#bootId)) return
    throw new StoreError('EIO', {
      operation: 'open',
      path: this.path,
      why: `it was written in a PID namespace that is not the node's (boot ${bootId}, ours is ${this.#bootId})`,
      remedy: `have nothing share it from another PID namespace; ${remedyFor('ECORRUPT', this.path)}`,
    })
  }

  /** A file that was removed or replaced is read and written by nobody else: its rows would be ours alone. */
  #isReplaced(): boolean {
    const identity = loadNative().identify(this.path)
    return identity === undefined || identity !== this.#identity
  }

  #reopenToRead(): void {
    if (this.#isReplaced()) this.#locked(() => this.#reopenIfReplaced())
  }

  #reopenIfReplaced(): void {
    if (!this.#isReplaced() && !this.#isLogReplaced()) return
    if (!this.#isReplaced() && this.#isWalReplaced())
      throw this.#corrupt('its log (WAL) was removed or replaced while it was in use')
    this.#statements.clear()
    this.#forgotten = false
    this.#close()
    this.#sqlite = this.#open()
  }

  #close(): void {
    if (!this.#sqlite.isOpen) return
    // SQLite leaves the WAL alone when the file is no longer where it was opened.
    if (this.#isReplaced() || !this.#isLogReplaced()) this.#sqlite.close()
    // Of two logs SQLite would copy back the one that we have, and remove the other.
    else if (this.#isWalReplaced()) return
    else this.#guard('close', () => this.#leave())
    Database.#opened.delete(this)
    this.#identity = undefined
  }

  #identifyLog(): { wal: string | undefined; shm: string | undefined } {
    const { identify } = loadNative()
    return { wal: identify(this.#log.wal), shm: identify(this.#log.shm) }
  }

  /** SQLite removes neither while we have the database open. */
  #isLogReplaced(): boolean {
    return this.#isWalReplaced() || loadNative().identify(this.#log.shm) !== this.#logIdentity.shm
  }

  #isWalReplaced(): boolean {
    return loadNative().identify(this.#log.wal) !== this.#logIdentity.wal
  }

  /**
   * Closes, but leaves database and WAL as they are: those who have mapped another -shm have written there what we do
   * not know of. SQLite copies the WAL back and removes it when it can lock the database for itself: the first of two
   * connections cannot, and the second has no right to write.
   */
  #leave(): void {
    const { DatabaseSync } = process.getBuiltinModule('node:sqlite')
    const last = new DatabaseSync(this.path, { readOnly: true })
    try {
      last.prepare(BOOT).get()
      this.#sqlite.close()
    } finally {
      last.close()
    }
  }

  #corrupt(why: string): StoreError {
    return this.#failure('ECORRUPT', why)
  }

  #failure(code: 'ECORRUPT' | 'ENEWER' | 'EIO', why: string): StoreError {
    return new StoreError(code, {
      operation: 'open',
      path: this.path,
      why,
      remedy: remedyFor(code, this.path),
    })
  }
}

function pragma(sqlite: DatabaseSync, text: string): unknown {
  return Object.values(sqlite.prepare(`PRAGMA ${text}`).get() ?? {})[0]
}

/** @returns the connection, when nothing is thrown */
function closingOnError(sqlite: DatabaseSync, work: () => void): DatabaseSync {
  try {
    work()
    return sqlite
  } catch (error) {
    sqlite.close()
    throw error
  }
}

function isCorrupt(error: unknown): boolean {
  return error instanceof StoreError && error.code === 'ECORRUPT'
}

function sizeOf(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.size ?? 0
}

/** @returns fewer bytes when it has fewer, none when it is not there */
function readStart(path: string, length: number): Buffer {
  const bytes = Buffer.alloc(length)
  try {
    const fd = openSync(path, 'r')
    try {
      return bytes.subarray(0, readSync(fd, bytes))
    } finally {
      closeSync(fd)
    }
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return bytes.subarray(0, 0)
    throw storeErrorOfErrno(error, 'read', path)
  }
}

/**
 * SQLite would make it 0644. An existing file is not even opened: closing it would drop the POSIX locks that
 * SQLite holds on it through another connection of this process (https://sqlite.org/howtocorrupt.html, 2.2).
 */
function createFile(path: string): void {
  if (existsSync(path)) return
  try {
    closeSync(openSync(path, 'wx', 0o600))
  } catch (error) {
    throw storeErrorOfErrno(error, 'create', path)
  }
}

/** With its WAL, so that what is left can still be read: `sqlite3 <path>.damaged .recover`. */
function setAside(path: string): void {
  renameSync(path, `${path}.damaged`)
  rmSync(`${path}.damaged-wal`, { force: true })
  if (existsSync(`${path}-wal`)) renameSync(`${path}-wal`, `${path}.damaged-wal`)
  rmSync(`${path}-shm`, { force: true })
}
