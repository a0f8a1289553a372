// Single executable applications: Node.js with a script and files inside.
// https://nodejs.org/docs/latest-v24.x/api/single-executable-applications.html

import { execFileSync } from 'node:child_process'
import { chmodSync, copyFileSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'

import { contentHash, fileIdentity, runStep } from './step.ts'

/** The npm package with the runtime that is built in, its headers included. */
export const NODE_PACKAGE = `node_modules/node-linux-${process.arch}`

const POSTJECT = 'node_modules/postject/dist/cli.js'
const SENTINEL = 'NODE_SEA_FUSE_fce680ab2cc467b6e072b8b5df1996b2'

/**
 * What is young takes 2 MiB twice from the start, and never 16: a daemon that has served some thousand calls is 14 MiB
 * smaller, a process for one call collects garbage once less, and no call takes longer.
 */
const HEAP_FLAGS = ['--min-semi-space-size=2', '--max-semi-space-size=2']

/**
 * From the start until `START_OVER`. Without it V8 draws secrets for its hashes and computes anew all that are in its
 * snapshot: 10 of 33 ms that Node.js takes to start. What may be hashed is bounded (docs/adr/0011-start.md).
 */
export const START_FLAGS: readonly string[] = ['--no-rehash-snapshot', ...HEAP_FLAGS]

/** What start.ts sets when V8 has started. A code cache is only taken by a V8 that has the flags it was made with. */
export const START_OVER = '--rehash-snapshot'

export interface Executable {
  readonly output: string
  readonly script: Uint8Array
  /** Key → file. */
  readonly assets: Readonly<Record<string, string>>
}

/** @param work  directory for what lies between the inputs and the executable, kept for the next time */
export async function buildExecutable(work: string, executable: Executable): Promise<void> {
  const stripped = join(work, 'node')
  const node = join(NODE_PACKAGE, 'bin/node')
  mkdirSync(work, { recursive: true })
  await runStep(work, { name: 'strip node', inputs: [fileIdentity(node)], output: stripped }, () =>
    strip(node, stripped),
  )
  const assets = Object.entries(executable.assets)
  const inputs = [
    fileIdentity(stripped),
    JSON.stringify(seaConfig('', '', executable.assets)),
    executable.script,
    ...assets.map(([, file]) => readFileSync(file)),
  ]
  await runStep(work, { name: `build ${executable.output}`, inputs, output: executable.output }, () =>
    inject(work, stripped, executable),
  )
}

/** Before the injection: strip would drop what is injected. Saves 18 MB. */
function strip(node: string, output: string): void {
  execFileSync('strip', ['-o', `${output}.new`, node])
  renameSync(`${output}.new`, output)
}

function inject(work: string, node: string, { output, script, assets }: Executable): void {
  const id = contentHash(output).slice(0, 8)
  const [main, blob, config] = [`${id}.cjs`, `${id}.blob`, `${id}.json`].map((name) => join(work, name)) as [
    string,
    string,
    string,
  ]
  writeFileSync(main, script)
  writeFileSync(config, JSON.stringify(seaConfig(main, blob, assets), null, 2))
  run(process.execPath, [...START_FLAGS, '--experimental-sea-config', config])
  mkdirSync(dirname(output), { recursive: true })
  const temporary = `${output}.new`
  rmSync(temporary, { force: true })
  copyFileSync(node, temporary)
  chmodSync(temporary, 0o755)
  run(process.execPath, [POSTJECT, temporary, 'NODE_SEA_BLOB', blob, '--sentinel-fuse', SENTINEL])
  renameSync(temporary, output) // whoever runs the old one keeps it
}

function seaConfig(main: string, output: string, assets: Readonly<Record<string, string>>): object {
  return {
    main,
    output,
    disableExperimentalSEAWarning: true,
    useCodeCache: true,
    execArgv: START_FLAGS,
    execArgvExtension: 'none', // a plugin runs as root in whatever environment: NODE_OPTIONS is not for it
    assets,
  }
}

/** Quiet unless it fails: postject warns about every section that its ELF parser does not know. */
function run(command: string, args: readonly string[]): void {
  execFileSync(command, args, { stdio: 'pipe' })
}
