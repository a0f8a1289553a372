// Files that appear whole under their names, or not at all (rename(2)).

import {
  closeSync,
  fsyncSync,
  lstatSync,
  openSync,
  readdirSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { basename, dirname, join } from 'node:path'

export function replace(path: string, make: (temporary: string) => void): void {
  const temporary = `${path}.new.${process.pid}`
  try {
    make(temporary)
    renameSync(temporary, path)
  } catch (error) {
    rmSync(temporary, { force: true })
    throw error
  }
}

/** What `replace` of that path makes, or made in a process that was killed: paths. */
export function listTemporary(path: string): string[] {
  const directory = dirname(path)
  const begin = `${basename(path)}.new.`
  return readdirSync(directory)
    .filter((name) => name.startsWith(begin) && /^\d+$/.test(name.slice(begin.length)))
    .sort()
    .map((name) => join(directory, name))
}

/** Nobody has written to it for so long: not another who replaces the same path just now. */
const CUT_OFF_MS = 10 * 60_000

/** By age: the process in the name may be of another PID namespace. */
export function removeCutOff(path: string, { nowMs }: { readonly nowMs: number }): void {
  for (const temporary of listTemporary(path)) {
    const found = lstatSync(temporary, { throwIfNoEntry: false })
    if (found !== undefined && nowMs - found.mtimeMs > CUT_OFF_MS) rmSync(temporary, { force: true })
  }
}

export function writeWhole(path: string, text: string): void {
  replace(path, (temporary) => {
    writeFileSync(temporary, text, { mode: 0o644 })
    sync(temporary)
  })
}

/** A node may lose power right after: a short file would fail every pod. */
export function sync(path: string): void {
  const fd = openSync(path, 'r')
  fsyncSync(fd)
  closeSync(fd)
}
