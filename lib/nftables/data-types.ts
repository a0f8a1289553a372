// The types of set keys, map values and rule fields: their text as `nft` writes it, their bytes as the kernel
// compares them. The numbers are nft's own (enum datatypes in its datatype.h): it prints a set by them.

import { ADDRESS_BITS, type Family, IpAddress } from '../ip/address.ts'
import { macFromBytes, macToBytes, parseMac } from '../ip/mac.ts'
import { Prefix } from '../ip/prefix.ts'

export interface DataType {
  readonly id: number
  readonly bytes: number
  readonly byteOrder: 'network' | 'host'
  /** @throws Error when the text is none of this type's */
  parse(text: string): Uint8Array
  /** @throws RangeError when the bytes are none of this type's */
  format(bytes: Uint8Array): string
  /** `10.1.0.0/24` and the like, for types that have them. */
  parsePrefix?(text: string): readonly [first: Uint8Array, last: Uint8Array]
  formatPrefix?(first: Uint8Array, last: Uint8Array): string | undefined
}

function address(family: Family, id: number): DataType {
  const bits = ADDRESS_BITS[family]
  return {
    id,
    bytes: bits / 8,
    byteOrder: 'network',
    parse: (text) => ofFamily(IpAddress.parse(text), family).toBytes(),
    format: (bytes) => IpAddress.fromBytes(bytes).toString(),
    parsePrefix(text) {
      const prefix = Prefix.parse(text)
      return [ofFamily(prefix.first(), family).toBytes(), prefix.last().toBytes()]
    },
    formatPrefix(first, last) {
      const from = IpAddress.fromBytes(first)
      const hostBits = (from.value ^ IpAddress.fromBytes(last).value).toString(2).length
      const prefix = Prefix.of(from, bits - hostBits)
      const isWhole = !prefix.hasHostBits() && prefix.last().equals(IpAddress.fromBytes(last))
      return isWhole ? prefix.toString() : undefined
    },
  }
}

function ofFamily(value: IpAddress, family: Family): IpAddress {
  if (value.family !== family) throw new RangeError(`${value} is no IPv${family} address`)
  return value
}

function integer(
  id: number,
  size: 1 | 2 | 4,
  byteOrder: 'network' | 'host',
  format: (n: number) => string,
): DataType {
  const littleEndian = byteOrder === 'host'
  return {
    id,
    bytes: size,
    byteOrder,
    parse(text) {
      const n = /^(?:0x[0-9a-f]{1,8}|[0-9]{1,10})$/.test(text) ? Number(text) : Number.NaN
      if (!(n < 2 ** (8 * size))) throw new RangeError(`${JSON.stringify(text)} is no ${8 * size}-bit number`)
      const bytes = new Uint8Array(4)
      new DataView(bytes.buffer).setUint32(0, n, littleEndian)
      return littleEndian ? bytes.subarray(0, size) : bytes.subarray(4 - size)
    },
    format(bytes) {
      requireLength(bytes, size)
      return format(
        Array.from(littleEndian ? bytes.toReversed() : bytes).reduce((sum, byte) => sum * 256 + byte, 0),
      )
    },
  }
}

function requireLength(bytes: Uint8Array, size: number): void {
  if (bytes.length !== size) throw new RangeError(`${bytes.length} bytes instead of ${size}`)
}

/** Those that `nft` prints by name whatever the machine's /etc/protocols. */
const PROTOCOLS: Readonly<Record<string, number>> = { icmp: 1, tcp: 6, udp: 17, 'ipv6-icmp': 58, sctp: 132 }

const protocolNumber = integer(12, 1, 'network', (n) => {
  return Object.entries(PROTOCOLS).find(([, number]) => number === n)?.[0] ?? String(n)
})

const IFNAME_BYTES = 16

export const DATA_TYPES = {
  ipv4_addr: address(4, 7),
  ipv6_addr: address(6, 8),
  ether_addr: {
    id: 9,
    bytes: 6,
    byteOrder: 'network',
    parse: (text) => macToBytes(parseMac(text)),
    format: macFromBytes,
  },
  inet_proto: { ...protocolNumber, parse: (text) => protocolNumber.parse(String(PROTOCOLS[text] ?? text)) },
  inet_service: integer(13, 2, 'network', String),
  mark: integer(19, 4, 'host', (n) => `0x${n.toString(16).padStart(8, '0')}`),
  ifname: {
    id: 41,
    bytes: IFNAME_BYTES,
    byteOrder: 'host',
    parse(text) {
      const bytes = new TextEncoder().encode(text.replace(/^"(.*)"$/, '$1'))
      if (bytes.length === 0 || bytes.length >= IFNAME_BYTES)
        throw new RangeError(`${text} is no interface name`)
      const padded = new Uint8Array(IFNAME_BYTES)
      padded.set(bytes)
      return padded
    },
    format(bytes) {
      requireLength(bytes, IFNAME_BYTES)
      const end = bytes.indexOf(0)
      return `"${new TextDecoder().decode(end < 0 ? bytes : bytes.subarray(0, end))}"`
    },
  },
} as const satisfies Readonly<Record<string, DataType>>

export type DataTypeName = keyof typeof DATA_TYPES

/** A concatenation of types (`ipv4_addr . inet_service`) has one number: six bits for each, the first highest. */
export function concatTypeId(types: readonly DataTypeName[]): number {
  return types.reduce((id, name) => id * 64 + DATA_TYPES[name].id, 0)
}

/** @throws RangeError for a type that is not in DATA_TYPES: another program's set */
export function typesOfId(id: number): DataTypeName[] {
  const names: DataTypeName[] = []
  for (let rest = id; rest > 0; rest = Math.floor(rest / 64)) {
    const entry = Object.entries(DATA_TYPES).find(([, type]) => type.id === rest % 64)
    if (entry === undefined) throw new RangeError(`no name for data type ${rest % 64}`)
    names.unshift(entry[0] as DataTypeName)
  }
  return names
}

/** In a concatenation every value begins at a multiple of 4: a register's size. */
export function registerBytes(name: DataTypeName): number {
  return (DATA_TYPES[name].bytes + 3) & ~3
}

export function concatBytes(types: readonly DataTypeName[]): number {
  const [only] = types
  if (types.length === 1 && only !== undefined) return DATA_TYPES[only].bytes
  return types.reduce((sum, name) => sum + registerBytes(name), 0)
}

export interface Span {
  readonly first: Uint8Array
  /** Inclusive; equal to `first` for a single value. */
  readonly last: Uint8Array
}

/** `80`, `80-90`, `10.1.0.5`, `10.1.0.0/24`, one text per type. @throws Error when one is none of its type's */
export function parseSpan(types: readonly DataTypeName[], texts: readonly string[]): Span {
  if (types.length !== texts.length) throw new RangeError(`${texts.length} values for ${types.join(' . ')}`)
  const spans = types.map((name, i) => parsePart(DATA_TYPES[name], texts[i] ?? ''))
  return {
    first: join(
      types,
      spans.map((s) => s.first),
    ),
    last: join(
      types,
      spans.map((s) => s.last),
    ),
  }
}

function parsePart(type: DataType, text: string): Span {
  if (type.parsePrefix && text.includes('/')) {
    const [first, last] = type.parsePrefix(text)
    return { first, last }
  }
  const dash = /^([0-9][^-]*)-([^-]+)$/.exec(text)
  if (dash) return { first: type.parse(dash[1] ?? ''), last: type.parse(dash[2] ?? '') }
  const value = type.parse(text)
  return { first: value, last: value }
}

function join(types: readonly DataTypeName[], values: readonly Uint8Array[]): Uint8Array {
  const joined = new Uint8Array(concatBytes(types))
  let offset = 0
  for (const [i, name] of types.entries()) {
    joined.set(values[i] ?? [], offset)
    offset += registerBytes(name)
  }
  return joined
}

/** The other way. @throws RangeError when the bytes do not fit the types */
export function formatSpan(types: readonly DataTypeName[], span: Span): string[] {
  requireLength(span.first, concatBytes(types))
  requireLength(span.last, concatBytes(types))
  let offset = 0
  return types.map((name) => {
    const { bytes } = DATA_TYPES[name]
    const part = (whole: Uint8Array) => whole.subarray(offset, offset + bytes)
    const text = formatPart(DATA_TYPES[name], part(span.first), part(span.last))
    offset += registerBytes(name)
    return text
  })
}

function formatPart(type: DataType, first: Uint8Array, last: Uint8Array): string {
  if (first.every((byte, i) => byte === last[i])) return type.format(first)
  return type.formatPrefix?.(first, last) ?? `${type.format(first)}-${type.format(last)}`
}
