// CommonJS out of cmd/podwire and all that it imports, and the account of what npm code is in it.

import { readFileSync } from 'node:fs'
import { isBuiltin } from 'node:module'
import { join, relative, sep } from 'node:path'
import { setFlagsFromString } from 'node:v8'
import { Script } from 'node:vm'
import { type BuildOptions, build, type Metafile, type OutputFile, type Plugin } from 'esbuild'

import { ALIGNMENT, HEAP_FLAGS } from './sea.ts'

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
      // Loaded with the first socket: many a command opens none, and who cannot load it (who is not root) may still ask for help.
      contents: `module.exports = () => ({
        get NativeNetlink() { return require('./lib/native/native.ts').loadNetlinkBinding().NativeNetlink },
      })`,
      resolveDir: process.cwd(),
    }))
  },
}

/** Property of a namespace: function that tells all that it exports, name → value. */
const LATER = '__later'

/**
 * The script that runs first, with the places of all modules; see cmd/podwire/start.ts.
 *
 * @param entry  file below the project's root, which is the working directory
 * @throws Error when it asks for a module that no pack has by its name
 */
export async function bundleStart(entry: string, modules: Packs['modules']): Promise<Uint8Array> {
  const common = options(entry, {
    PODWIRE_MODULES: JSON.stringify(modules),
    PODWIRE_ALIGNMENT: JSON.stringify(ALIGNMENT),
    PODWIRE_LATER: JSON.stringify(LATER),
  })
  // The main of a single executable is CommonJS.
  const { outputFiles } = await build({ ...common, outfile: 'podwire.cjs', format: 'cjs' })
  const code = outputOf(outputFiles, entry)
  for (const [, path = ''] of Buffer.from(code).toString().matchAll(ASKED))
    if (modules[path] === undefined) throw new Error(`"${entry}" asks for "${path}", and no pack has it`)
  return code
}

/** In the words of cmd/podwire/start.ts. */
const ASKED = /requireModule\(\s*"module:([^"]+)"/g

/** Scripts of which each is a part of the product; one that is not needed is not read. */
export interface Packs {
  /** Pack → CommonJS, whose exports are the modules' namespaces that others import, by `modules`. */
  readonly packs: Readonly<Record<string, Uint8Array>>
  /** Module → where it is found: its pack, and its name among the pack's exports. */
  readonly modules: Readonly<Record<string, readonly [pack: string, name: string]>>
  readonly metafiles: readonly Metafile[]
}

/**
 * A pack holds the modules whose paths match, and what these import, unless an earlier pack has it: packs come in the
 * order of how much their start matters.
 */
export type PackList = readonly (readonly [pack: string, modules: RegExp])[]

/** All that `entry` reaches, in packs. What is loaded later (`import()`) is found by the loader in cmd/podwire/start.ts. */
export async function bundlePacks(entry: string, version: string, list: PackList): Promise<Packs> {
  const define = { PODWIRE_VERSION: JSON.stringify(version) }
  const graph = (await build({ ...options(entry, define), outfile: 'podwire.js', format: 'esm' })).metafile
  const packOf = assignPacks(graph, list)
  const packs: Record<string, Uint8Array> = {}
  const modules: Record<string, readonly [string, string]> = {}
  const metafiles: Metafile[] = []
  for (const [pack] of list) {
    const shared = sharedModules(graph, packOf, pack)
    const { code, metafile } = await bundlePack(entry, define, {
      shared,
      isInside: (path) => packOf.get(path) === pack,
    })
    packs[pack] = code
    metafiles.push(metafile)
    for (const [i, path] of shared.entries()) modules[path] = [pack, `m${i}`]
  }
  return { packs, modules, metafiles }
}

function assignPacks({ inputs }: Metafile, list: PackList): Map<string, string> {
  const packOf = new Map<string, string>()
  for (const [pack, pattern] of list) {
    const visit = (path: string): void => {
      if (packOf.has(path)) return
      packOf.set(path, pack)
      for (const one of inputs[path]?.imports ?? [])
        if (one.kind !== 'dynamic-import' && !one.external) visit(one.path)
    }
    const first = Object.keys(inputs).filter((path) => pattern.test(path))
    if (first.length === 0) throw new Error(`pack "${pack}": no module of ${pattern}`)
    for (const path of first) visit(path)
  }
  return packOf
}

/** The pack's modules that are asked for by their names: by other packs, or later. */
function sharedModules({ inputs }: Metafile, packOf: ReadonlyMap<string, string>, pack: string): string[] {
  const imports = Object.entries(inputs).flatMap(([from, { imports }]) =>
    imports.map((one) => ({ ...one, from })),
  )
  const asked = imports.filter(
    ({ path, kind, from }) =>
      packOf.get(path) === pack && (kind === 'dynamic-import' || packOf.get(from) !== pack),
  )
  return [...new Set(asked.map(({ path }) => path))].sort()
}

/** Before the path of a module that the loader knows. */
const MODULE = 'module:'

/** Name → what stands in its place. */
type Define = Readonly<Record<string, string>>

interface PackContent {
  readonly shared: readonly string[]
  readonly isInside: (path: string) => boolean
}

async function bundlePack(entry: string, define: Define, { shared, isInside }: PackContent): Promise<Bundle> {
  const outside: Plugin = {
    name: 'outside',
    setup({ onResolve, resolve }) {
      onResolve({ filter: /.*/ }, async ({ path, pluginData, ...rest }) => {
        if (pluginData === 'resolving' || rest.kind === 'entry-point' || isBuiltin(path)) return undefined
        const found = await resolve(path, { ...rest, pluginData: 'resolving' })
        const module =
          found.namespace === 'file' ? relative(process.cwd(), found.path) : `${found.namespace}:${path}`
        const isOther = rest.kind === 'dynamic-import' || !isInside(module)
        return isOther ? { path: `${MODULE}${module}`, external: true } : found
      })
    },
  }
  const last = isInside(entry) ? [`import './${entry}'`] : [] // it begins to run when it is evaluated
  const contents = [...shared.map((path, i) => `export * as m${i} from './${path}'`), ...last].join('\n')
  const { entryPoints: _, plugins, ...common } = options(entry, define)
  const { outputFiles, metafile } = await build({
    ...common,
    stdin: { contents, resolveDir: process.cwd(), sourcefile: 'pack.ts', loader: 'ts' },
    outfile: 'pack.cjs',
    format: 'cjs',
    supported: { 'dynamic-import': false }, // what vm.Script has compiled cannot import()
    plugins: [...plugins, outside],
  })
  return { code: exportLater(outputOf(outputFiles, entry)), metafile }
}

/** Of an export, in an object of them. */
const GETTER = /^( {2}.+?): \(\) => /gm

type Rewriting = (match: string, ...groups: string[]) => string

/** What esbuild makes of exports and imports: what it is, its form, what stands in its place, and what must not be left. */
const REWRITTEN: readonly (readonly [what: string, form: RegExp, to: Rewriting, left: RegExp])[] = [
  [
    'the exports of a module',
    /^__export\((\w+), \{\n((?: {2}.+: \(\) => .+\n)+)\}\);$/gm,
    (_, name, list = '') => `${name}.${LATER} = () => ({\n${list.replaceAll(GETTER, '$1: ')}});`,
    /^__export\(/m,
  ],
  ['the exports of a pack', /= __toCommonJS\((\w+)\);/g, (_, name) => `= ${name};`, /= __toCommonJS\(/],
  // An object with a getter for each name, anew each time.
  [
    'import() of another pack',
    /__toESM\((require\("module:(?:cmd|lib)\/[^"]+"\))\)/g,
    (_, call = '') => call,
    /__toESM\(\s*require\(\s*"module:(?:cmd|lib)/,
  ],
]

/**
 * A pack exports hundreds of names, each by a getter, of which a call needs few. So each of its namespaces only keeps one
 * function that tells them all; cmd/podwire/start.ts calls it for who asks. (What is exported does not change then: nobody
 * asks before the pack has been evaluated, and `let` is not exported.)
 */
function exportLater(code: Uint8Array): Uint8Array {
  let text = Buffer.from(code).toString()
  for (const [what, form, to, left] of REWRITTEN) {
    text = text.replace(form, to)
    if (left.test(text)) throw new Error(`esbuild has another form for ${what}`)
  }
  return Buffer.from(text)
}

/**
 * A script as a function of CommonJS, and what V8 compiles it to, every function of it: those that are compiled when
 * they are first called would otherwise cost a call a third of its time.
 */
export function compile(code: Uint8Array, filename: string): { script: Uint8Array; cache: Uint8Array } {
  const text = Buffer.from(code).toString('latin1')
  const source = `(function (exports, require, module, __dirname) {${text}\n})`
  for (const flag of HEAP_FLAGS) setFlagsFromString(flag)
  setFlagsFromString('--no-lazy')
  const compiled = new Script(source, { filename })
  setFlagsFromString('--lazy') // a cache is only taken by a V8 that has the flags it was made with
  const cache = compiled.createCachedData()
  if (new Script(source, { filename, cachedData: cache }).cachedDataRejected !== false) {
    throw new Error(`compile "${filename}": V8 rejects its own code cache`)
  }
  return { script: Buffer.from(source, 'latin1'), cache }
}

function outputOf([output]: readonly OutputFile[], entry: string): Uint8Array {
  if (output === undefined) throw new Error(`bundle "${entry}": esbuild wrote nothing`)
  return output.contents
}

function options(entry: string, define: Define) {
  return {
    entryPoints: [entry],
    bundle: true,
    write: false,
    metafile: true,
    platform: 'node',
    target: 'node24',
    minifySyntax: true,
    keepNames: false, // names stay without it (nothing is renamed), and it would cost a call per function at start
    legalComments: 'none',
    define: {
      'import.meta.dirname': '"/"', // only used from source
      ...define,
    },
    plugins: [netlinkBinding],
    logLevel: 'warning',
  } as const satisfies BuildOptions
}

/** The text of deps.txt: every npm file in the bundle, with the bytes that are left of it. */
export function describeDependencies(metafiles: readonly Metafile[]): string {
  const packages = npmFiles(metafiles)
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

function npmFiles(metafiles: readonly Metafile[]): Map<string, NpmFile[]> {
  const packages = new Map<string, NpmFile[]>()
  const outputs = metafiles.flatMap((metafile) => Object.values(metafile.outputs))
  const inputs = outputs.flatMap((output) => Object.entries(output.inputs))
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
