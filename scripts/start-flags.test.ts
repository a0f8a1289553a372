// What makes the executable start fast, and is noticed by nothing but time. That code caches are taken: those that Node.js
// brings for its own modules, and those of our packs; that V8 need not copy them; that it keeps the hashes of its snapshot,
// and looks for no deadlocks.

import { execFileSync } from 'node:child_process'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { test } from 'tap'
import { findVariable } from './elf.ts'
import { ALIGNMENT, DEADLOCK_DETECTION, HEAP_FLAGS, NODE_PACKAGE } from './sea.ts'

const BUILT = resolve(import.meta.dirname, '../dist')
const WORK = join(BUILT, 'work')
const [OURS, THEIRS] = [join(WORK, 'node'), join(NODE_PACKAGE, 'bin/node')]
const skip = existsSync(OURS) ? false : 'dist/work is not there: npm run build'

/** What start.ts does, with a question to Node.js that it only answers with --expose-internals. */
const PROGRAM = `
const { readFileSync } = require('node:fs')
const { Script } = require('node:vm')
const { internalBinding } = require('internal/test/binding')
const isTaken = (pack) => {
  const [source, cachedData] = ['cjs', 'cache'].map((end) => readFileSync(${JSON.stringify(WORK)} + '/' + pack + '.' + end))
  return new Script(source.toString('latin1'), { filename: pack + '.cjs', cachedData }).cachedDataRejected === false
}
require('node:sqlite')
const { compiledWithCache, compiledWithoutCache } = internalBinding('builtins').getCacheUsage()
const taken = JSON.parse(process.argv[1]).filter(isTaken)
console.log(JSON.stringify({ taken, isSqlite: [...compiledWithCache].includes('sqlite'), compiled: [...compiledWithoutCache] }))`

interface Taken {
  readonly taken: readonly string[]
  readonly isSqlite: boolean
  /** Modules of Node.js. */
  readonly compiled: readonly string[]
}

function start(packs: readonly string[], flags: readonly string[] = []): Taken {
  const words = [...HEAP_FLAGS, ...flags, '--expose-internals', '--no-warnings', '--eval', PROGRAM]
  return JSON.parse(execFileSync(OURS, [...words, JSON.stringify(packs)], { encoding: 'utf8' })) as Taken
}

test('V8 takes every code cache, of Node.js and of ours', { skip }, async (t) => {
  const files = readdirSync(WORK).filter((name) => name.endsWith('.cache'))
  const packs = files.map((name) => name.replace('.cache', ''))
  t.ok(packs.length > 1)
  t.strictSame(start(packs), { taken: packs, isSqlite: true, compiled: [] })
  const { taken, isSqlite } = start(packs, ['--no-rehash-snapshot'])
  t.strictSame({ taken, isSqlite }, { taken: [], isSqlite: false }, 'and none with other flags')
})

/** Names in order of their hashes, as V8 has them in a code cache. */
function hashesOf(node: string): string {
  const text = Array.from({ length: 50 }, (_, i) => `name${i}`).join(',')
  const program = `console.log(new (require('node:vm').Script)('({${text}})').createCachedData().toString('hex'))`
  return execFileSync(node, ['--eval', program], { encoding: 'utf8' })
}

test('V8 keeps the hashes of its snapshot', { skip }, (t) => {
  t.equal(hashesOf(OURS), hashesOf(OURS))
  t.not(hashesOf(THEIRS), hashesOf(THEIRS), 'as Node.js does not')
  t.end()
})

test('code caches lie in the executable where V8 need not copy them', { skip }, (t) => {
  const program = readFileSync(join(BUILT, 'bin/podwire'))
  const caches = readdirSync(WORK).filter((name) => name.endsWith('.cache'))
  t.ok(caches.length > 1)
  for (const name of caches) {
    const at = program.indexOf(readFileSync(join(WORK, name)))
    t.ok(at > 0 && at % ALIGNMENT === 0, `${name}: ${at}`)
    const before = [...program.subarray(at - ALIGNMENT, at)].reverse()
    t.ok(
      before.some((byte, i) => byte === i + 1),
      'and the frame says how many bytes before it begins',
    )
  }
  t.end()
})

test('V8 does not look for deadlocks of its mutexes', { skip }, (t) => {
  const [variable, abort, ignore] = DEADLOCK_DETECTION
  const original = readFileSync(THEIRS)
  const { at } = findVariable(original, variable)
  t.equal(original.readInt32LE(at), abort, 'as Node.js has it')
  t.equal(readFileSync(OURS).readInt32LE(at), ignore, 'strip leaves what is before symbols where it was')
  t.end()
})
