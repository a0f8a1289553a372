// From upstream's host-local to ours and back: who leaves leases, and who goes on with them.

import { describeLease } from './exhaustion.ts'
import { type Lease, type LeaseReader, type LeaseStore, type LeaseTx, NO_POOL } from './lease-store.ts'
import {
  type Dropped,
  fileOf,
  isLastReserved,
  readFile,
  type UpstreamFile,
  type UpstreamLease,
} from './upstream-leases.ts'

export interface Takeover {
  /** How many leases are ours now. */
  readonly taken: number
  readonly dropped: readonly Dropped[]
}

export interface Network {
  readonly network: string
  /** When this boot began; asked only where upstream left something. @see bootTimeMs */
  readonly bootedAtMs: () => number
}

export interface Change extends Network {
  readonly nowMs: number
  /** Addresses are handed out: keep upstream out even where it has never been. */
  readonly claimsNew?: boolean
  /** Is told once all is kept. */
  readonly onTakeover: (takeover: Takeover) => void
}

/** A transaction in the leases of one network, upstream's included: those that it left are taken over first. */
export function changeLeases<T>(store: LeaseStore, change: Change, work: (tx: LeaseTx) => T): T {
  const { upstream } = store
  const { network, claimsNew = false, nowMs, onTakeover } = change
  const { result } = store.transaction(
    (tx) => {
      const owner = upstream.owner(network)
      const claims = owner === 'upstream' || (claimsNew && owner === 'nobody')
      const files = claims ? upstream.claim(network) : []
      const takeover = files.length > 0 ? takeOver(tx, change, files) : undefined
      return { result: work(tx), takeover, isClaimed: claims }
    },
    ({ takeover, isClaimed }) => {
      if (isClaimed) upstream.settle(network, takeover ? noteOf(takeover, nowMs) : '')
      if (takeover) onTakeover(takeover)
    },
  )
  return result
}

export interface Release {
  readonly ours: (tx: LeaseTx) => readonly Released[]
  /** Which of those that upstream keeps. */
  readonly theirs: (leases: readonly UpstreamLease[]) => readonly UpstreamLease[]
}

export type Released = Pick<Lease, 'address'>

/**
 * Gives leases back. A network that is upstream's, and of which nothing is ours, stays upstream's: its leases are
 * released where it keeps them, so that a late DEL or GC of ours does not take back what was handed back.
 */
export function releaseLeases(store: LeaseStore, change: Change, release: Release): readonly Released[] {
  const { network } = change
  const isUpstreams = store.upstream.owner(network) === 'upstream'
  const inPlace = isUpstreams ? releaseInPlace(store, change, release) : undefined
  return inPlace ?? changeLeases(store, change, release.ours)
}

/** Alone in our store: no other call of ours takes the network over meanwhile. */
function releaseInPlace(
  store: LeaseStore,
  { network, nowMs }: Change,
  { theirs }: Release,
): readonly Released[] | undefined {
  return store.transaction((tx) => {
    if (tx.listHeld(network).length > 0) return undefined
    let released: readonly UpstreamLease[] = []
    const names = store.upstream.release(network, (files) => {
      released = theirs(files.flatMap(findLease))
      return released.map(({ address }) => String(address))
    })
    // So that they cool down, should the network be ours next.
    for (const lease of released) {
      tx.hold({ network, ...lease }, NO_POOL)
      tx.release(network, lease, nowMs)
    }
    return names && released
  })
}

/** However old: what is released is no question of its boot. */
function findLease(file: UpstreamFile): UpstreamLease[] {
  const read = readFile(file, 0)
  return 'why' in read ? [] : [read]
}

/** Looks at the leases of one network as they will be after upstream's are taken over; changes nothing. */
export function readLeases<T>(store: LeaseStore, network: Network, work: (reader: LeaseReader) => T): T {
  const isUpstreams = store.upstream.owner(network.network) === 'upstream'
  const files = isUpstreams ? store.upstream.list(network.network) : []
  if (files.length === 0) return store.read(work)
  try {
    return store.transaction((tx) => {
      takeOver(tx, network, files)
      throw new OnlyLooked(work(tx))
    })
  } catch (error) {
    if (error instanceof OnlyLooked) return error.result as T
    throw error
  }
}

/** Undoes the transaction. */
class OnlyLooked<T> extends Error {
  readonly result: T

  constructor(result: T) {
    super('only looked')
    this.result = result
  }
}

/** Those that are ours already are left: a call that was killed before it settled is done again. */
function takeOver(tx: LeaseTx, { network, bootedAtMs }: Network, files: readonly UpstreamFile[]): Takeover {
  const since = bootedAtMs()
  const read = files.filter((file) => !isLastReserved(file)).map((file) => readFile(file, since))
  const dropped = read.flatMap((one) => ('why' in one ? [one] : (takeLease(tx, network, one) ?? [])))
  return { taken: read.length - dropped.length, dropped }
}

function takeLease(tx: LeaseTx, network: string, lease: UpstreamLease): Dropped | undefined {
  const known = tx.find(network, lease.address)
  if (known === undefined || known.releasedAtMs !== undefined) {
    tx.hold({ network, ...lease }, NO_POOL)
    return undefined
  }
  if (known.containerId === lease.containerId && known.ifname === lease.ifname) return undefined
  return { name: String(lease.address), why: `of ${lease.containerId}, but ${describeLease(known)}` }
}

function noteOf({ taken, dropped }: Takeover, nowMs: number): string {
  const files = dropped.map(({ name, why }) => `  ${name}: ${why}\n`).join('')
  return `
${new Date(nowMs).toISOString()}: took over ${taken} leases${dropped.length > 0 ? ', and left out' : ''}
${files}What was here is now in .taken-over.
`
}

export class HandBackError extends Error {
  readonly code: 'ENONETWORK' | 'ECONFLICT'
  readonly network: string

  constructor(code: 'ENONETWORK' | 'ECONFLICT', network: string, why: string) {
    super(`network "${network}": ${code}: ${why}`)
    this.name = 'HandBackError'
    this.code = code
    this.network = network
  }
}

/** The networks with leases of ours, and those that upstream is kept out of. */
export function listNetworks(store: LeaseStore): string[] {
  const held = store.read((reader) => reader.listHeld().map(({ network }) => network))
  return [...new Set([...held, ...store.upstream.listClaimed()])].sort()
}

/**
 * Gives a network to upstream with all its leases; ours are forgotten. When our plugin is called once more for the
 * network, it takes it over again.
 *
 * @returns the names of the files that were written, with their contents
 * @throws HandBackError ENONETWORK, nothing of this network is ours; ECONFLICT, both have leases and disagree
 */
export function handBack(store: LeaseStore, network: Network): ReadonlyMap<string, string> {
  const { upstream } = store
  const name = network.network
  if (!listNetworks(store).includes(name)) throw new HandBackError('ENONETWORK', name, 'it is not ours')
  return store.transaction(
    (tx) => {
      refuseConflict(tx, network, upstream.list(name))
      const claimed = upstream.owner(name) === 'upstream' ? upstream.claim(name) : []
      takeOver(tx, network, claimed)
      const files = filesOf(tx, name, claimed)
      upstream.handBack(name, files)
      tx.forgetNetwork(name)
      return files
    },
    () => upstream.settle(name, ''),
  )
}

/** Both have the network when someone removed the sign that keeps upstream out. */
function refuseConflict(tx: LeaseTx, { network, bootedAtMs }: Network, files: readonly UpstreamFile[]): void {
  for (const file of files.filter((one) => !isLastReserved(one))) {
    const lease = readFile(file, bootedAtMs())
    const known = 'address' in lease ? tx.find(network, lease.address) : undefined
    if (known === undefined || known.releasedAtMs !== undefined) continue
    if (fileOf(known)[1] === file.content.trim()) continue
    const why = `upstream's file ${file.name} names ${JSON.stringify(file.content.trim())}, but ${describeLease(known)}`
    throw new HandBackError('ECONFLICT', network, why)
  }
}

/** With what upstream reads to go on after the address that was handed out last. */
function filesOf(tx: LeaseTx, network: string, claimed: readonly UpstreamFile[]): Map<string, string> {
  return new Map([
    ...claimed.filter(isLastReserved).map(({ name, content }) => [name, content] as const),
    ...tx
      .listLastTaken(network)
      .map(({ setIndex, address }) => [`last_reserved_ip.${setIndex}`, String(address)] as const),
    ...tx.listHeld(network).map(fileOf),
  ])
}
