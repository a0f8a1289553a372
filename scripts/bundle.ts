// CommonJS files out of cmd/podwire and all that it imports, and the account of what npm code is in them.

import { readFileSync } from 'node:fs'
import { join, sep } from 'node:path'
import { setFlagsFromString } from 'node:v8'
import { Script } from 'node:vm'
import { build, type Metafile, type Plugin } from 'esbuild'

export interface Bundle {
  readonly code: Uint8Array
  readonly metafile: Metafile
}

/**
 * `netlink` looks its addon up with node-gyp-build, by files around it. In the executable there are none: the addon
 * is an asset that lib/native knows how to load.
 */
const netlinkBinding: Plugin = {
  name: 'netlink-binding',
  setup({ onResolve, onLoad }) {
    onResolve({ filter: /^node-gyp-build$/ }, ({ path }) => ({ path, namespace: 'netlink-binding' }))
    onLoad({ filter: /.*/, namespace: 'netlink-binding' }, () => ({
      contents: `module.exports = () => require('./lib/native/native.ts').loadNetlinkBinding()`,
      resolveDir: process.cwd(),
    }))
  },
}

/** Leaves out what is loaded later: the start script never gets there. */
const withoutDynamicImports: Plugin = {
  name: 'without-dynamic-imports',
  setup({ onResolve }) {
    onResolve({ filter: /^\./ }, ({ kind, path }) =>
      kind === 'dynamic-import' ? { path, external: true } : undefined,
    )
  },
}

/** The script that runs first; see cmd/podwire/start.ts. */
export function bundleStart(entry: string, version: string): Promise<Bundle> {
  return bundle(entry, version, [withoutDynamicImports])
}

/**
 * A script as a function of CommonJS, and what V8 compiles it to, every function of it: those that are compiled when
 * they are first called would otherwise cost a call a third of its time.
 */
export function compile(code: Uint8Array, filename: string): { script: Uint8Array; cache: Uint8Array } {
  const text = Buffer.from(code).toString('latin1')
  const source = `(function (exports, require, module, __filename, __dirname) {${text}\n})`
  setFlagsFromString('--no-lazy')
  const compiled = new Script(source, { filename })
  setFlagsFromString('--lazy') // a cache is only taken by a V8 that has the flags it was made with
  const cache = compiled.createCachedData()
  if (new Script(source, { filename, cachedData: cache }).cachedDataRejected !== false) {
    throw new Error(`compile "${filename}": V8 rejects its own code cache`)
  }
  return { script: Buffer.from(source, 'latin1'), cache }
}

/**
 * @param entry  file below the project's root, which is the working directory
 * @param version  of Podwire; replaces PODWIRE_VERSION in the source
 */
export async function bundle(
  entry: string,
  version: string,
  plugins: readonly Plugin[] = [],
): Promise<Bundle> {
  const { outputFiles, metafile } = await build({
    entryPoints: [entry],
    outfile: 'podwire.cjs',
    bundle: true,
    write: false,
    metafile: true,
    format: 'cjs', // the main of a single executable is CommonJS; a dynamic import becomes a lazy call
    platform: 'node',
    target: 'node24',
    supported: { 'dynamic-import': false }, // what vm.Script has compiled cannot import(): builtins are required
    minifySyntax: true,
    keepNames: false, // names stay without it (nothing is renamed), and it would cost a call per function at start
    legalComments: 'none',
    define: {
      'import.meta.dirname': '"/"', // only used from source
      PODWIRE_VERSION: JSON.stringify(version),
    },
    plugins: [netlinkBinding, ...plugins],
    logLevel: 'warning',
  })
  const [output] = outputFiles
  if (output === undefined) throw new Error(`bundle "${entry}": esbuild wrote nothing`)
  return { code: output.contents, metafile }
}

/** The text of deps.txt: every npm file in the bundle, with the bytes that are left of it. */
export function describeDependencies(metafile: Metafile): string {
  const packages = npmFiles(metafile)
  const total = [...packages.values()].flat().reduce((sum, { bytes }) => sum + bytes, 0)
  const lines = [
    '# npm code inside dist/bin/podwire, in bytes. Written by `npm run build`, compared by `npm run check`.',
  ]
  for (const [name, files] of [...packages].sort(([a], [b]) => (a < b ? -1 : 1))) {
    lines.push('', `${name} ${packageVersion(name)}  ${files.reduce((sum, { bytes }) => sum + bytes, 0)}`)
    for (const { file, bytes } of files) lines.push(`  ${file}  ${bytes}`)
  }
  return [...lines, '', `total  ${total}`, ''].join('\n')
}

interface NpmFile {
  readonly file: string
  readonly bytes: number
}

function npmFiles(metafile: Metafile): Map<string, NpmFile[]> {
  const packages = new Map<string, NpmFile[]>()
  const inputs = Object.values(metafile.outputs).flatMap((output) => Object.entries(output.inputs))
  for (const [path, { bytesInOutput }] of inputs.sort(([a], [b]) => (a < b ? -1 : 1))) {
    const [, name, file] = /.*node_modules\/((?:@[^/]+\/)?[^/]+)\/(.+)$/.exec(path.replaceAll(sep, '/')) ?? []
    if (name === undefined || file === undefined || bytesInOutput === 0) continue
    packages.set(name, [...(packages.get(name) ?? []), { file, bytes: bytesInOutput }])
  }
  return packages
}

function packageVersion(name: string): string {
  const manifest: unknown = JSON.parse(readFileSync(join('node_modules', name, 'package.json'), 'utf8'))
  return (manifest as { version: string }).version
}
