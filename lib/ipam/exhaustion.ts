// What to say about range sets in which every address is held.

import type { IpAddress } from '../ip/address.ts'
import { fullPodName } from '../log/full-pod-name.ts'
import { AllocationError } from './allocation-error.ts'
import type { Lease, LeaseReader } from './lease-store.ts'
import { capacityOf, isReserved, poolKey, type Range } from './range.ts'
import { formatRangeSet, type RangeSet } from './range-set.ts'
import { clipSpans } from './span.ts'

/** Enough to recognise who does not give back; the rest is in a list of all leases. */
const OLDEST_SHOWN = 3
const REMEDY =
  'give back what containers that are gone still hold (CNI GC, podwire gc), or give the network a larger range'

export interface Usage {
  readonly used: number
  readonly total: bigint
}

/** How full a range set is. Reads every lease of the set. */
export function usageOf(reader: LeaseReader, network: string, set: RangeSet): Usage {
  return {
    used: set.reduce((sum, range) => sum + reader.countHeld(network, range), 0),
    total: set.reduce((sum, range) => sum + capacityOf(range), 0n),
  }
}

/** Whether so many addresses of the set are free. Reads all its leases only when it is all but exhausted. */
export function hasFree(
  reader: LeaseReader,
  network: string,
  { set, atLeast }: { readonly set: RangeSet; readonly atLeast: number },
): boolean {
  const found = set.reduce((sum, range) => sum + countEasily(reader, network, { range, atLeast }), 0n)
  if (found >= atLeast) return true
  const { used, total } = usageOf(reader, network, set)
  return total - BigInt(used) >= atLeast
}

/** Free addresses that are quickly found: those beyond what was ever handed out in order, and the first that came back. */
function countEasily(
  reader: LeaseReader,
  network: string,
  { range, atLeast }: { readonly range: Range; readonly atLeast: number },
): bigint {
  const pool = reader.findPool(network, poolKey(range))
  if (pool?.last === undefined) return 0n
  const isBehind = (address: IpAddress) => pool.last !== undefined && address.compare(pool.last) <= 0
  const free = reader.listFree(pool.id, atLeast).filter((one) => isBehind(one) && !isReserved(range, one))
  if (isBehind(range.end)) return BigInt(free.length)
  const start = pool.last.plus(1n)
  const rest = { ...range, start, reserved: clipSpans(range.reserved, { start, end: range.end }) }
  return BigInt(free.length) + capacityOf(rest) - BigInt(reader.countHeld(network, rest))
}

/** EEXHAUSTED, with upstream's text. */
export function exhausted(
  reader: LeaseReader,
  { network }: { readonly network: string },
  { set, prefix }: { readonly set: RangeSet; readonly prefix: string },
): AllocationError {
  const message = `${prefix}no IP addresses available in range set: ${formatRangeSet(set)}`
  return new AllocationError('EEXHAUSTED', message, describeUsage(reader, network, set))
}

/** How full the set is, who holds addresses longest, and what to do about it. */
export function describeUsage(reader: LeaseReader, network: string, set: RangeSet): string {
  const { used, total } = usageOf(reader, network, set)
  const oldest = set
    .flatMap((range) => reader.listOldest(network, range, OLDEST_SHOWN))
    .sort((a, b) => a.acquiredAtMs - b.acquiredAtMs)
    .slice(0, OLDEST_SHOWN)
  return [
    `${used} of ${total} addresses of network "${network}" are in use`,
    ...(oldest.length > 0 ? [`the oldest: ${oldest.map(describeLease).join(', ')}`] : []),
    REMEDY,
  ].join('; ')
}

/** `10.1.0.2 held by pod default/web-0 (container 4711, eth0) since 2026-01-02T03:04:05.678Z` */
export function describeLease(lease: Lease): string {
  const container = [`container ${lease.containerId}`, ...(lease.ifname ? [lease.ifname] : [])].join(', ')
  const holder = lease.podName
    ? `pod ${fullPodName(lease.podNamespace, lease.podName)} (${container})`
    : container
  return `${lease.address} held by ${holder} since ${new Date(lease.acquiredAtMs).toISOString()}`
}
