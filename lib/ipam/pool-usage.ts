// How full the ranges of a data directory are, as its store remembers them: no configuration is asked.

import type { Lease, LeaseReader } from './lease-store.ts'
import { type Addresses, capacityOf, parsePoolKey } from './range.ts'
import { formatSpan, spansOverlap } from './span.ts'

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

/** Those made last first. Ranges that were configured otherwise since are left out. */
export function currentPools(reader: LeaseReader): CurrentPool[] {
  const current: CurrentPool[] = []
  for (const { network, key, setIndex } of reader.listPools()) {
    const range = parsePoolKey(key)
    const isCurrent = !current.some((newer) => newer.network === network && spansOverlap(newer.range, range))
    if (isCurrent) current.push({ network, setIndex, range })
  }
  return current
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
