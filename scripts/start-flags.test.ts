// What makes the executable start fast, and is noticed by nothing but time. That code caches are taken: those that Node.js
// brings for its own modules, and those of our packs; that V8 need not copy them; that it looks for no deadlocks.

import { execFileSync } from 'node:child_process'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { test } from 'tap'
import { findVariable } from './elf.ts'
import { ALIGNMENT, DEADLOCK_DETECTION, NODE_PACKAGE, START_FLAGS, START_OVER } from './sea.ts'

const BUILT = resolve(import.meta.dirname, '../dist')
const [WORK, ADDON] = [join(BUILT, 'work'), join(BUILT, 'native/podwire.node')]
const skip = existsSync(join(WORK, 'node')) ? false : 'dist/work is not there: npm run build'
/** Of cmd/podwire/start.ts, and read while V8 has the flags of the start. */
const START_PACK = 'native'

/** What start.ts does, with a question to Node.js that it only answers with --expose-internals. */
const PROGRAM = `
const { readFileSync } = require('node:fs')
const { Script } = require('node:vm')
const { internalBinding } = require('internal/test/binding')
const [packs, startOver] = JSON.parse(process.argv[1])
const isTaken = (pack) => {
  const [source, cachedData] = ['cjs', 'cache'].map((end) => readFileSync(${JSON.stringify(WORK)} + '/' + pack + '.' + end))
  return new Script(source.toString('latin1'), { filename: pack + '.cjs', cachedData }).cachedDataRejected === false
}
const taken = packs.filter((pack) => pack === '${START_PACK}' && isTaken(pack))
const addon = { exports: {} }
process.dlopen(addon, ${JSON.stringify(ADDON)})
if (startOver) addon.exports.setV8Flags(startOver)
require('node:sqlite')
const { compiledWithCache } = internalBinding('builtins').getCacheUsage()
taken.push(...packs.filter((pack) => pack !== '${START_PACK}' && isTaken(pack)))
console.log(JSON.stringify({ taken, builtin: [...compiledWithCache].includes('sqlite') }))`

interface Taken {
  readonly taken: readonly string[]
  readonly builtin: boolean
}

function start(packs: readonly string[], startOver: string | undefined): Taken {
  const flags = [...START_FLAGS, '--expose-internals', '--no-warnings']
  const words = JSON.stringify([packs, startOver])
  const text = execFileSync(join(WORK, 'node'), [...flags, '--eval', PROGRAM, words], { encoding: 'utf8' })
  return JSON.parse(text) as Taken
}

test('V8 takes every code cache when it is read', { skip }, async (t) => {
  const files = readdirSync(WORK).filter((name) => name.endsWith('.cache'))
  const others = files.map((name) => name.replace('.cache', '')).filter((name) => name !== START_PACK)
  t.ok(others.length > 1)
  const packs = [START_PACK, ...others]
  t.strictSame(start(packs, START_OVER), { taken: packs, builtin: true })
  const kept = { taken: [START_PACK], builtin: false }
  t.strictSame(start(packs, undefined), kept, 'and no other with the flags of the start')
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
  const original = readFileSync(join(NODE_PACKAGE, 'bin/node'))
  const at = findVariable(original, variable)
  t.equal(original.readInt32LE(at), abort, 'as Node.js has it')
  t.equal(
    readFileSync(join(WORK, 'node')).readInt32LE(at),
    ignore,
    'strip leaves what is before symbols where it was',
  )
  t.end()
})
