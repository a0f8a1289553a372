// The script that Node.js runs in the executable: it loads the others. They are in packs, scripts that are loaded with their
// machine code cached when something of them is needed (scripts/bundle.ts makes them; from source, main.ts is all there
// is). For VERSION and the about text that is one small pack.

import { basename } from 'node:path'
import { getRawAsset } from 'node:sea'
import { Script } from 'node:vm'
import type { Native } from '../../lib/native/native.ts'

/** Put in by scripts/bundle.ts: of each module that is asked for by name its pack, and its name in there. */
declare const PODWIRE_MODULES: Readonly<Record<string, readonly [pack: string, name: string]>>

/** Put in by scripts/bundle.ts, from scripts/sea.ts. */
declare const PODWIRE_ALIGNMENT: number
declare const PODWIRE_LATER: string

const MODULE = 'module:'
const MAIN_PACK = 'attach'

let native: Native | undefined

async function start(): Promise<void> {
  const { CNI_COMMAND: command = '' } = process.env
  const needsNothing = process.argv[2] !== 'daemon' && (command === '' || command === 'VERSION')
  if (needsNothing && (await introduce(command))) return
  native = openNative()
  openPack(MAIN_PACK) // main.ts is in it, and begins
}

/** @returns false when no plugin has this name */
async function introduce(command: string): Promise<boolean> {
  const { findPlugin } = requireModule('module:cmd/podwire/registry.ts') as typeof import('./registry.ts')
  const name = basename(process.argv0)
  const plugin = findPlugin(name)
  if (plugin === undefined) return false
  const { invoke } = requireModule('module:lib/cni/skel.ts') as typeof import('../../lib/cni/skel.ts')
  const { writeAll } = requireModule('module:cmd/podwire/stdio.ts') as typeof import('./stdio.ts')
  const { version } = requireModule('module:cmd/podwire/version.ts') as typeof import('./version.ts')
  const nothing = () => Promise.reject(new Error(`${command} opens nothing`))
  const invocation = { environment: process.env, readStdin: () => '' }
  const { stdout, stderr, exitStatus } = await invoke(plugin, nothing, invocation, { version, name })
  await writeAll(2, stderr)
  process.exit((await writeAll(1, stdout)) ? exitStatus : 1)
}

/** With it, the text of a pack is used where it lies in the executable. Where it cannot be loaded, what needs it says so later. */
function openNative(): Native | undefined {
  const { loadNative } = requireModule(
    'module:lib/native/native.ts',
  ) as typeof import('../../lib/native/native.ts')
  try {
    return loadNative()
  } catch {
    return undefined
  }
}

type Require = (id: string) => unknown
type Pack = (exports: Namespace, require: Require, module: { exports: Namespace }, __dirname: string) => void
/** A module's exports, or the modules of a pack. Under `PODWIRE_LATER`, a function that tells them, until somebody asks. */
type Namespace = Record<string, unknown>

const packs = new Map<string, { exports: Namespace }>()

/** `require` of the packs. */
function requireModule(id: string): unknown {
  if (!id.startsWith(MODULE)) return require(id)
  const [pack, name] = PODWIRE_MODULES[id.slice(MODULE.length)] ?? []
  const module = pack && name && tell(openPack(pack))[name]
  if (!module) throw new Error(`no pack has ${id}`)
  return tell(module as Namespace)
}

/** All that is exported, when it is asked for first. CommonJS has it already. */
function tell(made: Namespace): Namespace {
  const later = made[PODWIRE_LATER] as (() => Namespace) | undefined
  return later ? Object.assign(made, later(), { [PODWIRE_LATER]: undefined }) : made
}

/** With its machine code: V8 compiles nothing. */
function openPack(pack: string): Namespace {
  const known = packs.get(pack)
  if (known !== undefined) return known.exports
  const filename = `${pack}.cjs`
  const source = readText(getRawAsset(filename)) // the bundler escapes what is not ASCII
  const cachedData = readAligned(getRawAsset(`${pack}.cache`))
  const module = { exports: {} as Namespace }
  packs.set(pack, module)
  const run = new Script(source, { filename, cachedData }).runInThisContext() as Pack
  run(module.exports, requireModule, module, __dirname)
  return module.exports
}

/** Without a copy, if there is an addon. */
function readText(asset: ArrayBuffer): string {
  return native?.textIn(asset) ?? Buffer.from(asset).toString('latin1')
}

/** In its frame it lies where V8 need not copy it (scripts/sea.ts). */
function readAligned(asset: ArrayBuffer): Uint8Array {
  const [begin = 0] = new Uint8Array(asset, 0, 1)
  return new Uint8Array(asset, begin, asset.byteLength - PODWIRE_ALIGNMENT)
}

start().catch((error: unknown) => {
  console.error(error)
  process.exit(1)
})
