// Files and directories of this node, to be looked at.

import { lstatSync, readdirSync, readFileSync, readlinkSync, type Stats, statSync } from 'node:fs'

export class Disk {
  readonly #root: string

  /** @param root  what all paths begin with: another than the node's own in tests */
  constructor(root = '') {
    this.#root = root
  }

  /** @returns undefined when there is no such file */
  read(path: string): string | undefined {
    return unlessMissing(() => readFileSync(this.#root + path, 'utf8'))
  }

  /** The names in a directory, in order; none when it is not there. */
  list(path: string): string[] {
    return unlessMissing(() => readdirSync(this.#root + path))?.sort() ?? []
  }

  /** Of what a link leads to. */
  stat(path: string): Stats | undefined {
    return unlessMissing(() => statSync(this.#root + path))
  }

  /** Of the link itself. */
  lstat(path: string): Stats | undefined {
    return unlessMissing(() => lstatSync(this.#root + path))
  }

  /** @returns undefined for what is no link */
  readlink(path: string): string | undefined {
    return this.lstat(path)?.isSymbolicLink() ? readlinkSync(this.#root + path) : undefined
  }
}

const MISSING = ['ENOENT', 'ENOTDIR']

function unlessMissing<T>(look: () => T): T | undefined {
  try {
    return look()
  } catch (error) {
    if (MISSING.includes((error as NodeJS.ErrnoException).code ?? '')) return undefined
    throw error
  }
}
