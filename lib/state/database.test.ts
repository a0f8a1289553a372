import { spawn } from 'node:child_process'
import { once } from 'node:events'
import {
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, dirname, join } from 'node:path'
import { type Test, test } from 'tap'

import { Database, type Schema } from './database.ts'
import type { StoreErrorCode } from './store-error.ts'

const SCHEMA: Schema = {
  migrations: ['CREATE TABLE rows (id INTEGER PRIMARY KEY, boot_id TEXT NOT NULL, text TEXT)'],
  forget: ['DELETE FROM rows WHERE boot_id <> ?'],
}

function databasePath(t: Test): string {
  const directory = mkdtempSync(join(tmpdir(), 'podwire-database-'))
  t.teardown(() => rmSync(directory, { recursive: true, force: true }))
  return join(directory, 'state', 'x.db')
}

function open(t: Test, path: string, { bootId = 'boot-1', schema = SCHEMA } = {}): Database {
  const db = Database.open(path, schema, { bootId, lockTimeoutMs: 50 })
  t.teardown(() => {
    if (existsSync(path)) db.close()
  })
  return db
}

function insert(db: Database, text: string, bootId = 'boot-1'): void {
  db.transaction(() => db.run('INSERT INTO rows (boot_id, text) VALUES (?, ?)', bootId, text))
}

function texts(db: Database): string[] {
  return db.read(() => db.list<{ text: string }>('SELECT text FROM rows ORDER BY id').map(({ text }) => text))
}

function failing(code: StoreErrorCode): { code: StoreErrorCode } {
  return { code }
}

/** A database of `boot-1` with enough rows for several pages, as a process leaves it that closes it. */
function prepare(path: string): void {
  const db = Database.open(path, SCHEMA, { bootId: 'boot-1' })
  db.transaction(() => {
    for (let i = 0; i < 300; i++) {
      db.run('INSERT INTO rows (boot_id, text) VALUES (?, ?)', 'boot-1', 'x'.repeat(100))
    }
  })
  db.close()
}

test('Database makes its files for root alone', async (t) => {
  const path = databasePath(t)
  insert(open(t, path), 'a')
  t.equal(statSync(join(path, '..')).mode & 0o777, 0o700)
  const files = ['x.db', 'x.db-shm', 'x.db-wal', 'x.db.lock']
  t.same(readdirSync(join(path, '..')).sort(), files)
  for (const file of files) t.equal(statSync(join(path, '..', file)).mode & 0o777, 0o600, file)
})

test('Database keeps a transaction whole or not at all', async (t) => {
  const db = open(t, databasePath(t))
  insert(db, 'kept')
  t.throws(
    () => {
      db.transaction(() => {
        db.run("INSERT INTO rows (boot_id, text) VALUES ('boot-1', 'undone')")
        throw new Error('changed my mind')
      })
    },
    { message: 'changed my mind' },
  )
  t.same(texts(db), ['kept'])
  insert(db, 'next')
  t.same(texts(db), ['kept', 'next'])
})

test('Database refuses a transaction within another', async (t) => {
  const db = open(t, databasePath(t))
  t.throws(() => db.transaction(() => insert(db, 'inner')), { message: 'transactions do not nest' })
})

test('Database shows what another connection wrote', async (t) => {
  const path = databasePath(t)
  const [one, two] = [open(t, path), open(t, path)]
  insert(one, 'a')
  insert(two, 'b')
  t.same(
    [texts(one), texts(two)],
    [
      ['a', 'b'],
      ['a', 'b'],
    ],
  )
})

test('Database forgets rows of earlier boots with the first transaction', async (t) => {
  const path = databasePath(t)
  insert(open(t, path), 'old')
  const db = open(t, path, { bootId: 'boot-2' })
  t.same(texts(db), ['old'])
  t.throws(
    () => {
      db.transaction(() => {
        throw new Error('no')
      })
    },
    { message: 'no' },
  )
  t.same(texts(db), [], 'whatever becomes of that transaction')
})

test('Database migrates from version to version', async (t) => {
  const path = databasePath(t)
  insert(open(t, path), 'first')
  const schema = { ...SCHEMA, migrations: [...SCHEMA.migrations, 'ALTER TABLE rows ADD COLUMN more TEXT'] }
  const db = open(t, path, { schema })
  t.same(
    db.read(() => db.list('SELECT text, more FROM rows')),
    [{ text: 'first', more: null }],
  )
})

test('Database refuses what a newer Podwire wrote', async (t) => {
  const path = databasePath(t)
  const running = open(t, path)
  const schema = { ...SCHEMA, migrations: [...SCHEMA.migrations, 'SELECT 1'] }
  open(t, path, { schema })
  t.throws(() => open(t, path), failing('ENEWER'))
  t.throws(() => insert(running, 'x'), failing('ENEWER'), 'also when it was open before')
  t.throws(() => running.runAlone('DELETE FROM rows'), failing('ENEWER'), 'and in one statement')
})

test('Database reports damage of this boot and keeps the file', async (t) => {
  for (const [name, damage] of [
    ['emptied', (path: string) => truncateSync(path, 0)],
    ['cut in the middle of a page', (path: string) => truncateSync(path, 6000)],
    ['cut after a page', (path: string) => truncateSync(path, 4096)],
    ['random bytes', (path: string) => writeFileSync(path, Buffer.alloc(20_000, 'zx'))],
    ['removed', (path: string) => rmSync(path)],
  ] as const) {
    const path = databasePath(t)
    prepare(path)
    damage(path)
    const before = existsSync(path) && readFileSync(path)
    t.throws(() => open(t, path), { ...failing('ECORRUPT'), path }, name)
    t.same(existsSync(path) && readFileSync(path), before, `${name}: file as it was`)
  }
})

test('Database names file, operation and remedy when it is damaged', async (t) => {
  const path = databasePath(t)
  prepare(path)
  writeFileSync(path, 'nonsense '.repeat(100))
  t.throws(() => open(t, path), {
    message: `open "${path}": ECORRUPT: file is not a database (SQLite 26)`,
    remedy: `what running pods hold can no longer be read: drain the node, then remove ${path}, ${path}-wal, ${path}-shm and ${path}.lock; a store damaged before a reboot is set aside by itself`,
  })
})

/** Of this process, as far as they lie in the directory of `path`. */
function openFiles(path: string): string[] {
  return readdirSync('/proc/self/fd').flatMap((fd) => {
    const target = readLinkIfThere(`/proc/self/fd/${fd}`)
    return target?.startsWith(dirname(path)) ? [basename(target)] : []
  })
}

/** That of readdir itself is gone by then. */
function readLinkIfThere(path: string): string | undefined {
  try {
    return readlinkSync(path)
  } catch (error) {
    if ((error as { code?: string }).code === 'ENOENT') return undefined
    throw error
  }
}

test('Database leaves no file open when it cannot be opened', async (t) => {
  for (const [name, damage] of [
    ['no database', (path: string) => writeFileSync(path, 'nonsense '.repeat(100))],
    ['rows of nonsense', (path: string) => scribble(path)],
  ] as const) {
    const path = databasePath(t)
    prepare(path)
    damage(path)
    rmSync(`${path}.lock`) // so that its pages are looked at, as in the first opening of a boot
    t.throws(() => open(t, path), failing('ECORRUPT'), name)
    t.same(openFiles(path), [], name)
  }
})

test('Database sets a file aside that was damaged before this boot', async (t) => {
  for (const [name, damage] of [
    ['random bytes', (path: string) => writeFileSync(path, Buffer.alloc(20_000, 'zx'))],
    ['a page of zeros', (path: string) => writeFileSync(path, Buffer.alloc(4096), { flag: 'r+' })],
    ['rows of nonsense', (path: string) => scribble(path)],
  ] as const) {
    const path = databasePath(t)
    prepare(path)
    damage(path)
    const db = open(t, path, { bootId: 'boot-2' })
    insert(db, 'new', 'boot-2')
    t.same(texts(db), ['new'], name)
    t.ok(existsSync(`${path}.damaged`), name)
  }
})

/** Leaves the first three pages, in which the schema is, and so opens without complaint. */
function scribble(path: string): void {
  const bytes = readFileSync(path)
  bytes.fill(0x5a, 3 * 4096)
  writeFileSync(path, bytes)
}

test('Database refuses a damaged file when nothing says that it is of an earlier boot', async (t) => {
  const path = databasePath(t)
  prepare(path)
  writeFileSync(path, 'nonsense '.repeat(100))
  rmSync(`${path}.lock`)
  t.throws(() => open(t, path, { bootId: 'boot-2' }), failing('ECORRUPT'))
})

test('Database notices that its file was removed', async (t) => {
  const path = databasePath(t)
  const db = open(t, path)
  insert(db, 'a')
  rmSync(path)
  t.throws(() => insert(db, 'b'), failing('ECORRUPT'))
  t.throws(() => texts(db), failing('ECORRUPT'))
})

test('Database begins anew when its whole directory was removed', async (t) => {
  const path = databasePath(t)
  const db = open(t, path)
  insert(db, 'a')
  rmSync(join(path, '..'), { recursive: true })
  insert(db, 'b')
  t.same(texts(db), ['b'])
  t.same(texts(open(t, path)), ['b'], 'where others see it')
})

test('Database names who holds the lock for too long', async (t) => {
  const path = databasePath(t)
  const [one, two] = [open(t, path), open(t, path)]
  one.transaction(() => {
    t.throws(() => insert(two, 'x'), {
      code: 'ELOCKED',
      message: new RegExp(`held by process ${process.pid} `),
    })
  })
  insert(two, 'later')
  t.same(texts(one), ['later'])
})

test('Database lets a reader read while another writes', async (t) => {
  const path = databasePath(t)
  const [one, two] = [open(t, path), open(t, path)]
  insert(one, 'a')
  one.transaction(() => {
    one.run("INSERT INTO rows (boot_id, text) VALUES ('boot-1', 'b')")
    t.same(texts(two), ['a'])
  })
  t.same(texts(two), ['a', 'b'])
})

test('Database does not let the WAL grow when processes end without closing', async (t) => {
  const path = databasePath(t)
  const db = open(t, path)
  for (let i = 0; i < 2000; i++) insert(db, 'x'.repeat(1000))
  t.ok(statSync(`${path}-wal`).size < 5 * 1024 * 1024, 'of 1000 pages, as SQLite has it')
  t.ok(statSync(path).size > 1024 * 1024)
})

test('Database empties a long WAL when it opens', async (t) => {
  const path = databasePath(t)
  const other = open(t, path)
  for (let i = 0; i < 200; i++) insert(other, 'x'.repeat(1000))
  t.ok(statSync(`${path}-wal`).size > 128 * 4096)
  const db = open(t, path)
  t.equal(statSync(`${path}-wal`).size, 0)
  t.equal(texts(db).length, 200)
})

test('Database does not wait for the disk when it commits', async (t) => {
  const db = open(t, databasePath(t))
  t.same(
    db.read(() => db.find('PRAGMA synchronous')),
    { synchronous: 1 }, // NORMAL
  )
})

/** Writes without end, three rows in each transaction; says so on stdout once it is at it. */
const WRITER = `
  import { randomUUID } from 'node:crypto'
  import { writeSync } from 'node:fs'
  import { Database } from ${JSON.stringify(new URL('database.ts', import.meta.url).href)}
  const db = Database.open(process.argv[1], ${JSON.stringify(SCHEMA)}, { bootId: 'boot-1' })
  for (let i = 0; ; i++) {
    const text = randomUUID()
    db.transaction(() => {
      for (let row = 0; row < 3; row++) db.run("INSERT INTO rows (boot_id, text) VALUES ('boot-1', ?)", text)
    })
    if (i === 20) writeSync(1, 'writing')
  }
`

function spawnWriter(path: string) {
  const args = ['--input-type=module-typescript', '--eval', WRITER, path]
  return spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] })
}

test('Database has whole transactions only when writers are killed', async (t) => {
  const path = databasePath(t)
  open(t, path)
  for (let round = 0; round < 3; round++) {
    const writers = [1, 2, 3, 4].map(() => spawnWriter(path))
    // Each says so after some transactions; by then all are in the middle of others.
    await Promise.all(writers.map((writer) => once(writer.stdout, 'data')))
    for (const writer of writers) writer.kill('SIGKILL')
    await Promise.all(writers.map((writer) => once(writer, 'exit')))
  }
  const db = open(t, path)
  const counts = db.read(() =>
    db.list<{ n: number }>('SELECT count(*) AS n FROM rows GROUP BY text').map(({ n }) => n),
  )
  t.ok(counts.length > 12)
  t.same(new Set(counts), new Set([3]), 'every transaction wrote three rows')
  insert(db, 'still writable')
})
