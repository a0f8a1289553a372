// Files that appear whole under their names, or not at all (rename(2)).

import { closeSync, fsyncSync, openSync, renameSync, rmSync, writeFileSync } from 'node:fs'

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
