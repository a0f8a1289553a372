// The leases of one data directory: which address is whose, and which was given back when.
//
// An address that was ever handed out has a lease until the node boots again: held, or free since it was released.
// The rest of a range is unused, and a pool remembers from where on (allocator.ts has the order they are taken in).

import type { IpAddress } from '../ip/address.ts'
import type { Span } from './span.ts'
import type { UpstreamLeases } from './upstream-leases.ts'

/** `ipam.dataDir` where the configuration names none. */
export const DEFAULT_DATA_DIR = '/var/lib/cni/networks'
/** In a data directory, beside upstream's directories of one network each. */
export const LEASES_FILE = 'podwire-leases.db'

/** One interface of one container. */
export interface Holder {
  readonly containerId: string
  readonly ifname: string
}

export interface Pod {
  readonly podNamespace?: string
  readonly podName?: string
}

export interface NewLease extends Holder, Pod {
  readonly network: string
  /** Path of the namespace that it was taken for; absent where that is not known. */
  readonly netns?: string
  readonly address: IpAddress
  /** Milliseconds since the epoch, as all times here. */
  readonly acquiredAtMs: number
}

export interface Lease extends NewLease {
  readonly bootId: string
  /** The address is free since then; a held one has none. */
  readonly releasedAtMs?: number
}

/** What stays when a pod is replaced by another of the same name. */
export interface PodInterface {
  readonly network: string
  readonly podNamespace: string
  readonly podName: string
  readonly ifname: string
}

/** What is remembered of a range between two calls. */
export interface Pool {
  readonly id: number
  /** No allocatable address of the range up to this one is without a lease; undefined before the first. */
  readonly last: IpAddress | undefined
}

/** A pool as it is listed. */
export interface NamedPool {
  readonly network: string
  /** @see poolKey */
  readonly key: string
  /** Which of the configuration's range sets the range was in. */
  readonly setIndex: number
}

/**
 * All of it sees this boot's leases only. Lists are in address order, IPv4 first.
 *
 * A lease whose ifname is '' was taken over from a file that did not name one (upstream's up to 0.8): it is that of
 * any interface of its container that has no lease of its own.
 */
export interface LeaseReader {
  listByHolder(network: string, holder: Holder): Lease[]
  /** Those held; of all networks without a name. */
  listHeld(network?: string): Lease[]
  countHeld(network: string, span: Span): number
  /** The address of the nth lease in `span`, held or free, from 0 on: where to stop for who counts in pieces. */
  findNth(network: string, span: Span, nth: number): IpAddress | undefined
  /** Those held in `span`, the one held longest first. */
  listOldest(network: string, span: Span, limit: number): Lease[]
  /** The pool of a range; `key` names the range and all that decides which of its addresses can be had. */
  findPool(network: string, key: string): Pool | undefined
  /** Of all networks, those made last first: a range that was configured anew has one more. */
  listPools(): NamedPool[]
  /** Free addresses of a pool, those released first. */
  listFree(poolId: number, limit: number): IpAddress[]
  /** For each range set, by its index, the address that was taken last, held or free. */
  listLastTaken(network: string): { readonly setIndex: number; readonly address: IpAddress }[]
}

/** Earlier boots' leases do not exist here: their addresses are unused. */
export interface LeaseTx extends LeaseReader {
  /** Held or free. */
  find(network: string, address: IpAddress): Lease | undefined
  /** Those of `span` that have a lease, held or free. */
  listUsed(network: string, span: Span, limit: number): IpAddress[]
  countUsed(network: string, span: Span): number

  /** Takes an unused or a free address. A held one is an error of the caller: it must have looked. */
  hold(lease: NewLease, poolId: number): void
  /** Unknown is fine. @returns what was released, as it was held */
  release(network: string, holder: Holder, nowMs: number): Lease[]
  /** Forgets that the address was used. */
  forget(network: string, address: IpAddress): void

  /** @param setIndex  which of the configuration's range sets the range was in */
  createPool(network: string, key: string, setIndex: number): Pool
  setPoolLast(poolId: number, last: IpAddress | undefined): void
  /** Makes every lease in `span` one of this pool. */
  adopt(poolId: number, network: string, span: Span): void
  /** The free address of the pool that was released first. */
  findLongestFree(poolId: number): Lease | undefined
  /** Forgets free addresses released before `beforeMs`, the oldest `limit` at most. */
  forgetReleased(poolId: number, beforeMs: number, limit: number): void
  /** Forgets all leases and pools of the network, held or free: they are another's now. */
  forgetNetwork(network: string): void

  /** The addresses that a pod of this name had last, as far as no other pod was remembered for them since. */
  listRemembered(pod: PodInterface): IpAddress[]
  /** Beyond boots, in place of what was remembered for the pod; the longest unused are forgotten beyond REMEMBERED. */
  remember(pod: PodInterface, addresses: readonly IpAddress[]): void
}

/** Of how many addresses, in all networks of a store, it is known which pod had them. */
export const REMEMBERED = 1 << 14

/** The pool of a lease whose range is not known yet; the range's own adopts it. */
export const NO_POOL = 0

/** All of it throws StoreError when the store cannot be read or written. */
export interface LeaseStore {
  /** The leases that upstream's host-local keeps, or kept, in the same directory. */
  readonly upstream: UpstreamLeases
  /**
   * Alone in the store, all or nothing: what `work` did is undone when it throws. `work` is synchronous.
   *
   * @param committed  called when it is all kept, still alone in the store
   */
  transaction<T>(work: (tx: LeaseTx) => T, committed?: (result: T) => void): T
  /** One consistent view; writers are not kept waiting. */
  read<T>(work: (reader: LeaseReader) => T): T
  /** Fails where a transaction would; changes nothing. */
  probe(): void
  close(): void
}

export interface Release {
  readonly network: string
  /** Those whose leases stay. */
  readonly keep: readonly Holder[]
  readonly nowMs: number
}

/** Releases what is held in a network by anyone but `keep` (GC). @returns what was released */
export function releaseAllExcept(tx: LeaseTx, { network, keep, nowMs }: Release): Lease[] {
  const gone = new Map(listStray(tx, network, keep).map((lease) => [keyOf(lease), lease]))
  return [...gone.values()].flatMap((lease) => tx.release(network, lease, nowMs))
}

/** What is held in a network by anyone but `keep`. */
export function listStray(reader: LeaseReader, network: string, keep: readonly Holder[]): Lease[] {
  return reader.listHeld(network).filter(strayRule(keep))
}

/** Whether someone is not one of `keep`; who has no ifname stays for any interface of its container. */
export function strayRule(keep: readonly Holder[]): (holder: Holder) => boolean {
  const kept = new Set(keep.flatMap((holder) => [keyOf(holder), keyOf({ ...holder, ifname: '' })]))
  return (holder) => !kept.has(keyOf(holder))
}

/** Of these, what `LeaseTx.release` would give back. */
export function pickHeldBy<T extends Holder>(leases: readonly T[], { containerId, ifname }: Holder): T[] {
  const ofContainer = leases.filter((lease) => lease.containerId === containerId)
  const own = ofContainer.filter((lease) => lease.ifname === ifname)
  return own.length > 0 ? own : ofContainer.filter((lease) => lease.ifname === '')
}

function keyOf({ containerId, ifname }: Holder): string {
  return `${containerId}\0${ifname}`
}
