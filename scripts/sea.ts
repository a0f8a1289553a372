// Single executable applications: Node.js with a script and files inside.
// https://nodejs.org/docs/latest-v24.x/api/single-executable-applications.html

import { execFileSync } from 'node:child_process'
import { chmodSync, copyFileSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'

import { findPointers, findVariable, POINTER_SIZE } from './elf.ts'
import { contentHash, fileIdentity, runStep } from './step.ts'

/** The npm package with the runtime that is built in, its headers included. */
export const NODE_PACKAGE = `node_modules/node-linux-${process.arch}`

const POSTJECT = 'node_modules/postject/dist/cli.js'
const SENTINEL = 'NODE_SEA_FUSE_fce680ab2cc467b6e072b8b5df1996b2'

/**
 * V8's. What is young takes 2 MiB twice from the start, and never 16: a daemon that has served some thousand calls is 14 MiB
 * smaller, a process for one call collects garbage once less, and no call takes longer.
 */
export const HEAP_FLAGS = ['--min-semi-space-size=2', '--max-semi-space-size=2']

/**
 * Options of Node.js itself, not V8's: no thread that waits for SIGUSR1 to open a debugger, and one thread for V8's work
 * in the background, not four. A process starts in less time, and the daemon is smaller.
 */
const NODE_OPTIONS = ['--disable-sigusr1', '--v8-pool-size=1']

/**
 * Node.js is built without NDEBUG, so each lock of V8's mutexes is looked at for deadlocks: a graph of all mutexes, which
 * takes a megabyte and a lock of its own (absl::DeadlockCheck). Its mode is a variable of the program: `kAbort` there,
 * `kIgnore` in a release build, and here.
 */
export const DEADLOCK_DETECTION = ['_ZN4absl12_GLOBAL__N_124synch_deadlock_detectionE', 2, 0] as const

/**
 * Node.js 24 sets V8's flag `rehash_snapshot`, and V8 then draws secrets for its hashes and computes anew all that are in its
 * snapshot: 10 of 33 ms that a start takes. What may be hashed is bounded (docs/adr/0011-start.md). To take the flag back in
 * words would make other flags than those that all code caches of Node.js itself were made with. V8 sets a flag, and asks
 * which are set, by a table that has the address of each flag's value; it heeds a flag by reading its value. So in ours the
 * table has another address for this one, of bytes behind the flags: it counts as set, and is never seen to be.
 */
export const SNAPSHOT_HASHES = {
  flags: '_ZN2v88internal8v8_flagsE',
  initial: '_ZN2v88internalL27FLAGDEFAULT_rehash_snapshotE',
} as const

export interface Executable {
  readonly output: string
  readonly script: Uint8Array
  /** Key → file. */
  readonly assets: Readonly<Record<string, string>>
  /** Keys of assets that are put into a frame of `ALIGNMENT` more bytes, of which the first says where they begin. */
  readonly aligned?: readonly string[]
}

/** V8 copies a code cache that does not begin at a multiple of it, in bytes. */
export const ALIGNMENT = 8

/** @param work  directory for what lies between the inputs and the executable, kept for the next time */
export async function buildExecutable(work: string, executable: Executable): Promise<void> {
  const stripped = join(work, 'node')
  const node = join(NODE_PACKAGE, 'bin/node')
  mkdirSync(work, { recursive: true })
  const how = ['sea.ts', 'elf.ts'].map((name) => readFileSync(join(import.meta.dirname, name)))
  const nodeInputs = [fileIdentity(node), ...how]
  await runStep(work, { name: 'strip node', inputs: nodeInputs, output: stripped }, () =>
    strip(node, stripped),
  )
  const assets = Object.entries(executable.assets)
  const inputs = [
    fileIdentity(stripped),
    JSON.stringify([seaConfig('', '', executable.assets), executable.aligned]),
    executable.script,
    ...assets.map(([, file]) => readFileSync(file)),
  ]
  await runStep(work, { name: `build ${executable.output}`, inputs, output: executable.output }, () =>
    inject(work, stripped, executable),
  )
}

/** Before the injection: strip would drop what is injected. Saves 18 MB. */
function strip(node: string, output: string): void {
  const program = readFileSync(node)
  ignoreDeadlocks(program)
  keepHashes(program)
  writeFileSync(`${output}.new`, program, { mode: 0o755 })
  execFileSync('strip', [`${output}.new`])
  renameSync(`${output}.new`, output)
}

/** @param program  Node.js, with its symbols */
function ignoreDeadlocks(program: Buffer): void {
  const [variable, abort, ignore] = DEADLOCK_DETECTION
  const { at } = findVariable(program, variable)
  const found = program.readInt32LE(at)
  if (found !== abort && found !== ignore)
    throw new Error(
      `${variable} of Node.js ${process.version} is ${found}, not ${abort} or ${ignore}: see ADR 11`,
    )
  program.writeInt32LE(ignore, at)
}

/** @param program  Node.js, with its symbols */
function keepHashes(program: Buffer): void {
  const { pointerAt, unused } = findSnapshotHashes(program)
  program.writeBigUInt64LE(BigInt(unused), pointerAt)
}

/**
 * Looks for the flag in V8's table. Of each flag that has: its name, the address of its value, the address of its default.
 *
 * @param program  Node.js, with its symbols
 * @returns where in the file the address of the value is, and an address behind all values
 * @throws Error when V8 has its flags in another way, or the flag is set from the start
 */
export function findSnapshotHashes(program: Buffer): { pointerAt: number; unused: number } {
  const flags = findVariable(program, SNAPSHOT_HASHES.flags)
  const initial = findVariable(program, SNAPSHOT_HASHES.initial)
  const [defaultAt = 0, ...more] = findPointers(program, initial)
  const places = findPointers(program, flags)
  const addresses = places.map((at) => program.readUInt32LE(at))
  const pointerAt = defaultAt - POINTER_SIZE
  const value = addresses[places.indexOf(pointerAt)]
  const unused = flags.address + flags.size - POINTER_SIZE
  const isKnown = value !== undefined && more.length === 0 && Math.max(...addresses) < unused - POINTER_SIZE
  if (!isKnown || program[flags.at + value - flags.address] !== 0)
    throw new Error(`the flags of V8 in Node.js ${process.version} are others: see ADR 11`)
  return { pointerAt, unused }
}

function inject(work: string, node: string, { output, script, assets, aligned = [] }: Executable): void {
  const id = contentHash(output).slice(0, 8)
  const [main, blob, config] = [`${id}.cjs`, `${id}.blob`, `${id}.json`].map((name) => join(work, name)) as [
    string,
    string,
    string,
  ]
  const frames = Object.entries(assets)
    .filter(([key]) => aligned.includes(key))
    .map(([key, file]) => ({
      key,
      file: join(work, `${id}.${key}.framed`),
      bytes: frame(readFileSync(file)),
    }))
  for (const { file, bytes } of frames) writeFileSync(file, bytes)
  const framed = { ...assets, ...Object.fromEntries(frames.map(({ key, file }) => [key, file])) }
  writeFileSync(main, script)
  writeFileSync(config, JSON.stringify(seaConfig(main, blob, framed), null, 2))
  run(process.execPath, [...HEAP_FLAGS, '--experimental-sea-config', config])
  mkdirSync(dirname(output), { recursive: true })
  const temporary = `${output}.new`
  rmSync(temporary, { force: true })
  copyFileSync(node, temporary)
  chmodSync(temporary, 0o755)
  run(process.execPath, [POSTJECT, temporary, 'NODE_SEA_BLOB', blob, '--sentinel-fuse', SENTINEL])
  const program = readFileSync(temporary)
  for (const { bytes } of frames) align(program, bytes)
  writeFileSync(temporary, program)
  renameSync(temporary, output) // whoever runs the old one keeps it
}

function frame(content: Uint8Array): Buffer {
  return Buffer.concat([Buffer.alloc(ALIGNMENT, ALIGNMENT), content])
}

/** Moves what is in the frame to where a multiple of `ALIGNMENT` is: segments of a program begin at pages. */
function align(program: Buffer, framed: Buffer): void {
  const at = program.indexOf(framed)
  if (at < 0) throw new Error('an asset is not in the program that it was put into')
  const begin = ALIGNMENT - (at % ALIGNMENT)
  program[at] = begin
  framed.copy(program, at + begin, ALIGNMENT)
}

function seaConfig(main: string, output: string, assets: Readonly<Record<string, string>>): object {
  return {
    main,
    output,
    disableExperimentalSEAWarning: true,
    useCodeCache: true,
    execArgv: [...HEAP_FLAGS, ...NODE_OPTIONS],
    execArgvExtension: 'none', // a plugin runs as root in whatever environment: NODE_OPTIONS is not for it
    assets,
  }
}

/** Quiet unless it fails: postject warns about every section that its ELF parser does not know. */
function run(command: string, args: readonly string[]): void {
  execFileSync(command, args, { stdio: 'pipe' })
}
