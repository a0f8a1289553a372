import { spawn, spawnSync } from 'node:child_process'
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
import { DatabaseSync } from 'node:sqlite'
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

/** Locks of this process on the file, POSIX, as the kernel lists them (proc(5)). */
function locksOn(path: string): number {
  const inode = `:${statSync(path).ino} `
  const lines = readFileSync('/proc/locks', 'utf8').split('\n')
  return lines.filter(
    (line) => line.includes(' POSIX ') && line.includes(` ${process.pid} `) && line.includes(inode),
  ).length
}

test('Database keeps its locks when it is opened by another spelling of its path', (t) => {
  const path = databasePath(t)
  const db = open(t, path)
  insert(db, 'a')
  const before = locksOn(`${path}-shm`)
  t.ok(before > 0)
  const other = open(t, `${dirname(path)}//${basename(path)}`)
  t.strictSame(texts(other), ['a'])
  t.ok(locksOn(`${path}-shm`) >= before)
  t.end()
})

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

/** Two indexes of the same shape: one's pages in the other's place are well-formed, and wrong. */
const INDEXED: Schema = {
  migrations: [
    `CREATE TABLE rows (id INTEGER PRIMARY KEY, boot_id TEXT NOT NULL, text TEXT, reversed TEXT);
     CREATE INDEX by_text ON rows (text);
     CREATE INDEX by_reversed ON rows (reversed)`,
  ],
  forget: SCHEMA.forget,
}

test('Database sets a file aside whose index was damaged before this boot', async (t) => {
  const path = databasePath(t)
  const before = Database.open(path, INDEXED, { bootId: 'boot-1' })
  before.transaction(() => {
    for (let i = 0; i < 50; i++)
      before.run("INSERT INTO rows VALUES (NULL, 'boot-1', ?, ?)", `a${i + 10}`, `b${99 - i}`)
  })
  const rootOf = (index: string) =>
    before.find<{ page: number }>('SELECT rootpage AS page FROM sqlite_schema WHERE name = ?', index)?.page ??
    0
  const [from, to] = [rootOf('by_text'), rootOf('by_reversed')]
  before.close()
  const bytes = readFileSync(path)
  bytes.copy(bytes, (to - 1) * 4096, (from - 1) * 4096, from * 4096)
  writeFileSync(path, bytes)
  const db = open(t, path, { bootId: 'boot-2', schema: INDEXED })
  insert(db, 'new', 'boot-2')
  t.same(texts(db), ['new'])
  t.ok(existsSync(`${path}.damaged`))
  t.same(texts(open(t, path, { bootId: 'boot-2', schema: INDEXED })), ['new'], 'others see it')
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

/** A process that ends without closing, as plugins do. */
function runProcess(path: string, script: string): string {
  const all = `
    import { Database } from ${JSON.stringify(new URL('database.ts', import.meta.url).href)}
    const db = Database.open(process.argv[1], ${JSON.stringify(SCHEMA)}, { bootId: 'boot-1' })
    const insert = (text) =>
      db.transaction(() => db.run("INSERT INTO rows (boot_id, text) VALUES ('boot-1', ?)", text))
    ${script}
    process.kill(process.pid, 'SIGKILL')
  `
  const args = ['--input-type=module-typescript', '--eval', all, path]
  return spawnSync(process.execPath, args, { encoding: 'utf8' }).stderr
}

const halve = (path: string) => truncateSync(path, statSync(path).size / 2)

test('Database reports a log that was lost in this boot', async (t) => {
  for (const [what, prepareStore] of [
    ['a new store', () => undefined],
    [
      'one of the boot before',
      (path: string) => {
        const db = Database.open(path, SCHEMA, { bootId: 'boot-0' })
        insert(db, 'old', 'boot-0')
        db.close()
      },
    ],
    ['one whose log was copied back in this boot', prepare],
  ] as const)
    for (const [name, lose] of [
      ['removed', (path: string) => rmSync(`${path}-wal`)],
      ['emptied', (path: string) => truncateSync(`${path}-wal`)],
      ['cut to half', (path: string) => halve(`${path}-wal`)],
      [
        'removed with its index',
        (path: string) => {
          rmSync(`${path}-wal`)
          rmSync(`${path}-shm`)
        },
      ],
    ] as const) {
      // What SQLite does itself when the last user closes the database: nothing tells the two apart.
      if (prepareStore === prepare && name === 'removed with its index') continue
      const path = databasePath(t)
      prepareStore(path)
      runProcess(path, "for (const text of 'abcdefgh') insert(text)")
      lose(path)
      for (const time of ['first', 'second'])
        t.throws(
          () => Database.open(path, SCHEMA, { bootId: 'boot-1' }),
          failing('ECORRUPT'),
          `${what}: ${name}, ${time} time`,
        )
      const next = open(t, path, { bootId: 'boot-2' })
      insert(next, 'new', 'boot-2')
      t.same(texts(next), ['new'], 'the next boot begins anew')
    }
})

test('Database opens after SQLite removed the log', async (t) => {
  const path = databasePath(t)
  runProcess(path, "insert('a')")
  new DatabaseSync(path).close()
  t.ok(existsSync(`${path}-wal`), 'it was not used')
  const other = new DatabaseSync(path)
  other.exec('SELECT * FROM rows')
  other.close()
  t.notOk(existsSync(`${path}-wal`))
  t.same(texts(open(t, path)), ['a'])
})

test('Database opens what a build left that noted each opening', async (t) => {
  const path = databasePath(t)
  const before = Database.open(path, SCHEMA, { bootId: 'boot-0' })
  insert(before, 'old', 'boot-0')
  before.close()
  writeFileSync(`${path}.lock`, 'boot-1') // Opened in this boot, and not written.
  const db = open(t, path)
  insert(db, 'new')
  t.same(texts(db), ['new'])
  t.equal(readFileSync(`${path}.lock`, 'utf8'), 'boot-1 written\n')
  writeFileSync(`${path}.lock`, 'boot-1') // Such a build came between, and wrote.
  t.same(texts(open(t, path)), ['new'])
})

test('Database that only looks leaves the note as it is', async (t) => {
  const path = databasePath(t)
  prepare(path)
  const note = readFileSync(`${path}.lock`, 'utf8')
  const db = open(t, path, { bootId: 'boot-2' })
  t.equal(texts(db).length, 300)
  db.probe()
  t.equal(readFileSync(`${path}.lock`, 'utf8'), note)
  insert(db, 'new', 'boot-2')
  t.not(readFileSync(`${path}.lock`, 'utf8'), note)
})

test('Database refuses what looks as if it were of a later boot of the same kernel', async (t) => {
  const path = databasePath(t)
  const db = open(t, path)
  insert(db, 'a')
  insert(open(t, path, { bootId: 'boot-999' }), 'of another PID namespace', 'boot-999')
  const refused = { ...failing('EIO'), message: /PID namespace/ }
  t.throws(() => open(t, path), refused)
  rmSync(`${path}.lock`)
  const other = open(t, path)
  t.throws(() => insert(other, 'b'), refused)
  t.equal(texts(other).length, 1)
})

test('Database that stays goes on when the index of its log was removed', async (t) => {
  const path = databasePath(t)
  const db = Database.open(path, SCHEMA, { bootId: 'boot-1' })
  insert(db, 'a')
  rmSync(`${path}-shm`)
  t.equal(runProcess(path, "insert('b')"), '')
  insert(db, 'c')
  t.equal(runProcess(path, "insert('d')"), '')
  insert(db, 'e')
  t.same(texts(db), ['a', 'b', 'c', 'd', 'e'])
  db.close()
  t.same(texts(open(t, path)), ['a', 'b', 'c', 'd', 'e'])
})

test('Database that stays reports a log that was removed', async (t) => {
  for (const removed of [['-wal'], ['-wal', '-shm']]) {
    const path = databasePath(t)
    const db = Database.open(path, SCHEMA, { bootId: 'boot-1' })
    insert(db, 'a')
    for (const suffix of removed) rmSync(`${path}${suffix}`)
    t.throws(() => insert(db, 'b'), failing('ECORRUPT'))
    t.match(runProcess(path, "insert('c')"), /ECORRUPT/)
    t.throws(() => insert(db, 'd'), failing('ECORRUPT'))
    db.close()
    t.match(runProcess(path, "insert('e')"), /ECORRUPT/)
  }
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
