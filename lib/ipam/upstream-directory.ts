// The leases of upstream's host-local where it keeps them: `<dataDir>/<network>/<address>`.
//
// A network that is ours has a text file where upstream has the directory: its mkdir then fails with ENOTDIR, and a
// person who looks finds out why. When a network is taken over, directory and file change places, under upstream's own
// lock: a call of upstream that waits for that lock finds no directory to write into either, and none comes when neither is
// there. When it is given back they change places again.
//
// On the way the directory is `.taking-over/<network>/<n>`, afterwards `.taken-over/<network>/<n>`: no network's name
// begins with a dot. There can be several, and files among them, of earlier calls that were killed.

import {
  appendFileSync,
  closeSync,
  constants,
  fsyncSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { basename, dirname, join } from 'node:path'

import { loadNative } from '../native/native.ts'
import { asNodeError, hasCode } from '../native/node-error.ts'
import { FileLock } from '../state/file-lock.ts'
import { storeErrorOfErrno } from '../state/store-error.ts'
import type { Owner, UpstreamFile, UpstreamLeases } from './upstream-leases.ts'

/** As long as ours waits for its own. */
const LOCK_TIMEOUT_MS = 20_000
const LOCK = 'lock'
const SIGN = 'The leases of this network are kept by Podwire'

export class UpstreamDirectory implements UpstreamLeases {
  readonly #dataDir: string
  /** What our database's files are called, which no network's directory can then be. */
  readonly #reserved: string

  /** @param databasePath  path of our store, in the same directory */
  constructor(databasePath: string) {
    this.#dataDir = dirname(databasePath)
    this.#reserved = basename(databasePath)
  }

  owner(network: string): Owner {
    return this.#guard('look at', network, () => {
      if (this.#isImpossible(network)) return 'podwire'
      if (kindOf(this.#taking(network)) !== NOTHING) return 'upstream'
      const live = kindOf(this.#live(network))
      if (live === NOTHING) return 'nobody'
      return live === S_IFDIR ? 'upstream' : 'podwire'
    })
  }

  list(network: string): UpstreamFile[] {
    return this.#guard('read', network, () => {
      const live = this.#live(network)
      const directories = [...this.#listTaking(network), ...(isDirectory(live) ? [live] : [])]
      return directories.flatMap(readFiles).sort((a, b) => (a.name < b.name ? -1 : 1))
    })
  }

  claim(network: string): UpstreamFile[] {
    return this.#guard('take over', network, () => {
      if (this.#isImpossible(network)) return []
      if (this.#putSign(network) === 'upstream') this.#changePlaces(network)
      return this.list(network)
    })
  }

  release(
    network: string,
    pick: (files: readonly UpstreamFile[]) => readonly string[],
  ): string[] | undefined {
    return this.#guard('release in', network, () => {
      const live = this.#live(network)
      if (isDirectory(this.#taking(network)) || !isDirectory(live)) return undefined
      return withUpstreamsLock(live, () => {
        const names = [...pick(readFiles(live))]
        for (const name of names) rmSync(join(live, name), { force: true })
        return names
      })
    })
  }

  settle(network: string, note: string): void {
    this.#guard('settle', network, () => {
      if (isDirectory(this.#taking(network))) this.#keep(network)
      if (this.#isSign(network)) appendFileSync(this.#live(network), note)
    })
  }

  listClaimed(): string[] {
    return this.#guard('read', '', () => {
      const entries = readdirSync(this.#dataDir, { withFileTypes: true })
      const names = entries.filter((entry) => entry.isFile()).map(({ name }) => name)
      return names.filter((name) => this.#readFile(name)?.startsWith(SIGN)).sort()
    })
  }

  /** The directory is made whole beside, and appears at once; the files are on the disk by then. */
  handBack(network: string, files: ReadonlyMap<string, string>): void {
    this.#guard('hand back', network, () => {
      const made = join(this.#dataDir, '.handing-back', network)
      rmSync(made, { recursive: true, force: true })
      mkdirSync(made, { recursive: true, mode: 0o755 })
      for (const [name, content] of files) writeSynced(join(made, name), content)
      sync(made)
      if (!this.#isSign(network)) return renameSync(made, this.#live(network))
      exchange(made, this.#live(network))
      rmSync(made)
    })
  }

  #live(network: string): string {
    return join(this.#dataDir, network)
  }

  #taking(network: string): string {
    return join(this.#dataDir, '.taking-over', network)
  }

  /** Upstream cannot have a network of that name here. */
  #isImpossible(network: string): boolean {
    return network.startsWith(this.#reserved) || Buffer.byteLength(network) > 255
  }

  #listTaking(network: string): string[] {
    const taking = this.#taking(network)
    if (!isDirectory(taking)) return []
    return readdirSync(taking)
      .map((name) => join(taking, name))
      .filter(isDirectory)
  }

  #changePlaces(network: string): void {
    const [live, taking] = [this.#live(network), this.#taking(network)]
    withUpstreamsLock(live, () => {
      mkdirSync(taking, { recursive: true, mode: 0o700 })
      const sign = join(taking, String(readdirSync(taking).length))
      writeFileSync(sign, signText(network, this.#dataDir), { flag: 'wx', mode: 0o644 })
      exchange(sign, live)
    })
  }

  /** For a person who wants to see what was left out. */
  #keep(network: string): void {
    const taken = join(this.#dataDir, '.taken-over', network)
    mkdirSync(dirname(taken), { recursive: true, mode: 0o700 })
    rmSync(taken, { recursive: true, force: true })
    renameSync(this.#taking(network), taken)
  }

  /** @returns whose the place is then. One that was left empty (a full disk) gets its text. */
  #putSign(network: string): Owner {
    const live = this.#live(network)
    const isThere = isDirectory(live) || (this.#readFile(network) ?? '') !== ''
    try {
      if (!isThere) writeFileSync(live, signText(network, this.#dataDir), { flag: 'a', mode: 0o644 })
    } catch (error) {
      if (!hasCode(error, 'EISDIR')) throw error // upstream made it just now
    }
    return isDirectory(live) ? 'upstream' : 'podwire'
  }

  #isSign(network: string): boolean {
    const text = this.#readFile(network)
    return text === '' || text?.startsWith(SIGN) === true
  }

  /** @returns undefined when there is none */
  #readFile(network: string): string | undefined {
    const isFile = !this.#isImpossible(network) && kindOf(this.#live(network)) === S_IFREG
    return isFile ? readFileSync(this.#live(network), 'utf8') : undefined
  }

  #guard<T>(operation: string, network: string, work: () => T): T {
    try {
      return work()
    } catch (error) {
      throw storeErrorOfErrno(error, operation, this.#live(network))
    }
  }
}

/** File systems that cannot (some of other machines) have a moment in which the second place is empty. */
function exchange(one: string, other: string): void {
  try {
    loadNative().exchange(one, other)
  } catch (error) {
    const nodeError = asNodeError(error, other)
    if (!hasCode(nodeError, 'EINVAL')) throw nodeError
    renameSync(other, `${one}.other`)
    renameSync(one, other)
    renameSync(`${one}.other`, one)
  }
}

/** Upstream's own: none of its calls is at work in the directory meanwhile. */
function withUpstreamsLock<T>(directory: string, work: () => T): T {
  const lock = FileLock.open(join(directory, LOCK), loadNative().flock)
  try {
    lock.acquire(LOCK_TIMEOUT_MS)
    return work()
  } finally {
    lock.close()
  }
}

function signText(network: string, dataDir: string): string {
  return `${SIGN}, in the database beside this file. It keeps upstream's host-local
from handing out the same addresses: its calls fail with "not a directory".
To give the network back to it: podwire export --network ${network} ${dataDir}
Where Podwire is gone: remove this file once none of its pods runs.
`
}

const { S_IFDIR, S_IFREG } = constants
const NOTHING = 0

/** What a link leads to, as upstream sees it. */
function kindOf(path: string): number {
  try {
    return loadNative().kindOf(path)
  } catch (error) {
    throw asNodeError(error, path)
  }
}

function isDirectory(path: string): boolean {
  return kindOf(path) === S_IFDIR
}

function readFiles(directory: string): UpstreamFile[] {
  const entries = readdirSync(directory, { withFileTypes: true })
  const files = entries.filter((entry) => entry.isFile() && entry.name !== LOCK)
  return files.flatMap(({ name }) => {
    const path = join(directory, name)
    try {
      return [{ name, content: readFileSync(path, 'utf8'), modifiedAtMs: statSync(path).mtimeMs }]
    } catch (error) {
      if (hasCode(error, 'ENOENT')) return [] // upstream released it just now
      throw error
    }
  })
}

function writeSynced(path: string, content: string): void {
  const fd = openSync(path, 'wx', 0o600)
  try {
    writeFileSync(fd, content)
    fsyncSync(fd)
  } finally {
    closeSync(fd)
  }
}

function sync(directory: string): void {
  const fd = openSync(directory, 'r')
  try {
    fsyncSync(fd)
  } finally {
    closeSync(fd)
  }
}
