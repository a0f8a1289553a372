// Links between the project's documents lead somewhere: to a file or folder that is there, and to a heading of it.

import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { dirname, join, relative, resolve } from 'node:path'
import { test } from 'tap'

const PROJECT = resolve(import.meta.dirname, '..')

const NOT_OURS = ['node_modules', 'dist', '.git', '.tap']

const documents = listDocuments('.')

test('links of the documents lead to what is there', async (t) => {
  const links = documents.flatMap(linksOf)
  t.ok(links.length > 50, 'links were found')
  t.same(links.filter(({ target }) => !existsSync(join(PROJECT, target))).map(describe), [], 'files')
  t.same(links.filter((link) => !hasHeading(link)).map(describe), [], 'headings')
})

test('every document is reached from the README', async (t) => {
  const reached = new Set<string>()
  const visit = (document: string): void => {
    if (reached.has(document)) return
    reached.add(document)
    for (const { target } of linksOf(document))
      if (target.endsWith('.md') && existsSync(join(PROJECT, target))) visit(target)
  }
  visit('README.md')
  t.same(
    documents.filter((name) => !reached.has(name)),
    [],
  )
})

/** Relative to the project. */
function listDocuments(folder: string): string[] {
  return readdirSync(join(PROJECT, folder), { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name)
    if (entry.isDirectory()) return NOT_OURS.includes(entry.name) ? [] : listDocuments(path)
    return entry.isFile() && path.endsWith('.md') ? [path] : []
  })
}

interface Link {
  readonly from: string
  /** Relative to the project. */
  readonly target: string
  /** '' for none. */
  readonly heading: string
}

/** Those within the project. */
function linksOf(document: string): Link[] {
  const found = prose(document).matchAll(/\]\(([^)\s]+)\)/g)
  return [...found].flatMap(([, url = '']) => {
    if (/^[a-z]+:/.test(url)) return []
    const [path = '', heading = ''] = url.split('#')
    const target = path === '' ? document : relative(PROJECT, resolve(PROJECT, dirname(document), path))
    return [{ from: document, target, heading }]
  })
}

/** Without code, in which brackets mean something else. */
function prose(document: string): string {
  return readFileSync(join(PROJECT, document), 'utf8').replaceAll(/^```[\s\S]*?^```|`[^`\n]*`/gm, (code) =>
    code.startsWith('```') ? '' : code.replaceAll(/[()[\]]/g, ' '),
  )
}

function hasHeading({ target, heading }: Link): boolean {
  const path = join(PROJECT, target)
  if (heading === '' || !existsSync(path) || statSync(path).isDirectory()) return true
  return headingsOf(target).includes(heading)
}

/** As GitHub names them. */
function headingsOf(document: string): string[] {
  const text = readFileSync(join(PROJECT, document), 'utf8').replaceAll(/^```[\s\S]*?^```/gm, '')
  return [...text.matchAll(/^#+ (.*)$/gm)].map(([, title = '']) =>
    title
      .replaceAll(/\[([^\]]*)\]\([^)]*\)/g, '$1')
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N}_ -]/gu, '')
      .replaceAll(' ', '-'),
  )
}

function describe({ from, target, heading }: Link): string {
  return `${from}: ${target}${heading === '' ? '' : `#${heading}`}`
}
