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
import { join } from 'node:path'

const EXECUTABLE = 'podwire'

/**
 * @param directory  existing directory
 * @returns what was done, a line for each file
 * @throws Error of the file system, with the path in it
 */
export function install(
  directory: string,
  { executable, names }: { executable: string; names: readonly string[] },
): string {
  const target = join(realpathSync(directory), EXECUTABLE)
  const lines: string[] = []
  if (target === realpathSync(executable)) {
    lines.push(`${target}: is what is running`)
  } else {
    replace(target, (path) => copy(executable, path))
    lines.push(`${target}: copied from ${executable}`)
  }
  for (const name of names) {
    replace(join(directory, name), (path) => symlinkSync(EXECUTABLE, path))
    lines.push(`${join(directory, name)}: link to ${EXECUTABLE}`)
  }
  return `${lines.join('\n')}\n`
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
