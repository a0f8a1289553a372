// The script that Node.js runs in the executable: the smallest part of Podwire. VERSION and the about text are
// answered from here; all else is in a second script, which is loaded with its machine code cached
// (scripts/bundle.ts makes both; from source, main.ts is all there is).

import { basename } from 'node:path'
import { getRawAsset } from 'node:sea'
import { Script } from 'node:vm'
import { invoke } from '../../lib/cni/skel.ts'
import { findPlugin } from './registry.ts'
import { writeAll } from './stdio.ts'
import { version } from './version.ts'

/** Assets of the executable. */
const MAIN_SCRIPT = 'main.cjs'
const MAIN_CACHE = 'main.cache'

async function start(): Promise<void> {
  const name = basename(process.argv0)
  const plugin = findPlugin(name)
  const { CNI_COMMAND: command = '' } = process.env
  if (plugin === undefined || process.argv[2] === 'daemon' || (command !== '' && command !== 'VERSION'))
    return loadMain()
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

function loadMain(): void {
  const source = Buffer.from(getRawAsset(MAIN_SCRIPT)).toString('latin1') // the bundler escapes what is not ASCII
  const script = new Script(source, {
    filename: MAIN_SCRIPT,
    cachedData: Buffer.from(getRawAsset(MAIN_CACHE)),
  })
  script.runInThisContext()(exports, require, module, __filename, __dirname)
}

start().catch((error: unknown) => {
  console.error(error)
  process.exit(1)
})
