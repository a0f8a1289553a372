// The outcomes that are expected of ours: one committed text per area, a section per case, to be read and reviewed
// like code. CONFORMANCE_UPDATE=1 writes them anew.

import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'

const DIRECTORY = resolve(import.meta.dirname, '../expected')
const HEADING = '### '

export const isUpdate = process.env['CONFORMANCE_UPDATE'] === '1'

/** Case title → outcome. */
export function readExpected(area: string): Map<string, string> {
  const path = pathOf(area)
  if (!existsSync(path)) return new Map()
  const sections = readFileSync(path, 'utf8')
    .split(new RegExp(`^${HEADING}`, 'm'))
    .slice(1)
  return new Map(
    sections.map((section) => {
      const at = section.indexOf('\n')
      return [section.slice(0, at), section.slice(at + 1).trimEnd()]
    }),
  )
}

export function writeExpected(area: string, outcomes: ReadonlyMap<string, string>): void {
  const sections = [...outcomes].map(([title, text]) => `${HEADING}${title}\n${text}\n`)
  writeFileSync(pathOf(area), sections.join('\n'))
}

function pathOf(area: string): string {
  return join(DIRECTORY, `${area}.txt`)
}
