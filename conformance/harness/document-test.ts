// The tests of a document: its commands are run, and print what is shown; what it links to is there.

import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { t as root, type Test, test } from 'tap'
import {
  isAsShown,
  listCodeLinks,
  listLocalLinks,
  mask,
  type Played,
  PROJECT,
  parseSteps,
  playSteps,
  withPrinted,
} from './document.ts'
import { isUpdate } from './expected.ts'

const DEADLINE_MS = 300_000

/** @param document  its path in the project */
export function testDocument(document: string): void {
  root.setTimeout(DEADLINE_MS)
  const path = join(PROJECT, document)
  const markdown = readFileSync(path, 'utf8')

  test(`${document} shows what its commands print`, { timeout: DEADLINE_MS }, async (t) => {
    const steps = parseSteps(markdown)
    t.ok(steps.some(({ shown }) => shown !== undefined))
    const played = await playSteps(steps)
    for (const one of played) judge(t, document, one)
    if (isUpdate) writeFileSync(path, withPrinted(markdown, played))
  })

  test(`${document} links to what is there`, (t) => {
    const links = listLocalLinks(markdown, document)
    t.ok(links.length > 0)
    for (const link of links) t.ok(existsSync(join(PROJECT, link)), link)
    for (const { name, path: file } of listCodeLinks(markdown, document))
      t.ok(isIn(name, readFileSync(join(PROJECT, file), 'utf8')), `${name} is in ${file}`)
    t.end()
  })
}

function judge(t: Test, document: string, { step, status, printed }: Played): void {
  const where = `${document}:${step.line}`
  if (step.mayFail !== undefined)
    t.equal(status !== 0, step.mayFail, `${where} ends with ${status}`, { script: step.script, printed })
  if (step.shown === undefined || isAsShown(step.shown.text, printed)) return
  t.equal(mask(printed), mask(step.shown.text), `${where} prints what is shown`, { script: step.script })
}

/** A word of it, or the file's own name. */
function isIn(name: string, source: string): boolean {
  return name.includes('/') || source.includes(name)
}
