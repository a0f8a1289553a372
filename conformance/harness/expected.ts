// Outcomes on record, ours that are expected and upstream's that were seen: one committed text per area, a section per
// case, to be read and reviewed like code. CONFORMANCE_UPDATE=1 writes them anew.

import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'

/** Directories. */
export type Whose = 'expected' | 'upstream'

const DIRECTORY = resolve(import.meta.dirname, '..')
const HEADING = '### '

export const isUpdate = process.env['CONFORMANCE_UPDATE'] === '1'

/** Case title → outcome. */
export function readOutcomes(whose: Whose, area: string): Map<string, string> {
  const path = pathOf(whose, area)
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

export function writeOutcomes(whose: Whose, area: string, outcomes: ReadonlyMap<string, string>): void {
  const sections = [...outcomes].map(([title, text]) => `${HEADING}${title}\n${text}\n`)
  writeFileSync(pathOf(whose, area), sections.join('\n'))
}

function pathOf(whose: Whose, area: string): string {
  return join(DIRECTORY, whose, `${area}.txt`)
}
