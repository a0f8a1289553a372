// The log of 0004-sqlite-stores.md: processes that write one row each and end, one after the other, with nobody else.
//
//   npx node docs/adr/0004-wal.mjs DIRECTORY

import { execFileSync } from 'node:child_process'
import { rmSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'

const PROCESSES = 400

const [, self, directory = '.', how] = process.argv
const path = join(directory, 'wal.db')

function write() {
  const db = new DatabaseSync(path)
  db.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA wal_autocheckpoint = 128')
  db.exec('CREATE TABLE IF NOT EXISTS t (id INTEGER PRIMARY KEY, text TEXT)')
  db.exec(`INSERT INTO t (text) VALUES ('${'x'.repeat(100)}')`)
  process.reallyExit(0) // without closing
}

function remove() {
  for (const suffix of ['', '-wal', '-shm']) rmSync(path + suffix, { force: true })
}

if (how !== undefined) write()
remove()
for (let nth = 1; nth <= PROCESSES; nth++) {
  execFileSync(process.execPath, [self, directory, 'write'])
  if (nth % 100 === 0) console.log(`${nth} processes: log of ${statSync(`${path}-wal`).size} bytes`)
}
remove()
