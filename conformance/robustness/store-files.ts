// The files of a lease store at the moments between its writes, and stores opened from what a power cut leaves.

import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { allocate } from '../../lib/ipam/allocator.ts'
import type { LeaseStore } from '../../lib/ipam/lease-store.ts'
import { SqliteLeaseStore } from '../../lib/ipam/lease-store-sqlite.ts'
import { parseRangeSets } from '../../lib/ipam/range-set.ts'

const BOOT = 'boot-1'
const PAGE = 4096
/** Thousands of stores are opened and synced: on a disk that takes minutes. */
const MEMORY = existsSync('/dev/shm') ? '/dev/shm' : tmpdir()

export interface Files {
  readonly db: Uint8Array
  readonly wal: Uint8Array
  readonly note: string
}

export interface Step {
  readonly what:
    | 'the first opening'
    | 'a commit'
    | 'a commit that copies the log back'
    | 'a commit that begins the log anew'
  readonly before: Files
  readonly after: Files
  readonly states: { readonly before: string; readonly after: string }
}

/** A run of bytes that goes to one file. */
interface Write {
  readonly file: 'db' | 'wal'
  readonly offset: number
  readonly bytes: Uint8Array
}

/** Transactions until the log has been copied back and begun anew; one step of each kind, and every state there was. */
export function record(): { steps: Step[]; history: string[] } {
  return inDirectory((path) => {
    new DatabaseSync(path).exec('PRAGMA journal_mode = WAL')
    const created = { ...read(path), wal: new Uint8Array(), note: '' }
    const store = SqliteLeaseStore.open(path, { bootId: BOOT })
    let files = read(path)
    const steps: Step[] = [
      { what: 'the first opening', before: created, after: files, states: { before: '', after: '' } },
    ]
    const history = [heldBy(store)]
    for (let nth = 0; steps.length < 4 && nth < 1000; nth++) {
      const before = files
      transact(store, nth)
      files = read(path)
      history.push(heldBy(store))
      const what = kindOf(before, files)
      if (steps.some((step) => step.what === what) || nth < 10) continue
      const [was = '', is = ''] = history.slice(-2)
      steps.push({ what, before, after: files, states: { before: was, after: is } })
    }
    store.close()
    return { steps, history }
  })
}

/** In the order in which SQLite makes them: the log, then, page by page, what is copied back from it. */
export function writesBetween(before: Files, after: Files): Write[] {
  const pages = Array.from({ length: after.db.length / PAGE }, (_, page) => page * PAGE)
  const changed = pages.filter((at) => !equal(slice(before.db, at), slice(after.db, at)))
  const log = difference(before.wal, after.wal)
  return [
    ...(log === undefined ? [] : [{ file: 'wal' as const, ...log }]),
    ...changed.map((offset) => ({ file: 'db' as const, offset, bytes: slice(after.db, offset) })),
  ]
}

/** Every `stride`-th length of what is written, and all near the beginning and the end of a write or of a frame. */
export function cutsOf(writes: readonly Write[], stride: number): number[] {
  let start = 0
  const edges = writes.flatMap(({ bytes }) => {
    const inner = Array.from(
      { length: Math.ceil(bytes.length / (PAGE + 24)) },
      (_, at) => start + at * (PAGE + 24),
    )
    start += bytes.length
    return [...inner, start]
  })
  const all = Array.from({ length: start + 1 }, (_, cut) => cut)
  return all.filter((cut) => cut % stride === 0 || edges.some((edge) => Math.abs(cut - edge) < 3))
}

/** The files when the power went after `cut` bytes. */
export function applyWrites(before: Files, writes: readonly Write[], cut: number): Files {
  const files = { db: before.db, wal: before.wal }
  let left = cut
  for (const { file, offset, bytes } of writes) {
    files[file] = overwrite(files[file], offset, bytes.subarray(0, Math.max(0, left)))
    left -= bytes.length
  }
  return { ...files, note: before.note }
}

/** Opens a store of these files, and uses it. @returns what it holds, and what is wrong */
export function recover(
  files: Files,
  { nextBoot }: { nextBoot: boolean },
): { held: string; faults: string[] } {
  return inDirectory((path) => {
    writeFileSync(path, files.db)
    if (files.wal.length > 0) writeFileSync(`${path}-wal`, files.wal)
    writeFileSync(`${path}.lock`, files.note)
    try {
      const store = SqliteLeaseStore.open(path, { bootId: nextBoot ? 'boot-2' : BOOT })
      const held = heldBy(store)
      take(store, 'newcomer')
      const faults = heldBy(store).includes('newcomer') ? [] : ['what is added is not there']
      store.close()
      const verdict = integrityOf(path)
      return { held, faults: verdict === 'ok' ? faults : [...faults, verdict] }
    } catch (error) {
      return { held: '', faults: [String(error)] }
    }
  })
}

/** Takes, and every third time gives back. */
function transact(store: LeaseStore, nth: number): void {
  if (nth % 3 < 2) take(store, `pod${nth}`)
  else
    store.transaction((tx) => tx.release('net', { containerId: `pod${nth - 1}`, ifname: 'eth0' }, 1000 + nth))
}

const SETS = parseRangeSets({ ranges: [[{ subnet: '10.1.0.0/16' }], [{ subnet: '2001:db8::/64' }]] })

function take(store: LeaseStore, containerId: string): void {
  const request = { network: 'net', containerId, ifname: 'eth0', sets: SETS, nowMs: 1000 }
  store.transaction((tx) => allocate(tx, request))
}

function heldBy(store: LeaseStore): string {
  return store
    .read((reader) => reader.listHeld())
    .map(({ containerId, address }) => `${containerId}=${address}`)
    .join(' ')
}

function integrityOf(path: string): string {
  const database = new DatabaseSync(path)
  const row = database.prepare('PRAGMA integrity_check(1)').get()
  database.close()
  return String(Object.values(row ?? {})[0])
}

function kindOf(before: Files, after: Files): Step['what'] {
  if (!equal(before.db, after.db)) return 'a commit that copies the log back'
  if (!equal(before.wal.subarray(0, 32), after.wal.subarray(0, 32)))
    return 'a commit that begins the log anew'
  return 'a commit'
}

function read(path: string): Files {
  const find = (file: string) => {
    try {
      return Uint8Array.from(readFileSync(file))
    } catch {
      return new Uint8Array()
    }
  }
  return { db: find(path), wal: find(`${path}-wal`), note: Buffer.from(find(`${path}.lock`)).toString() }
}

/** From the first byte that differs to the last. */
function difference(
  before: Uint8Array,
  after: Uint8Array,
): { offset: number; bytes: Uint8Array } | undefined {
  const offset = after.findIndex((byte, at) => byte !== before[at])
  if (offset === -1) return undefined
  const end = after.findLastIndex((byte, at) => byte !== before[at])
  return { offset, bytes: after.slice(offset, end + 1) }
}

function overwrite(content: Uint8Array, offset: number, bytes: Uint8Array): Uint8Array {
  if (bytes.length === 0) return content
  const result = new Uint8Array(Math.max(content.length, offset + bytes.length))
  result.set(content)
  result.set(bytes, offset)
  return result
}

function slice(content: Uint8Array, offset: number): Uint8Array {
  return content.subarray(offset, offset + PAGE)
}

function equal(a: Uint8Array, b: Uint8Array): boolean {
  return Buffer.compare(a, b) === 0
}

function inDirectory<T>(work: (path: string) => T): T {
  const directory = mkdtempSync(join(MEMORY, 'pw-store-'))
  try {
    return work(join(directory, 'podwire-leases.db'))
  } finally {
    rmSync(directory, { recursive: true })
  }
}
