// `podwire install`: the executable and its names, put where a runtime looks for plugins. Each file appears whole
// under its name (rename(2)), so it may run while the node starts pods.

import {
  chmodSync,
  closeSync,
  copyFileSync,
  openSync,
  readSync,
  realpathSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { dirname, join } from 'node:path'
import { CommandError } from './command.ts'
import { removeCutOff, replace, sync } from './replace.ts'

const EXECUTABLE = 'podwire'
const SHIM = 'podwire-shim'

export interface Installation {
  /** Path of the running executable. */
  readonly executable: string
  readonly names: readonly string[]
  /** The names are the shim's, which asks the daemon first; it lies beside the executable. */
  readonly withShim: boolean
  readonly nowMs: number
}

/**
 * @param directory  existing directory
 * @returns what was done, a line for each file
 * @throws Error of the file system, with the path in it; what to do, when the directory is none
 */
export function install(directory: string, { executable, names, withShim, nowMs }: Installation): string[] {
  requireDirectory(directory)
  for (const name of [EXECUTABLE, SHIM]) removeCutOff(join(directory, name), { nowMs })
  const target = withShim ? SHIM : EXECUTABLE
  const shim = join(dirname(executable), SHIM)
  return [
    put(directory, EXECUTABLE, { source: executable, copy: withShim ? copyFileSync : copyForStart }),
    // Before its names: each has something to lead to.
    ...(withShim ? [put(directory, SHIM, { source: shim, copy: copyFileSync })] : []),
    ...names.map((name) => link(directory, name, target)),
  ]
}

/** It is not made: of a slip of the pen the runtime would know nothing. */
function requireDirectory(directory: string): void {
  if (statSync(directory, { throwIfNoEntry: false })?.isDirectory()) return
  throw new CommandError(
    `${JSON.stringify(directory)} is no directory`,
    `name the one in which the runtime looks for plugins (mostly /opt/cni/bin), or make it: mkdir -p ${directory}`,
  )
}

interface Source {
  readonly source: string
  readonly copy: (from: string, to: string) => void
}

function put(directory: string, name: string, { source, copy }: Source): string {
  const target = join(realpathSync(directory), name)
  if (target === realpathSync(source)) return `${target}: is what is there`
  replace(target, (path) => {
    copy(source, path)
    chmodSync(path, 0o755)
    sync(path)
  })
  return `${target}: copied from ${source}`
}

function link(directory: string, name: string, target: string): string {
  replace(join(directory, name), (path) => symlinkSync(target, path))
  return `${join(directory, name)}: link to ${target}`
}

const PIECE_BYTES = 2 << 20

/**
 * In pieces of the size of a huge page: where the file system has them, the kernel keeps in memory what is written so in
 * pages of that size, and a program that is mapped by them starts faster (docs/adr/0011-start.md). All of such a page
 * counts as resident, so it is not for a daemon.
 */
function copyForStart(from: string, to: string): void {
  const [source, target] = [openSync(from, 'r'), openSync(to, 'w')]
  try {
    const piece = Buffer.alloc(PIECE_BYTES)
    for (let length = readSync(source, piece); length > 0; length = readSync(source, piece))
      writeFileSync(target, piece.subarray(0, length))
  } finally {
    closeSync(source)
    closeSync(target)
  }
}
