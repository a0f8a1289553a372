// The measurements of 0004-sqlite-stores.md. After `npm run build`, on the file system in question:
//
//   npx node docs/adr/0004-measure.mjs DIRECTORY

import { spawn } from 'node:child_process'
import { openSync, rmSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'

const ADDON = '../../dist/native/podwire.node'
const LOCK_EX = 2
const LOCK_UN = 8
const TIMEOUT_MS = 20_000
const PROCESSES = 8
const TRANSACTIONS = 40
const INSERT = 'INSERT INTO t (text) VALUES (?)'

const [, self, directory = '.', how] = process.argv
const path = join(directory, 'measure.db')

function nowMs() {
  return Number(process.hrtime.bigint()) / 1e6
}

function remove() {
  for (const suffix of ['', '-wal', '-shm', '-journal', '.lock']) rmSync(path + suffix, { force: true })
}

function create(pragmas) {
  remove()
  const db = new DatabaseSync(path)
  db.exec(`${pragmas}; CREATE TABLE t (id INTEGER PRIMARY KEY, text TEXT)`)
  return db
}

function describe(times) {
  const sorted = times.toSorted((a, b) => a - b)
  const at = (q) => sorted[Math.floor((sorted.length - 1) * q)].toFixed(3)
  return `median ${at(0.5)} ms, p99 ${at(0.99)} ms, max ${at(1)} ms`
}

function measureCommits(journal, synchronous) {
  const db = create(`PRAGMA journal_mode = ${journal}; PRAGMA synchronous = ${synchronous}`)
  const insert = db.prepare(INSERT)
  const times = Array.from({ length: 150 }, () => {
    const start = nowMs()
    db.exec('BEGIN IMMEDIATE')
    insert.run('x'.repeat(100))
    db.exec('COMMIT')
    return nowMs() - start
  })
  db.close()
  console.log(`commit, ${journal}, synchronous ${synchronous}: ${describe(times)}`)
}

function startWriter(kind) {
  const writer = spawn(process.execPath, [self, directory, kind], { stdio: ['ignore', 'pipe', 'ignore'] })
  let text = ''
  writer.stdout.on('data', (chunk) => {
    text += chunk
  })
  return new Promise((resolve) => writer.on('close', () => resolve(JSON.parse(text))))
}

async function measureWaiting(kind) {
  create('PRAGMA journal_mode = WAL').close()
  const start = nowMs()
  const waits = await Promise.all(Array.from({ length: PROCESSES }, () => startWriter(kind)))
  console.log(
    `waiting by ${kind}: ${describe(waits.flat())}; all in ${(nowMs() - start).toFixed(0)} ms with starts`,
  )
}

/** Transactions of 1 ms, one after the other. Prints how long each waited. */
function write(kind) {
  const native = createRequire(import.meta.url)(ADDON)
  const lock = openSync(`${path}.lock`, 'a+')
  const db = new DatabaseSync(path, { timeout: TIMEOUT_MS })
  db.exec('PRAGMA synchronous = NORMAL')
  const insert = db.prepare(INSERT)
  const waits = Array.from({ length: TRANSACTIONS }, () => {
    const start = nowMs()
    if (kind === 'flock') native.flock(lock, LOCK_EX, TIMEOUT_MS)
    db.exec('BEGIN IMMEDIATE')
    const begun = nowMs()
    insert.run('x')
    while (nowMs() < begun + 1);
    db.exec('COMMIT')
    if (kind === 'flock') native.flock(lock, LOCK_UN, 0)
    return begun - start
  })
  console.log(JSON.stringify(waits))
}

if (how !== undefined) {
  write(how)
} else {
  for (const journal of ['DELETE', 'WAL'])
    for (const mode of ['FULL', 'NORMAL']) measureCommits(journal, mode)
  for (const kind of ['busy_timeout', 'flock', 'busy_timeout', 'flock']) await measureWaiting(kind)
  remove()
}
