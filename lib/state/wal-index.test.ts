import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { test } from 'tap'

import { leastWalBytes } from './wal-index.ts'

test('leastWalBytes says what SQLite wrote and did not copy back', async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'podwire-wal-index-'))
  t.teardown(() => rmSync(directory, { recursive: true }))
  const path = join(directory, 'x.db')
  const sqlite = new DatabaseSync(path)
  const reader = new DatabaseSync(path)
  t.teardown(() => {
    reader.close()
    sqlite.close()
  })
  const least = () => leastWalBytes(readFileSync(`${path}-shm`))
  const size = () => statSync(`${path}-wal`).size
  sqlite.exec('PRAGMA journal_mode = WAL; CREATE TABLE rows (text TEXT)')
  t.equal(least(), size())
  sqlite.exec('INSERT INTO rows VALUES (1); INSERT INTO rows VALUES (2)')
  t.equal(least(), size())
  reader.exec('BEGIN; SELECT * FROM rows')
  sqlite.exec('INSERT INTO rows VALUES (3); PRAGMA wal_checkpoint(PASSIVE)')
  t.equal(least(), size(), 'some of it is copied back')
  reader.exec('COMMIT')
  sqlite.exec('PRAGMA wal_checkpoint(PASSIVE)')
  t.equal(least(), 0, 'all of it')
  sqlite.exec('INSERT INTO rows VALUES (4)')
  t.equal(least(), 32 + 24 + 4096, 'the log is begun anew, and as long as before')
  sqlite.exec('PRAGMA wal_checkpoint(TRUNCATE)')
  t.equal(least(), 0, 'emptied')
})

test('leastWalBytes says nothing of what is no index', async (t) => {
  for (const bytes of [Buffer.alloc(0), Buffer.alloc(3), Buffer.alloc(100), Buffer.alloc(32768, 0xff)])
    t.equal(leastWalBytes(bytes), 0)
})
