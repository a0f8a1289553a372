// What is committed of docs/reference is what `npm run reference` would write, and what is written by hand there has a
// row for all that there is.

import { readdirSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { test } from 'tap'

import { CNI_CODE } from '../lib/cni/errors.ts'
import { DIRECTORY, referencePages } from './reference.ts'

const PROJECT = resolve(import.meta.dirname, '..')
/** Not of the environment: scripts/bundle.ts puts the values in. */
const BUILT_IN = ['PODWIRE_ALIGNMENT', 'PODWIRE_LATER', 'PODWIRE_MODULES', 'PODWIRE_VERSION']
const BY_HAND = ['environment.md', 'errors.md', 'files.md']

test('the reference is as `npm run reference` writes it', async (t) => {
  const pages = referencePages()
  t.same(readdirSync(DIRECTORY).sort(), [...pages.keys(), ...BY_HAND].sort())
  for (const [name, text] of pages)
    t.equal(readFileSync(join(DIRECTORY, name), 'utf8'), text, `${name}: npm run reference`)
})

test('the page of the environment has every variable that Podwire reads', async (t) => {
  const read = new Set(
    ['lib', 'cmd', 'native'].flatMap(sources).flatMap((text) => text.match(/\bPODWIRE_[A-Z_]+\b/g) ?? []),
  )
  for (const name of BUILT_IN) t.ok(read.delete(name), `${name} is of the build`)
  t.same(tableKeys('environment.md', /^PODWIRE_/), [...read].sort())
})

test('the page of errors has every code', async (t) => {
  const codes = [...Object.values(CNI_CODE), 100].map(String)
  t.same(tableKeys('errors.md', /^\d+$/).sort(), codes.sort())
})

/** What stands first in the rows of a page's tables. */
function tableKeys(page: string, pattern: RegExp): string[] {
  const text = readFileSync(join(DIRECTORY, page), 'utf8')
  const cells = [...text.matchAll(/^\| `?([^`|]+?)`? \|/gm)].map(([, cell = '']) => cell)
  return cells.filter((cell) => pattern.test(cell)).sort()
}

function sources(root: string): string[] {
  return readdirSync(join(PROJECT, root), { recursive: true, encoding: 'utf8' })
    .filter((name) => /\.(?:ts|c)$/.test(name) && !/\.(?:test|fixture|contract)\.ts$/.test(name))
    .map((name) => readFileSync(join(PROJECT, root, name), 'utf8'))
}
