// The script that Node.js runs in the executable: the smallest part of Podwire. VERSION and the about text are
// answered from here; all else is in packs, scripts that are loaded with their machine code cached when something of
// them is needed (scripts/bundle.ts makes them; from source, main.ts is all there is).

import { basename } from 'node:path'
import { getRawAsset } from 'node:sea'
import { Script } from 'node:vm'
import { invoke } from '../../lib/cni/skel.ts'
import { findPlugin } from './registry.ts'
import { writeAll } from './stdio.ts'
import { version } from './version.ts'

/** Put in by scripts/bundle.ts: of each module that is asked for by name its pack, and its name in there. */
declare const PODWIRE_MODULES: Readonly<Record<string, readonly [pack: string, name: string]>>

/** Put in by scripts/bundle.ts, from scripts/sea.ts. */
declare const PODWIRE_START_OVER: string

const MODULE = 'module:'
const FIRST_PACK = 'attach'

async function start(): Promise<void> {
  const name = basename(process.argv0)
  const plugin = findPlugin(name)
  const { CNI_COMMAND: command = '' } = process.env
  if (plugin === undefined || process.argv[2] === 'daemon' || (command !== '' && command !== 'VERSION')) {
    endStart()
    openPack(FIRST_PACK) // main.ts is in it, and begins
    return
  }
  const nothing = () => Promise.reject(new Error(`${command} opens nothing`))
  const { stdout, stderr, exitStatus } = await invoke(
    plugin,
    nothing,
    { environment: process.env, readStdin: () => '' },
    { version, name },
  )
  await writeAll(2, stderr)
  process.exit((await writeAll(1, stdout)) ? exitStatus : 1)
}

/**
 * Takes back the flag with which V8 starts faster: the code caches of Node.js itself and those of the packs were made
 * without it, and are not taken with it. Where the addon cannot be loaded, what needs it says so later.
 */
function endStart(): void {
  const native = requireModule('module:lib/native/native.ts') as typeof import('../../lib/native/native.ts')
  try {
    native.loadNative().setV8Flags(PODWIRE_START_OVER)
  } catch {
    // All is compiled, then.
  }
}

type Require = (id: string) => unknown
type Pack = (
  exports: Namespaces,
  require: Require,
  module: { exports: Namespaces },
  __dirname: string,
) => void
type Namespaces = Readonly<Record<string, unknown>>

const packs = new Map<string, { exports: Namespaces }>()

/** `require` of the packs. */
function requireModule(id: string): unknown {
  if (!id.startsWith(MODULE)) return require(id)
  const [pack, name] = PODWIRE_MODULES[id.slice(MODULE.length)] ?? []
  if (pack === undefined || name === undefined) throw new Error(`no pack has ${id}`)
  return openPack(pack)[name]
}

/** With its machine code: V8 compiles nothing. */
function openPack(pack: string): Namespaces {
  const known = packs.get(pack)
  if (known !== undefined) return known.exports
  const filename = `${pack}.cjs`
  const source = Buffer.from(getRawAsset(filename)).toString('latin1') // the bundler escapes what is not ASCII
  const cachedData = Buffer.from(getRawAsset(`${pack}.cache`))
  const module = { exports: {} as Namespaces }
  packs.set(pack, module)
  const run = new Script(source, { filename, cachedData }).runInThisContext() as Pack
  run(module.exports, requireModule, module, __dirname)
  return module.exports
}

start().catch((error: unknown) => {
  console.error(error)
  process.exit(1)
})
