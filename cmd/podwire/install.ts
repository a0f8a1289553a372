// `podwire install`: the executable and its names, put where a runtime looks for plugins. Each file appears whole
// under its name (rename(2)), so it may run while the node starts pods.

import {
  chmodSync,
  closeSync,
  copyFileSync,
  fsyncSync,
  openSync,
  realpathSync,
  renameSync,
  rmSync,
  symlinkSync,
} from 'node:fs'
import { dirname, join } from 'node:path'

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
 * @throws Error of the file system, with the path in it
 */
export function install(directory: string, { executable, names, withShim }: Installation): string {
  const target = withShim ? SHIM : EXECUTABLE
  const shim = join(dirname(executable), SHIM)
  const lines = [
    put(directory, EXECUTABLE, executable),
    // Before its names: each has something to lead to.
    ...(withShim ? [put(directory, SHIM, shim)] : []),
    ...names.map((name) => link(directory, name, target)),
  ]
  return `${lines.join('\n')}\n`
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

/** Synced, since a node may lose power right after: a short executable would fail every pod. */
function copy(from: string, to: string): void {
  copyFileSync(from, to)
  chmodSync(to, 0o755)
  const fd = openSync(to, 'r')
  fsyncSync(fd)
  closeSync(fd)
}

function replace(path: string, make: (temporary: string) => void): void {
  const temporary = `${path}.new.${process.pid}`
  try {
    make(temporary)
    renameSync(temporary, path)
  } catch (error) {
    rmSync(temporary, { force: true })
    throw error
  }
}
