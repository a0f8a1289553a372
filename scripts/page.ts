// The page of the daemon (cmd/podwire/page/browser), as one asset of the executable: JSON of all that the browser loads.

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { build, type Metafile } from 'esbuild'

const SOURCE = 'cmd/podwire/page/browser'
/** Browsers of 2023 and later. */
const TARGETS = ['chrome117', 'firefox119', 'safari17']

/** @returns the asset, and what npm code is in it */
export async function bundlePage(): Promise<{ asset: string; metafile: Metafile }> {
  const { outputFiles, metafile } = await build({
    entryPoints: { page: join(SOURCE, 'main.tsx'), style: join(SOURCE, 'page.css') },
    outdir: '/',
    bundle: true,
    write: false,
    metafile: true,
    minify: true,
    format: 'iife',
    target: TARGETS,
    jsx: 'automatic',
    jsxImportSource: 'preact',
    charset: 'utf8',
    legalComments: 'none',
    logLevel: 'warning',
  })
  const bundled = (ending: string) => {
    const file = outputFiles.find(({ path }) => path.endsWith(ending))
    if (file === undefined) throw new Error(`bundle "${SOURCE}": no ${ending}`)
    return file.text
  }
  const source = (name: string) => readFileSync(join(SOURCE, name), 'utf8')
  const files = {
    '/': { type: 'text/html; charset=utf-8', text: source('page.html') },
    '/page.js': { type: 'text/javascript; charset=utf-8', text: bundled('.js') },
    '/page.css': { type: 'text/css; charset=utf-8', text: bundled('.css') },
    '/icon.svg': { type: 'image/svg+xml', text: source('icon.svg') },
  }
  return { asset: JSON.stringify(files), metafile }
}
