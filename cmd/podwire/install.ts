// `podwire install`: the executable and its names, put where a runtime looks for plugins. Each file appears whole
// under its name (rename(2)), so it may run while the node starts pods.

import { chmodSync, copyFileSync, realpathSync, statSync, symlinkSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { CommandError } from './command.ts'
import { replace, sync } from './replace.ts'

const EXECUTABLE = 'podwire'
const SHIM = 'podwire-shim'

export interface Installation {
  /** Path of the running executable. */
  readonly executable: string
  readonly names: readonly string[]
  /** The names are the shim's, which asks the daemon first; it lies beside the executable. */
  readonly withShim: boolean
}

/**
 * @param directory  existing directory
 * @returns what was done, a line for each file
 * @throws Error of the file system, with the path in it; what to do, when the directory is none
 */
export function install(directory: string, { executable, names, withShim }: Installation): string[] {
  requireDirectory(directory)
  const target = withShim ? SHIM : EXECUTABLE
  const shim = join(dirname(executable), SHIM)
  return [
    put(directory, EXECUTABLE, executable),
    // Before its names: each has something to lead to.
    ...(withShim ? [put(directory, SHIM, shim)] : []),
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

function put(directory: string, name: string, source: string): string {
  const target = join(realpathSync(directory), name)
  if (target === realpathSync(source)) return `${target}: is what is there`
  replace(target, (path) => copy(source, path))
  return `${target}: copied from ${source}`
}

function link(directory: string, name: string, target: string): string {
  replace(join(directory, name), (path) => symlinkSync(target, path))
  return `${join(directory, name)}: link to ${target}`
}

function copy(from: string, to: string): void {
  copyFileSync(from, to)
  chmodSync(to, 0o755)
  sync(to)
}
