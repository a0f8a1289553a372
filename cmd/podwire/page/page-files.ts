// What the browser loads, made of page/browser by scripts/page.ts: an asset of the executable. From source it is what
// `npm run build` has left.

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { getRawAsset, isSea } from 'node:sea'
import type { PageFile } from './page-server.ts'

/** Of the asset, and of the file in dist/work. */
export const PAGE_ASSET = 'page.json'

export function readPageFiles(): Readonly<Record<string, PageFile>> {
  const text = isSea()
    ? Buffer.from(getRawAsset(PAGE_ASSET)).toString()
    : readFileSync(join(import.meta.dirname, '../../../dist/work', PAGE_ASSET), 'utf8')
  return JSON.parse(text) as Record<string, PageFile>
}
