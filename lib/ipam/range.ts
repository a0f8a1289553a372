// One range of a host-local configuration: the part of a subnet from which pods get their addresses.
//
// Rules, defaults and texts are those of upstream's host-local (plugins/ipam/host-local/backend/allocator/range.go).
// Additions: subnets of one or two addresses, and `exclude`.

import { ADDRESS_BITS, AddressError, IpAddress } from '../ip/address.ts'
import { Prefix } from '../ip/prefix.ts'
import { formatSpan, parseSpan, type Span, sizeOf, spanContains, spanOfPrefix, spansOverlap } from './span.ts'

/** As configured. An empty text is an absent one, as it is for Go's decoder. */
export interface RangeSource {
  readonly subnet?: string | undefined
  readonly rangeStart?: string | undefined
  readonly rangeEnd?: string | undefined
  readonly gateway?: string | undefined
  /** Addresses, CIDR prefixes or `first-last`: never given to a pod. */
  readonly exclude?: readonly string[] | undefined
}

/** Which addresses can be had. */
export interface Addresses extends Span {
  /** What is never given to a pod: excluded addresses and gateways. In order, within the range. */
  readonly reserved: readonly Span[]
}

export interface Range extends Addresses {
  readonly subnet: Prefix
  /** Always there, but for subnets of one or two addresses (/31, /32, /127, /128) that configure none. */
  readonly gateway: IpAddress | undefined
}

export type RangeErrorCode = 'ENORANGES' | 'EINVALIDRANGE' | 'EOVERLAP' | 'EONEPERFAMILY'

/** A configuration of ranges that cannot be used. Where upstream has a text for it, the message is that text. */
export class RangeConfigError extends Error {
  readonly code: RangeErrorCode

  constructor(code: RangeErrorCode, message: string, cause?: unknown) {
    super(message, { cause })
    this.name = 'RangeConfigError'
    this.code = code
  }
}

/**
 * Reads one range and fills in what it leaves out.
 *
 * Gateway: the first address of the subnet after the network's own. Start: the same. End: the last before the
 * broadcast address (IPv4), the last (IPv6). A subnet of two addresses has neither network nor broadcast address
 * (RFC 3021, RFC 6164), one of one address is that address: all of it can be used, and no gateway is assumed.
 *
 * @throws RangeConfigError EINVALIDRANGE
 */
export function parseRange(source: RangeSource): Range {
  const subnet = parseSubnet(source.subnet)
  const defaults = defaultsOf(subnet)
  const gateway = parseOptional('gateway', source.gateway) ?? defaults.gateway
  const given = {
    start: parseOptional('rangeStart', source.rangeStart),
    end: parseOptional('rangeEnd', source.rangeEnd),
  }
  const { start = subnet.first(), end = subnet.last() } = given
  // Each is looked at beside the other, so a start after the end is reported as the start's mistake.
  const outside = (address: IpAddress) => !subnet.contains(address) || !spanContains({ start, end }, address)
  if (given.start && outside(given.start)) throw invalid(`RangeStart ${start} not in network ${subnet}`)
  if (given.end && outside(given.end)) throw invalid(`RangeEnd ${end} not in network ${subnet}`)
  const reserved = (source.exclude ?? []).map((text) => parseExclusion(text, [subnet]))
  return { subnet, start: given.start ?? defaults.start, end: given.end ?? defaults.end, gateway, reserved }
}

/** An exclusion outside all of `subnets` is a mistake. @throws RangeConfigError EINVALIDRANGE */
export function parseExclusion(text: string, subnets: readonly Prefix[]): Span {
  const span = parsed('exclude', text, parseSpan)
  if (subnets.some((subnet) => spansOverlap(span, spanOfPrefix(subnet)))) return span
  throw invalid(`exclude ${text} not in network ${subnets.join(', ')}`)
}

/** The first address from `from` on that a pod may have. */
export function findAllocatable(range: Range, from: IpAddress): IpAddress | undefined {
  let address = from
  for (const span of range.reserved) {
    if (!spanContains(span, address)) continue
    if (span.end.compare(range.end) >= 0) return undefined
    address = span.end.plus(1n)
  }
  return spanContains(range, address) ? address : undefined
}

export function isReserved({ reserved }: Addresses, address: IpAddress): boolean {
  return reserved.some((span) => spanContains(span, address))
}

/** How many pods the range has addresses for. */
export function capacityOf(range: Addresses): bigint {
  return range.reserved.reduce((left, span) => left - sizeOf(span), sizeOf(range))
}

/**
 * What the range's pool is known by. A pool of its own for all that decides which addresses can be had: another
 * gateway makes another pool.
 */
export function poolKey(range: Range): string {
  return [formatSpan(range), ...range.reserved.map(formatSpan)].join(' except ')
}

/** @throws AddressError, RangeError for a text that is not of `poolKey` */
export function parsePoolKey(key: string): Addresses {
  const [span = '', ...reserved] = key.split(' except ')
  return { ...parseSpan(span), reserved: reserved.map(parseSpan) }
}

function parseSubnet(text: string | undefined): Prefix {
  if (!text) throw invalid('a range has no subnet')
  const subnet = parsed('subnet', text, Prefix.parse)
  if (subnet.hasHostBits()) {
    const network = subnet.first()
    throw invalid(
      `Network has host bits set. For a subnet mask of length ${subnet.length} the network address is ${network}`,
    )
  }
  return subnet
}

function defaultsOf(subnet: Prefix): Span & { gateway: IpAddress | undefined } {
  const { start, end } = spanOfPrefix(subnet)
  if (subnet.length > ADDRESS_BITS[subnet.family] - 2) return { start, end, gateway: undefined }
  const first = start.plus(1n)
  return { start: first, end: subnet.family === 4 ? end.plus(-1n) : end, gateway: first }
}

function parseOptional(key: string, text: string | undefined): IpAddress | undefined {
  return text ? parsed(key, text, IpAddress.parse) : undefined
}

function parsed<T>(key: string, text: string, parse: (text: string) => T): T {
  try {
    return parse(text)
  } catch (cause) {
    if (cause instanceof AddressError || cause instanceof RangeError) {
      throw invalid(`${key}: ${cause.message}`, cause)
    }
    throw cause
  }
}

function invalid(message: string, cause?: unknown): RangeConfigError {
  return new RangeConfigError('EINVALIDRANGE', message, cause)
}
