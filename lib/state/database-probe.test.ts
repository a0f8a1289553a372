// What the disk does to a store, in a mount namespace with a small file system of its own.

import { spawnSync } from 'node:child_process'
import { test } from 'tap'

import { Database } from './database.ts'

const OPEN = `
  import { writeFileSync } from 'node:fs'
  import { execFileSync } from 'node:child_process'
  import { Database } from ${JSON.stringify(new URL('database.ts', import.meta.url).href)}
  const schema = { migrations: ['CREATE TABLE rows (boot_id TEXT)'], forget: ['DELETE FROM rows WHERE boot_id <> ?'] }
  const db = Database.open('/mnt/x.db', schema, { bootId: 'boot-1' })
  db.probe()
  const attempt = (what) => {
    try {
      what()
      return 'ok'
    } catch (error) {
      return error.code
    }
  }
  const write = () => db.transaction((tx) => tx.run("INSERT INTO rows VALUES ('boot-1')"))
`
const FILL = `
  try { writeFileSync('/mnt/full', Buffer.alloc(9e6)) } catch {}
`
const READ_ONLY = `
  db.close()
  execFileSync('mount', ['-o', 'remount,ro', '/mnt'])
`
const ANSWER = `console.log(attempt(() => db.probe()), attempt(write))`
const REOPEN = `
  const open = () => Database.open('/mnt/x.db', schema, { bootId: 'boot-1' })
  console.log(attempt(() => open().probe()), attempt(open))
`

function runInside(script: string): string {
  const shell =
    'mount -t tmpfs -o size=1m,mode=700 none /mnt && exec "$0" --input-type=module-typescript --eval "$1"'
  const args = ['-m', 'sh', '-c', shell, process.execPath, script]
  const { stdout, stderr } = spawnSync('unshare', args, { encoding: 'utf8' })
  return stdout.trim() || stderr
}

test('Database.probe fails where a transaction would', async (t) => {
  for (const [what, script, expected] of [
    ['writable', OPEN + ANSWER, 'ok ok'],
    ['full', OPEN + FILL + ANSWER, 'EFULL EFULL'],
    ['read-only', OPEN + READ_ONLY + REOPEN, 'EREADONLY EREADONLY'],
  ] as const) {
    t.equal(runInside(script), expected, what)
  }
})

test('Database.probe leaves the rows, and those of earlier boots', async (t) => {
  const path = `${t.testdir({})}/x.db`
  const schema = {
    migrations: ['CREATE TABLE rows (boot_id TEXT)'],
    forget: ['DELETE FROM rows WHERE boot_id <> ?'],
  }
  const count = (db: Database) => db.read(() => db.find('SELECT count(*) AS n FROM rows'))
  const db = Database.open(path, schema, { bootId: 'boot-1' })
  db.transaction(() => db.run("INSERT INTO rows VALUES ('boot-1')"))
  db.probe()
  t.same(count(db), { n: 1 })
  db.close()
  const next = Database.open(path, schema, { bootId: 'boot-2' })
  next.probe()
  t.same(count(next), { n: 1 }, 'it may have been asked in another PID namespace')
  next.transaction(() => undefined)
  t.same(count(next), { n: 0 })
  next.close()
})
