// How full the ranges of a data directory are, as its store remembers them: no configuration is asked.

import type { Lease, LeaseReader } from './lease-store.ts'
import { type Addresses, capacityOf, parsePoolKey } from './range.ts'
import { formatSpan, spanContains, spansOverlap } from './span.ts'

export interface PoolUsage {
  readonly network: string
  /** Which of the configuration's range sets it is in: a pod has an address of each. */
  readonly setIndex: number
  /** `10.1.0.2-10.1.0.254` */
  readonly range: string
  readonly used: number
  readonly total: bigint
  /** Who holds an address longest. */
  readonly oldest: Lease | undefined
}

export interface CurrentPool {
  readonly network: string
  readonly setIndex: number
  readonly range: Addresses
}

/** Ranges that were configured otherwise since are left out. */
export function currentPools(reader: LeaseReader): CurrentPool[] {
  let current: CurrentPool[] = []
  for (const { network, key, setIndex } of reader.listPools()) {
    const pool = { network, setIndex, range: parsePoolKey(key) }
    const newer = current.filter((one) => one.network === network && spansOverlap(one.range, pool.range))
    if (newer.length > 0 && !isUsedAgain(reader, pool, newer)) continue
    current = [...current.filter((one) => !newer.includes(one)), pool]
  }
  return current
}

/** The configuration was changed, and changed back: the address that was taken last is only in the older range. */
function isUsedAgain(
  reader: LeaseReader,
  { network, setIndex, range }: CurrentPool,
  newer: readonly CurrentPool[],
): boolean {
  const last = reader.listLastTaken(network).find((one) => one.setIndex === setIndex)?.address
  const contains = (one: Addresses) => last !== undefined && spanContains(one, last)
  return contains(range) && !newer.some((one) => contains(one.range))
}

/** By network, then range set, then address. */
export function listPoolUsage(reader: LeaseReader): PoolUsage[] {
  const usages = currentPools(reader).map(({ network, setIndex, range }) => {
    const used = reader.countHeld(network, range)
    const [oldest] = reader.listOldest(network, range, 1)
    return { network, setIndex, range, used, total: capacityOf(range), oldest }
  })
  return usages
    .sort(
      (a, b) =>
        compare(a.network, b.network) || a.setIndex - b.setIndex || a.range.start.compare(b.range.start),
    )
    .map(({ range, ...usage }) => ({ ...usage, range: formatSpan(range) }))
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}
