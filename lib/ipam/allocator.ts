// Which address an attachment gets: one from each range set, in one transaction.
//
// Unused addresses first, in order, so that none is used a second time before all were used once; then the one
// that has been free longest. A cool-down needs no more than that order: when the longest free address is still
// cooling, so are all others. Nothing here reads more leases the more there are, two cases aside: a range that is
// new or was reconfigured, and one that seems exhausted.

import type { IpAddress } from '../ip/address.ts'
import { Prefix } from '../ip/prefix.ts'
import { AllocationError } from './allocation-error.ts'
import { describeLease, exhausted } from './exhaustion.ts'
import type { Holder, LeaseReader, LeaseTx, Pod, Pool } from './lease-store.ts'
import { capacityOf, findAllocatable, isReserved, poolKey, type Range } from './range.ts'
import { findRange, formatRangeSet, type RangeSet } from './range-set.ts'

/** Above so many addresses a range does not remember for ever which were used once. */
const HUGE = 1n << 20n
const DAY_MS = 86_400_000
/** How many leases are looked at in one go while looking for an unused address. */
const BATCH = 64

export interface AllocationRequest extends Holder, Pod {
  readonly network: string
  /** Path; '' where it is not known. */
  readonly netns?: string
  readonly sets: readonly RangeSet[]
  /** One per set at most; each must lie in a set. */
  readonly requested?: readonly IpAddress[]
  readonly nowMs: number
  /** How long an address should stay free. A wish: a cooling address is used before a pod is refused. */
  readonly coolDownMs?: number
  /** A pod gets the addresses that the last one of its name had, where they are free. */
  readonly sticky?: boolean
}

export interface Allocation {
  /** With its subnet's length. */
  readonly address: Prefix
  readonly gateway: IpAddress | undefined
  /** The address was released less than `coolDownMs` ago. */
  readonly cooling: boolean
}

interface RangePool extends Pool {
  readonly range: Range
}

/**
 * Takes one address of each set, in the order of the sets.
 *
 * @param tx  its transaction must be given up when this throws: addresses of earlier sets were taken by then
 * @throws AllocationError
 */
export function allocate(tx: LeaseTx, request: AllocationRequest): Allocation[] {
  refuseSecondAllocation(tx, request)
  const requested = new Map((request.requested ?? []).map((address) => [address.toString(), address]))
  const pod = findPod(request)
  const remembered = pod ? tx.listRemembered(pod) : []
  const allocations = request.sets.map((set, index) => {
    const wanted = [...requested.values()].find((address) => findRange(set, address))
    if (wanted === undefined)
      return takeRemembered(tx, request, { index, remembered }) ?? takeNext(tx, request, index)
    requested.delete(wanted.toString())
    return takeRequested(tx, request, { index, wanted })
  })
  if (requested.size > 0) {
    const details = `one address can be requested from each of ${request.sets.map(formatRangeSet).join('; ')}`
    const message = `failed to allocate all requested IPs: ${[...requested.keys()].join(' ')}`
    throw new AllocationError('ENOTINRANGE', message, details)
  }
  if (pod) {
    tx.remember(
      pod,
      allocations.map(({ address }) => address.address),
    )
  }
  return allocations
}

/** What the holder has already, as it was allocated. @returns undefined unless it has an address of each set */
export function findAllocations(
  tx: LeaseReader,
  { network, sets, ...holder }: Pick<AllocationRequest, 'network' | 'sets' | keyof Holder>,
): Allocation[] | undefined {
  const held = tx.listByHolder(network, holder)
  const found = sets.map((set) => held.map(({ address }) => ({ address, range: findRange(set, address) })))
  const allocations = found.flatMap((candidates) => {
    const one = candidates.find(({ range }) => range !== undefined)
    if (one?.range === undefined) return []
    const { subnet, gateway } = one.range
    return [{ address: Prefix.of(one.address, subnet.length), gateway, cooling: false }]
  })
  return allocations.length === sets.length ? allocations : undefined
}

/** Undefined when nothing is to be remembered. */
function findPod({ sticky, network, podNamespace = '', podName, ifname }: AllocationRequest) {
  return sticky && podName ? { network, podNamespace, podName, ifname } : undefined
}

/** Upstream looks only where no address is requested, and then takes the live pod's addresses away. */
function refuseSecondAllocation(
  tx: LeaseTx,
  { network, containerId, ifname, sets }: AllocationRequest,
): void {
  const [lease] = tx.listByHolder(network, { containerId, ifname })
  if (lease === undefined) return
  const index = sets.findIndex((set) => findRange(set, lease.address))
  throw new AllocationError(
    'EDUPLICATE',
    `${inSet(Math.max(0, index))}${lease.address} has been allocated to ${containerId}, duplicate allocation is not allowed`,
    `interface ${ifname} holds it since ${new Date(lease.acquiredAtMs).toISOString()}: DEL comes before another ADD`,
  )
}

function takeRequested(
  tx: LeaseTx,
  request: AllocationRequest,
  { index, wanted }: { index: number; wanted: IpAddress },
): Allocation {
  const set = request.sets[index] ?? []
  const range = findRange(set, wanted)
  if (range?.gateway?.equals(wanted)) {
    const details = `the gateway of ${range.subnet} is never given to a pod`
    throw new AllocationError(
      'EGATEWAY',
      `${inSet(index)}requested ip ${wanted} is subnet's gateway`,
      details,
    )
  }
  const lease = tx.find(request.network, wanted)
  if (range === undefined || isReserved(range, wanted) || (lease && lease.releasedAtMs === undefined)) {
    const message = `requested IP address ${wanted} is not available in range set ${formatRangeSet(set)}`
    const details = lease && lease.releasedAtMs === undefined ? describeLease(lease) : 'it is reserved'
    throw new AllocationError('ENOTAVAILABLE', inSet(index) + message, details)
  }
  const pool = openPool(tx, request.network, { range, index })
  return hold(tx, request, { pool, address: wanted, releasedAtMs: lease?.releasedAtMs })
}

/** Cooling or not: what the address is still known for elsewhere is this very pod. */
function takeRemembered(
  tx: LeaseTx,
  request: AllocationRequest,
  { index, remembered }: { index: number; remembered: readonly IpAddress[] },
): Allocation | undefined {
  for (const address of remembered) {
    const range = findRange(request.sets[index] ?? [], address)
    if (range === undefined || isReserved(range, address)) continue
    const lease = tx.find(request.network, address)
    if (lease && lease.releasedAtMs === undefined) continue
    const pool = openPool(tx, request.network, { range, index })
    return hold(tx, request, { pool, address, releasedAtMs: lease?.releasedAtMs })
  }
  return undefined
}

function takeNext(tx: LeaseTx, request: AllocationRequest, index: number): Allocation {
  const set = request.sets[index] ?? []
  const pools = set.map((range) => openPool(tx, request.network, { range, index }))
  const found = findNext(tx, request, pools) ?? findNext(tx, request, reviewPools(tx, request, pools))
  if (found === undefined) throw exhausted(tx, request, { set, prefix: inSet(index) })
  return hold(tx, request, found)
}

interface Found {
  readonly pool: RangePool
  readonly address: IpAddress
  /** Since when a free address is free; an unused one has none. */
  readonly releasedAtMs: number | undefined
}

function findNext(tx: LeaseTx, request: AllocationRequest, pools: readonly RangePool[]): Found | undefined {
  for (const pool of pools) {
    const address = takeUnused(tx, request, pool)
    if (address) return { pool, address, releasedAtMs: undefined }
  }
  const free = pools.flatMap((pool) => findLongestFree(tx, pool) ?? [])
  return free.sort((a, b) => (a.releasedAtMs ?? 0) - (b.releasedAtMs ?? 0))[0]
}

function takeUnused(tx: LeaseTx, { network, nowMs, coolDownMs = 0 }: AllocationRequest, pool: RangePool) {
  const { range, last } = pool
  if (last?.equals(range.end)) return undefined
  const address = findUnused(tx, { network, range }, last ? last.plus(1n) : range.start)
  tx.setPoolLast(pool.id, address ?? range.end)
  // One address more is remembered, so two may be forgotten; reviewPools finds them again when all were used.
  if (capacityOf(range) > HUGE) tx.forgetReleased(pool.id, nowMs - Math.max(DAY_MS, coolDownMs), 2)
  return address
}

/** Usually there is no lease from `from` on, and the first look finds that out. */
function findUnused(
  tx: LeaseTx,
  { network, range }: { network: string; range: Range },
  from: IpAddress,
): IpAddress | undefined {
  let candidate = findAllocatable(range, from)
  while (candidate) {
    const used = tx.listUsed(network, { start: candidate, end: range.end }, BATCH)
    for (const address of used) {
      const order = address.compare(candidate)
      if (order > 0) return candidate
      if (order === 0)
        candidate = address.equals(range.end) ? undefined : findAllocatable(range, address.plus(1n))
      if (candidate === undefined) return undefined
    }
    if (used.length < BATCH) return candidate
  }
  return undefined
}

function findLongestFree(tx: LeaseTx, pool: RangePool): Found | undefined {
  for (;;) {
    const lease = tx.findLongestFree(pool.id)
    if (lease === undefined) return undefined
    if (!isReserved(pool.range, lease.address)) {
      return { pool, address: lease.address, releasedAtMs: lease.releasedAtMs }
    }
    // Used once, reserved by now. When that is undone, it is an unused address of the new pool.
    tx.forget(lease.network, lease.address)
  }
}

function openPool(
  tx: LeaseTx,
  network: string,
  { range, index }: { range: Range; index: number },
): RangePool {
  const key = poolKey(range)
  const known = tx.findPool(network, key)
  if (known) return { ...known, range }
  const created = tx.createPool(network, key, index)
  tx.adopt(created.id, network, range)
  return { ...created, range }
}

/**
 * Before a set counts as exhausted: free addresses may have gone to the pool of another configuration that shares
 * the range, or have been forgotten.
 */
function reviewPools(
  tx: LeaseTx,
  { network }: AllocationRequest,
  pools: readonly RangePool[],
): readonly RangePool[] {
  return pools.map((pool) => {
    const { id, range } = pool
    tx.adopt(id, network, range)
    const used = range.reserved.reduce(
      (sum, span) => sum - tx.countUsed(network, span),
      tx.countUsed(network, range),
    )
    return BigInt(used) < capacityOf(range) ? { ...pool, last: undefined } : pool
  })
}

function hold(tx: LeaseTx, request: AllocationRequest, { pool, address, releasedAtMs }: Found): Allocation {
  const { network, containerId, ifname, netns, podNamespace, podName, nowMs, coolDownMs = 0 } = request
  const pod = { ...(netns && { netns }), ...(podNamespace && { podNamespace }), ...(podName && { podName }) }
  tx.hold({ network, address, containerId, ifname, acquiredAtMs: nowMs, ...pod }, pool.id)
  return {
    address: Prefix.of(address, pool.range.subnet.length),
    gateway: pool.range.gateway,
    cooling: releasedAtMs !== undefined && nowMs - releasedAtMs < coolDownMs,
  }
}

function inSet(index: number): string {
  return `failed to allocate for range ${index}: `
}
