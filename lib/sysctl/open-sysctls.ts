// Files of parameters that stay open. To find one by its path, the kernel walks in each of its folders past those of all
// network namespaces that have been looked at (proc_sys_compare): with a hundred pods that was a thirteenth of an ADD, and
// it grows with their number. What is read is asked of the kernel each time: nothing that another process sets is missed.

import { closeSync } from 'node:fs'
import { constants } from 'node:os'
import { loadNative } from '../native/native.ts'
import type { SysctlKey } from './sysctl.ts'

/** Those of links are below them. */
const DIRECTORY = /^(ipv[46]\/conf)\/(.+)$/

const { ENOENT } = constants.errno

/** Of the node's own there are four or five. */
const MAX_FILES = 16

export class OpenSysctls {
  readonly #openFile: (key: SysctlKey) => number
  /** Descriptors; the first is the oldest. */
  readonly #files = new Map<SysctlKey, number>()
  readonly #readText = loadNative().readText

  readonly #directories = new Map<string, number>()

  /** @param openFile  throws as openSync does */
  constructor(openFile: (key: SysctlKey) => number) {
    this.#openFile = openFile
  }

  /** @throws Error of node:fs, or of the addon: ENOENT where there is no such parameter */
  read(key: SysctlKey): string {
    const open = this.#files.get(key)
    if (open === undefined) return this.#readAnew(key)
    try {
      return this.#readFile(open)
    } catch (error) {
      // It was that of a link that is gone, or has another name. There may be a new one.
      if ((error as Error & { errno?: number }).errno !== ENOENT) throw error
      this.#close(key)
      return this.#readAnew(key)
    }
  }

  /**
   * A way to a link's parameter that does not begin at the root: from a folder that stays open. It is good as long as the
   * protocol's folder is the same (its module, that is).
   *
   * @returns undefined for what is of no link
   */
  shortPath(key: SysctlKey): string | undefined {
    const [, directory, rest] = DIRECTORY.exec(key) ?? []
    if (directory === undefined || rest === undefined) return undefined
    let open = this.#directories.get(directory)
    if (open === undefined) {
      open = this.#openFile(directory)
      this.#directories.set(directory, open)
    }
    return `/proc/self/fd/${open}/${rest}`
  }

  close(): void {
    for (const key of [...this.#files.keys()]) this.#close(key)
    for (const open of this.#directories.values()) closeSync(open)
    this.#directories.clear()
  }

  #readAnew(key: SysctlKey): string {
    const file = this.#openFile(key)
    const [oldest] = this.#files.keys()
    if (this.#files.size >= MAX_FILES && oldest !== undefined) this.#close(oldest)
    this.#files.set(key, file)
    return this.#readFile(file)
  }

  #readFile(file: number): string {
    return this.#readText(file).trim()
  }

  #close(key: SysctlKey): void {
    const file = this.#files.get(key)
    this.#files.delete(key)
    if (file !== undefined) closeSync(file)
  }
}
