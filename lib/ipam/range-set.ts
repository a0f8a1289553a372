// The range sets of a host-local configuration: a pod gets one address from each.
//
// Rules and texts are those of upstream's host-local (backend/allocator/range_set.go, config.go).

import type { IpAddress } from '../ip/address.ts'
import { parseExclusion, parseRange, type Range, RangeConfigError, type RangeSource } from './range.ts'
import { clipSpans, formatSpan, type Span, spanContains, spansOverlap } from './span.ts'

/** Not empty, one family, no overlaps. */
export type RangeSet = readonly Range[]

/** The `ipam` section's keys; its own subnet and so on is the old form of a first set with one range. */
export interface RangesSource extends RangeSource {
  readonly ranges?: readonly (readonly RangeSource[])[] | undefined
  /** `runtimeConfig.ipRanges`, which come first. */
  readonly runtimeRanges?: readonly (readonly RangeSource[])[] | undefined
  /** The call's cniVersion when its result has room for one address per family only (below 0.3.0). */
  readonly oneAddressPerFamily?: string | undefined
}

/**
 * Reads all ranges of a configuration. An `exclude` beside `ranges` holds for each of them, and a gateway of any
 * range is reserved in all.
 *
 * @throws RangeConfigError
 */
export function parseRangeSets(source: RangesSource): RangeSet[] {
  const sources = sourceSets(source)
  if (sources.flat().length > MAX_RANGES)
    throw new RangeConfigError('EINVALIDRANGE', `more than ${MAX_RANGES} IP ranges`)
  const sets = sources.map(parseRangeSet)
  if (sets.length === 0) throw new RangeConfigError('ENORANGES', 'no IP ranges specified')
  refuseSecondOfFamily(sets, source.oneAddressPerFamily)
  refuseOverlapOfSets(sets)
  return withReserved(sets, parseCommonExclusions(source, sets))
}

/** Each is compared with each: 1024 take half a second, ten times as many would hold up the daemon for a minute. */
const MAX_RANGES = 1024

/** `10.1.0.2-10.1.0.9,10.1.0.20-10.1.0.29`, as upstream prints it. */
export function formatRangeSet(set: RangeSet): string {
  return set.map(formatSpan).join(',')
}

export function findRange(set: RangeSet, address: IpAddress): Range | undefined {
  return set.find((range) => spanContains(range, address))
}

function sourceSets(source: RangesSource): (readonly RangeSource[])[] {
  const { exclude: _, ...first } = source
  const flat = source.subnet ? [[first]] : []
  return [...(source.runtimeRanges ?? []), ...flat, ...(source.ranges ?? [])]
}

function parseRangeSet(sources: readonly RangeSource[], index: number): RangeSet {
  try {
    if (sources.length === 0) throw new RangeConfigError('EINVALIDRANGE', 'empty range set')
    const set = sources.map(parseRange)
    refuseMixedFamilies(set)
    refuseOverlapOfRanges(set)
    return set
  } catch (cause) {
    if (!(cause instanceof RangeConfigError)) throw cause
    throw new RangeConfigError(cause.code, `invalid range set ${index}: ${cause.message}`, cause)
  }
}

function refuseMixedFamilies(set: RangeSet): void {
  if (new Set(set.map((range) => range.subnet.family)).size > 1) {
    throw new RangeConfigError('EINVALIDRANGE', 'mixed address families')
  }
}

function refuseOverlapOfRanges(set: RangeSet): void {
  for (const [i, a] of set.entries()) {
    const b = set.slice(i + 1).find((other) => spansOverlap(a, other))
    if (b) throw new RangeConfigError('EOVERLAP', `subnets ${formatSpan(a)} and ${formatSpan(b)} overlap`)
  }
}

function refuseSecondOfFamily(sets: readonly RangeSet[], cniVersion: string | undefined): void {
  const families = sets.map((set) => set[0]?.subnet.family)
  if (cniVersion === undefined || new Set(families).size === families.length) return
  throw new RangeConfigError(
    'EONEPERFAMILY',
    `CNI version ${cniVersion} does not support more than 1 address per family`,
  )
}

function refuseOverlapOfSets(sets: readonly RangeSet[]): void {
  for (const [i, a] of sets.entries()) {
    for (const [j, b] of sets.entries()) {
      if (j > i && a.some((range) => b.some((other) => spansOverlap(range, other)))) {
        throw new RangeConfigError('EOVERLAP', `range set ${i} overlaps with ${j}`)
      }
    }
  }
}

function parseCommonExclusions(source: RangesSource, sets: readonly RangeSet[]): Span[] {
  const subnets = sets.flat().map((range) => range.subnet)
  return (source.exclude ?? []).map((text) => parseExclusion(text, subnets))
}

function withReserved(sets: readonly RangeSet[], exclusions: readonly Span[]): RangeSet[] {
  const gateways = sets.flat().flatMap(({ gateway }) => (gateway ? [{ start: gateway, end: gateway }] : []))
  return sets.map((set) =>
    set.map((range) => ({
      ...range,
      reserved: clipSpans([...range.reserved, ...exclusions, ...gateways], range),
    })),
  )
}
