// Elements of sets and maps (NFT_MSG_*SETELEM).
//
// A range in a set of one field is two elements on the wire: its first value, and, marked, the value after its
// last. In a set of several fields it is one, with a second key.

import type { Attributes } from '../netlink/attributes.ts'
import { readPayload } from '../netlink/request.ts'
import type { NFTA_SET_ELEM } from './attributes.ts'
import { formatSpan, parseSpan, type Span } from './data-types.ts'
import { MESSAGES } from './messages.ts'
import { durationText, isInterval, isMap, type NftMap, type NftSet, setName } from './set.ts'
import { commentText, encodeComment, encodeUserdata, readComment, UDATA } from './userdata.ts'
import { formatVerdict, parseVerdict } from './verdict.ts'

const NFT_SET_ELEM_INTERVAL_END = 1
/** nft's own mark on a range without end (its SET_ELEM_F_INTERVAL_OPEN). */
const INTERVAL_OPEN = Uint8Array.of(1, 0, 0, 0)

export interface NftElement {
  /** One text for each type of the set's key: `10.1.0.5`, `10.1.0.0/24`, `80`, `tcp`, `"eth0"`. */
  readonly key: readonly string[]
  /** Of a map: one text for each type of its value, or the verdict. */
  readonly value?: readonly string[]
  readonly comment?: string
  readonly timeoutMs?: number
  /** When read: how much of the timeout is left. */
  readonly expiresMs?: number
}

type ElementAttributes = Attributes<typeof NFTA_SET_ELEM>

/** `10.1.0.5 comment "kindnet 0a1b eth0" : goto subnet_10.1.0.0_24` */
export function elementText(element: NftElement): string {
  const value = element.value === undefined ? '' : ` : ${element.value.join(' . ')}`
  const timeout = element.timeoutMs === undefined ? '' : ` timeout ${durationText(element.timeoutMs)}`
  return `${element.key.join(' . ')}${timeout}${commentText(element.comment)}${value}`
}

/** `inet podwire masquerade_ipv4 { 10.1.0.5, 10.1.0.6 }` */
export function elementsText(set: NftSet, elements: readonly NftElement[]): string {
  return `${setName(set)} { ${elements.map(elementText).join(', ')} }`
}

export interface ElementDetail {
  /** `key`: enough to find or delete it. */
  readonly detail: 'key' | 'whole'
}

/** @throws RangeError when a value does not fit its type */
export function elementListAttributes(
  set: NftSet | NftMap,
  elements: readonly NftElement[],
  { detail }: ElementDetail,
) {
  const attributes = elements.flatMap((element) => elementAttributes(set, element, detail))
  return {
    NFTA_SET_ELEM_LIST_TABLE: set.table.name,
    NFTA_SET_ELEM_LIST_SET: set.name,
    NFTA_SET_ELEM_LIST_ELEMENTS: attributes.length === 0 ? undefined : { NFTA_LIST_ELEM: attributes },
  }
}

function elementAttributes(
  set: NftSet | NftMap,
  element: NftElement,
  detail: ElementDetail['detail'],
): ElementAttributes[] {
  const { first, last } = parseSpan(set.type, element.key)
  const isRange = first.some((byte, i) => byte !== last[i])
  if (isRange && !isInterval(set))
    throw new RangeError(`range ${element.key.join(' . ')} in a set without intervals`)
  const isSplit = isInterval(set) && set.type.length === 1
  const end = isSplit ? successor(last) : undefined
  const whole: ElementAttributes = {
    NFTA_SET_ELEM_TIMEOUT:
      element.timeoutMs === undefined || detail === 'key' ? undefined : BigInt(element.timeoutMs),
    NFTA_SET_ELEM_KEY: { NFTA_DATA_VALUE: first },
    NFTA_SET_ELEM_KEY_END: isInterval(set) && !isSplit ? { NFTA_DATA_VALUE: last } : undefined,
    NFTA_SET_ELEM_DATA: detail === 'whole' && isMap(set) ? valueData(set, element) : undefined,
    ...(detail === 'whole' ? elementUserdata(element, isSplit && end === undefined) : {}),
  }
  if (end === undefined) return [whole]
  return [
    whole,
    { NFTA_SET_ELEM_FLAGS: NFT_SET_ELEM_INTERVAL_END, NFTA_SET_ELEM_KEY: { NFTA_DATA_VALUE: end } },
  ]
}

function valueData(map: NftMap, element: NftElement) {
  const value = element.value ?? []
  if (map.value === 'verdict') return { NFTA_DATA_VERDICT: parseVerdict(value[0] ?? '') }
  return { NFTA_DATA_VALUE: parseSpan(map.value, value).first }
}

function elementUserdata(element: NftElement, isOpen: boolean) {
  const entries = new Map<number, Uint8Array>()
  if (element.comment !== undefined) entries.set(UDATA.element.comment, encodeComment(element.comment))
  if (isOpen) entries.set(UDATA.element.flags, INTERVAL_OPEN)
  return entries.size === 0 ? {} : { NFTA_SET_ELEM_USERDATA: encodeUserdata(entries) }
}

/** The next value in network order; undefined after the largest. */
function successor(bytes: Uint8Array): Uint8Array | undefined {
  const next = Uint8Array.from(bytes)
  for (let i = next.length - 1; i >= 0; i--) {
    next[i] = ((next[i] ?? 0) + 1) & 0xff
    if (next[i] !== 0) return next
  }
  return undefined
}

function predecessor(bytes: Uint8Array): Uint8Array {
  const previous = Uint8Array.from(bytes)
  for (let i = previous.length - 1; i >= 0; i--) {
    const byte = previous[i] ?? 0
    previous[i] = (byte - 1) & 0xff
    if (byte !== 0) break
  }
  return previous
}

/**
 * The elements in the messages of a dump, or of an answer to a get, in the set's order.
 *
 * @throws RangeError when a payload is none of elements of this set
 */
export function readElements(set: NftSet | NftMap, payloads: readonly Uint8Array[]): NftElement[] {
  const all = payloads.flatMap((payload) => {
    const { attributes } = readPayload(MESSAGES.element.NEW, payload)
    return attributes.NFTA_SET_ELEM_LIST_ELEMENTS?.NFTA_LIST_ELEM ?? []
  })
  if (isInterval(set) && set.type.length === 1) return joinRanges(set, all)
  return all.map((a) => {
    const first = keyOf(a)
    return readElement(set, a, { first, last: a.NFTA_SET_ELEM_KEY_END?.NFTA_DATA_VALUE ?? first })
  })
}

function keyOf(a: ElementAttributes): Uint8Array {
  return a.NFTA_SET_ELEM_KEY?.NFTA_DATA_VALUE ?? new Uint8Array()
}

function isEnd(a: ElementAttributes): boolean {
  return ((a.NFTA_SET_ELEM_FLAGS ?? 0) & NFT_SET_ELEM_INTERVAL_END) !== 0
}

function joinRanges(set: NftSet | NftMap, all: readonly ElementAttributes[]): NftElement[] {
  // Of two that touch, the end of the first comes before the start of the second.
  const sorted = all.toSorted(
    (a, b) => Buffer.compare(keyOf(a), keyOf(b)) || Number(isEnd(b)) - Number(isEnd(a)),
  )
  const elements: NftElement[] = []
  let start: ElementAttributes | undefined
  for (const a of sorted) {
    if (start !== undefined) {
      elements.push(readElement(set, start, { first: keyOf(start), last: predecessor(keyOf(a)) }))
    }
    start = isEnd(a) ? undefined : a
  }
  if (start !== undefined) {
    const first = keyOf(start)
    elements.push(readElement(set, start, { first, last: new Uint8Array(first.length).fill(0xff) }))
  }
  return elements
}

function readElement(set: NftSet | NftMap, a: ElementAttributes, span: Span): NftElement {
  const comment = readComment(a.NFTA_SET_ELEM_USERDATA, UDATA.element.comment)
  return {
    key: formatSpan(set.type, span),
    ...(isMap(set) ? { value: readValue(set, a) } : {}),
    ...(comment === undefined ? {} : { comment }),
    ...(a.NFTA_SET_ELEM_TIMEOUT === undefined ? {} : { timeoutMs: Number(a.NFTA_SET_ELEM_TIMEOUT) }),
    ...(a.NFTA_SET_ELEM_EXPIRATION === undefined ? {} : { expiresMs: Number(a.NFTA_SET_ELEM_EXPIRATION) }),
  }
}

function readValue(map: NftMap, a: ElementAttributes): string[] {
  const data = a.NFTA_SET_ELEM_DATA
  if (map.value === 'verdict') return [formatVerdict(data?.NFTA_DATA_VERDICT ?? {})]
  const value = data?.NFTA_DATA_VALUE ?? new Uint8Array()
  return formatSpan(map.value, { first: value, last: value })
}
