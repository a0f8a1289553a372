// A run of addresses of one family, both ends included.

import { IpAddress } from '../ip/address.ts'
import { Prefix } from '../ip/prefix.ts'

export interface Span {
  readonly start: IpAddress
  readonly end: IpAddress
}

/** Takes an address, a CIDR prefix or `first-last`. @throws AddressError, RangeError when last is before first */
export function parseSpan(text: string): Span {
  if (text.includes('/')) return spanOfPrefix(Prefix.parse(text))
  const [first = '', last = first, ...rest] = text.split('-')
  const span = { start: IpAddress.parse(first.trim()), end: IpAddress.parse(last.trim()) }
  const { start, end } = span
  if (rest.length > 0 || start.family !== end.family || start.compare(end) > 0) {
    throw new RangeError(`${text} is no range of addresses`)
  }
  return span
}

export function spanOfPrefix(prefix: Prefix): Span {
  return { start: prefix.first(), end: prefix.last() }
}

/** `10.1.0.2-10.1.0.254`, as host-local prints its ranges. */
export function formatSpan(span: Span): string {
  return `${span.start}-${span.end}`
}

export function sizeOf(span: Span): bigint {
  return span.end.value - span.start.value + 1n
}

export function spanContains(span: Span, address: IpAddress): boolean {
  return span.start.compare(address) <= 0 && span.end.compare(address) >= 0
}

/** Spans of different families never overlap: IPv4 sorts before IPv6. */
export function spansOverlap(a: Span, b: Span): boolean {
  return a.start.compare(b.end) <= 0 && b.start.compare(a.end) <= 0
}

/** What of `spans` lies in `within`: in order, and no address twice. */
export function clipSpans(spans: readonly Span[], within: Span): Span[] {
  const clipped = spans
    .filter((span) => spansOverlap(span, within))
    .map((span) => ({ start: later(span.start, within.start), end: earlier(span.end, within.end) }))
    .sort((a, b) => a.start.compare(b.start))
  const merged: Span[] = []
  for (const span of clipped) {
    const last = merged.at(-1)
    if (last === undefined || span.start.value > last.end.value + 1n) merged.push(span)
    else merged[merged.length - 1] = { start: last.start, end: later(last.end, span.end) }
  }
  return merged
}

function later(a: IpAddress, b: IpAddress): IpAddress {
  return a.compare(b) > 0 ? a : b
}

function earlier(a: IpAddress, b: IpAddress): IpAddress {
  return a.compare(b) < 0 ? a : b
}
