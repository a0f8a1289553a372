// The fake of the lease store: the same behaviour in memory.

import type { IpAddress } from '../ip/address.ts'
import {
  type Holder,
  type Lease,
  type LeaseReader,
  type LeaseStore,
  type LeaseTx,
  type NamedPool,
  type NewLease,
  type PodInterface,
  type Pool,
  REMEMBERED,
} from './lease-store.ts'
import { type Span, spanContains } from './span.ts'
import { MemoryUpstreamLeases } from './upstream-leases-memory.ts'

type Row = Lease & { readonly poolId: number }
type PoolRow = Pool & {
  readonly network: string
  readonly key: string
  readonly setIndex: number
  readonly bootId: string
}
type RememberedRow = PodInterface & { readonly address: IpAddress }

/** What survives a store, as a file does: give it to the next one. */
export class LeaseMemory {
  rows: readonly Row[] = []
  pools: readonly PoolRow[] = []
  /** The latest last. */
  remembered: readonly RememberedRow[] = []
  readonly upstream = new MemoryUpstreamLeases()
}

export class MemoryLeaseStore implements LeaseStore {
  readonly #bootId: string
  readonly #memory: LeaseMemory

  constructor(bootId: string, memory = new LeaseMemory()) {
    this.#bootId = bootId
    this.#memory = memory
  }

  get upstream(): MemoryUpstreamLeases {
    return this.#memory.upstream
  }

  transaction<T>(work: (tx: LeaseTx) => T, committed?: (result: T) => void): T {
    const isOurs = ({ bootId }: { bootId: string }) => bootId === this.#bootId
    this.#memory.rows = this.#memory.rows.filter(isOurs)
    this.#memory.pools = this.#memory.pools.filter(isOurs)
    const { rows, pools, remembered } = this.#memory
    const result = this.#attempt(work, () => Object.assign(this.#memory, { rows, pools, remembered }))
    committed?.(result)
    return result
  }

  read<T>(work: (reader: LeaseReader) => T): T {
    return work(new MemoryLeases(this.#bootId, this.#memory))
  }

  probe(): void {}

  close(): void {}

  #attempt<T>(work: (tx: LeaseTx) => T, undo: () => void): T {
    try {
      return work(new MemoryLeases(this.#bootId, this.#memory))
    } catch (error) {
      undo()
      throw error
    }
  }
}

class MemoryLeases implements LeaseTx {
  readonly #bootId: string
  readonly #memory: LeaseMemory

  constructor(bootId: string, memory: LeaseMemory) {
    this.#bootId = bootId
    this.#memory = memory
  }

  listByHolder(network: string, holder: Holder): Lease[] {
    const ofIfname = (ifname: string) =>
      this.listHeld(network).filter((lease) => isHeldBy(lease, { ...holder, ifname }))
    const own = ofIfname(holder.ifname)
    return own.length > 0 ? own : ofIfname('')
  }

  listHeld(network?: string): Lease[] {
    return this.#leases((row) => isHeld(row) && (network === undefined || row.network === network))
  }

  countHeld(network: string, span: Span): number {
    return this.listHeld(network).filter((lease) => spanContains(span, lease.address)).length
  }

  findNth(network: string, span: Span, nth: number): IpAddress | undefined {
    return this.listUsed(network, span, nth + 1)[nth]
  }

  listOldest(network: string, span: Span, limit: number): Lease[] {
    return this.listHeld(network)
      .filter((lease) => spanContains(span, lease.address))
      .sort((a, b) => a.acquiredAtMs - b.acquiredAtMs)
      .slice(0, limit)
  }

  listLastTaken(network: string): { setIndex: number; address: IpAddress }[] {
    const last = new Map<number, Row>()
    for (const row of this.#rows(() => true)) {
      const pool = this.#memory.pools.find(({ id }) => id === row.poolId)
      if (pool?.network !== network) continue
      const { setIndex } = pool
      if (row.acquiredAtMs >= (last.get(setIndex)?.acquiredAtMs ?? 0)) last.set(setIndex, row)
    }
    return [...last].sort(([a], [b]) => a - b).map(([setIndex, { address }]) => ({ setIndex, address }))
  }

  find(network: string, address: IpAddress): Lease | undefined {
    return this.#leases((row) => row.network === network && row.address.equals(address))[0]
  }

  listUsed(network: string, span: Span, limit: number): IpAddress[] {
    const used = this.#leases((row) => row.network === network && spanContains(span, row.address))
    return used.slice(0, limit).map((lease) => lease.address)
  }

  countUsed(network: string, span: Span): number {
    return this.listUsed(network, span, Number.POSITIVE_INFINITY).length
  }

  hold(lease: NewLease, poolId: number): void {
    const known = this.find(lease.network, lease.address)
    if (known && isHeld(known)) throw new Error(`${lease.address} of network ${lease.network} is held`)
    this.forget(lease.network, lease.address)
    this.#memory.rows = [...this.#memory.rows, { ...lease, bootId: this.#bootId, poolId }]
  }

  release(network: string, holder: Holder, nowMs: number): Lease[] {
    const held = this.listByHolder(network, holder)
    const isReleased = (row: Row) =>
      row.network === network && held.some((lease) => lease.address.equals(row.address))
    const pools = new Set(this.#memory.rows.filter(isReleased).map(({ poolId }) => poolId))
    this.#memory.rows = this.#memory.rows.map((row) => {
      if (isReleased(row)) return { ...row, releasedAtMs: nowMs }
      // By a clock that was set back since then.
      const isLater = pools.has(row.poolId) && (row.releasedAtMs ?? nowMs) > nowMs
      return isLater ? { ...row, releasedAtMs: nowMs - 1 } : row
    })
    return held
  }

  forget(network: string, address: IpAddress): void {
    this.#memory.rows = this.#memory.rows.filter(
      (row) => row.network !== network || !row.address.equals(address),
    )
  }

  findPool(network: string, key: string): Pool | undefined {
    const row = this.#memory.pools.find(
      (pool) => pool.network === network && pool.key === key && pool.bootId === this.#bootId,
    )
    return row && { id: row.id, last: row.last }
  }

  listPools(): NamedPool[] {
    return this.#memory.pools
      .filter(({ bootId }) => bootId === this.#bootId)
      .sort((a, b) => b.id - a.id)
      .map(({ network, key, setIndex }) => ({ network, key, setIndex }))
  }

  createPool(network: string, key: string, setIndex: number): Pool {
    const id = Math.max(0, ...this.#memory.pools.map((pool) => pool.id)) + 1
    const pool = { id, last: undefined }
    this.#memory.pools = [...this.#memory.pools, { ...pool, network, key, setIndex, bootId: this.#bootId }]
    return pool
  }

  setPoolLast(poolId: number, last: IpAddress | undefined): void {
    this.#memory.pools = this.#memory.pools.map((pool) => (pool.id === poolId ? { ...pool, last } : pool))
  }

  adopt(poolId: number, network: string, span: Span): void {
    this.#memory.rows = this.#memory.rows.map((row) =>
      row.network === network && spanContains(span, row.address) ? { ...row, poolId } : row,
    )
  }

  listFree(poolId: number, limit: number): IpAddress[] {
    return this.#released(poolId)
      .slice(0, limit)
      .map(({ address }) => address)
  }

  findLongestFree(poolId: number): Lease | undefined {
    return this.#released(poolId)[0]
  }

  forgetReleased(poolId: number, beforeMs: number, limit: number): void {
    const old = this.#released(poolId).filter((lease) => (lease.releasedAtMs ?? beforeMs) < beforeMs)
    for (const lease of old.slice(0, limit)) this.forget(lease.network, lease.address)
  }

  forgetNetwork(network: string): void {
    this.#memory.rows = this.#memory.rows.filter((row) => row.network !== network)
    this.#memory.pools = this.#memory.pools.filter((pool) => pool.network !== network)
  }

  listRemembered(pod: PodInterface): IpAddress[] {
    return this.#memory.remembered
      .filter((row) => isOfPod(row, pod))
      .map(({ address }) => address)
      .sort((a, b) => a.compare(b))
  }

  remember(pod: PodInterface, addresses: readonly IpAddress[]): void {
    const others = this.#memory.remembered.filter(
      (row) =>
        !isOfPod(row, pod) &&
        !(row.network === pod.network && addresses.some((address) => address.equals(row.address))),
    )
    const rows = addresses.map((address) => ({ ...pod, address }))
    this.#memory.remembered = [...others, ...rows].slice(-REMEMBERED)
  }

  #released(poolId: number): Lease[] {
    return this.#leases((row) => row.poolId === poolId && !isHeld(row)).sort(
      (a, b) => (a.releasedAtMs ?? 0) - (b.releasedAtMs ?? 0),
    )
  }

  #leases(matches: (row: Row) => boolean): Lease[] {
    return this.#rows(matches).map(({ poolId: _, ...lease }) => lease)
  }

  #rows(matches: (row: Row) => boolean): Row[] {
    return this.#memory.rows
      .filter((row) => row.bootId === this.#bootId && matches(row))
      .sort((a, b) =>
        a.network === b.network ? a.address.compare(b.address) : a.network < b.network ? -1 : 1,
      )
  }
}

function isHeld(lease: Lease): boolean {
  return lease.releasedAtMs === undefined
}

function isHeldBy(lease: Lease, holder: Holder): boolean {
  return lease.containerId === holder.containerId && lease.ifname === holder.ifname
}

function isOfPod(a: PodInterface, b: PodInterface): boolean {
  return (
    a.network === b.network &&
    a.podNamespace === b.podNamespace &&
    a.podName === b.podName &&
    a.ifname === b.ifname
  )
}
