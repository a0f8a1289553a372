// How single values lie in a netlink attribute or struct: integers in host order unless the name says
// otherwise, NUL-terminated strings, structs without padding of their own (linux/netlink.h, net/netlink.h).
//
// Every machine that Podwire runs on is little-endian; `be` marks the network order of nfnetlink and ports.

import { ByteWriter } from './byte-writer.ts'

/** One value's form on the wire. `size` is its length in bytes where that is fixed. */
export interface Codec<T> {
  readonly name: string
  readonly size?: number
  /** @throws RangeError when the value does not fit */
  write(writer: ByteWriter, value: T): void
  /**
   * @param isWhole  of attributes inside: also those that nothing is known of
   * @throws RangeError when the bytes cannot be this value
   */
  read(bytes: Uint8Array, isWhole?: boolean): T
  /** In words, for the trace, where the plain value says too little. */
  format?(value: T): string
}

export interface IntegerCodec<T = number> extends Codec<T> {
  readonly size: number
  /** Of bytes that are long enough. */
  readAt(bytes: Uint8Array, offset: number): T
}

/** Bytes by arithmetic: to make a DataView of an attribute takes longer than to read it. */
function integer<T extends number | bigint>(
  name: string,
  size: number,
  readAt: (bytes: Uint8Array, offset: number) => T,
  set: (view: DataView, offset: number, value: T) => void,
): IntegerCodec<T> {
  const [min, end] = bounds(name, size)
  return {
    name,
    size,
    write(writer, value) {
      // DataView would cut it to size silently.
      if (!(value >= min && value < end) || (typeof value === 'number' && !Number.isInteger(value))) {
        throw new RangeError(`${value} is no ${name}`)
      }
      const offset = writer.skip(size)
      set(writer.view, offset, value)
    },
    read(bytes) {
      if (bytes.length < size) throw new RangeError(`${bytes.length} bytes are too short for ${name}`)
      return readAt(bytes, 0)
    },
    readAt,
  }
}

/** Little-endian, signed. */
function wordAt(bytes: Uint8Array, offset: number): number {
  return halfAt(bytes, offset) | (halfAt(bytes, offset + 2) << 16)
}

function halfAt(bytes: Uint8Array, offset: number): number {
  return (bytes[offset] as number) | ((bytes[offset + 1] as number) << 8)
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}

/** Below `end`. nf_tables keeps signed numbers (verdicts, priorities) in big-endian words. */
function bounds(name: string, size: number): [min: number, end: number] {
  const bits = 8 * size
  return [name.startsWith('u') ? 0 : -(2 ** (bits - 1)), 2 ** (name.startsWith('s') ? bits - 1 : bits)]
}

export const u8 = integer<number>(
  'u8',
  1,
  (bytes, at) => bytes[at] as number,
  (v, o, x) => v.setUint8(o, x),
)
export const u16 = integer<number>('u16', 2, halfAt, (v, o, x) => v.setUint16(o, x, true))
export const u32 = integer<number>(
  'u32',
  4,
  (bytes, at) => wordAt(bytes, at) >>> 0,
  (v, o, x) => v.setUint32(o, x, true),
)
export const s32 = integer<number>('s32', 4, wordAt, (v, o, x) => v.setInt32(o, x, true))
export const u64 = integer<bigint>(
  'u64',
  8,
  (bytes, at) => viewOf(bytes).getBigUint64(at, true),
  (v, o, x) => v.setBigUint64(o, x, true),
)
export const be16 = integer<number>(
  'be16',
  2,
  (bytes, at) => ((bytes[at] as number) << 8) | (bytes[at + 1] as number),
  (v, o, x) => v.setUint16(o, x),
)
export const be32 = integer<number>(
  'be32',
  4,
  (bytes, at) => viewOf(bytes).getUint32(at),
  (v, o, x) => v.setUint32(o, x),
)
export const be64 = integer<bigint>(
  'be64',
  8,
  (bytes, at) => viewOf(bytes).getBigUint64(at),
  (v, o, x) => v.setBigUint64(o, x),
)

export const bytes: Codec<Uint8Array> = {
  name: 'bytes',
  write: (writer, value) => writer.bytes(value),
  read: (value) => new Uint8Array(value),
}

const utf8Encoder = new TextEncoder()
const utf8Decoder = new TextDecoder()

/** A NUL-terminated string; the kernel also accepts and sometimes sends it without the NUL. */
export const string: Codec<string> = {
  name: 'string',
  write(writer, value) {
    if (value.includes('\0')) throw new RangeError('a string with a NUL in it')
    if (isAscii(value)) {
      const start = writer.skip(value.length + 1)
      const { view } = writer
      for (let at = 0; at < value.length; at++) view.setUint8(start + at, value.charCodeAt(at))
    } else {
      writer.bytes(utf8Encoder.encode(value))
      writer.skip(1)
    }
  },
  read(value) {
    // Names are short and ASCII, and a decoder takes longer to be called than they are to be read.
    let text = ''
    for (const byte of value) {
      if (byte === 0) return text
      if (byte >= 0x80) return decodeUtf8(value)
      text += String.fromCharCode(byte)
    }
    return text
  },
}

function isAscii(value: string): boolean {
  for (let at = 0; at < value.length; at++) if (value.charCodeAt(at) >= 0x80) return false
  return true
}

function decodeUtf8(value: Uint8Array): string {
  const end = value.indexOf(0)
  return utf8Decoder.decode(end < 0 ? value : value.subarray(0, end))
}

/** An attribute whose presence is its value. */
export const flag: Codec<true> = { name: 'flag', size: 0, write() {}, read: () => true }

/** An integer of flag bits: `up,promisc`. Bits without a name are shown as one number. */
export function flags(codec: IntegerCodec, names: Readonly<Record<string, number>>): IntegerCodec {
  const format = (value: number) => {
    const known = Object.entries(names).filter(([, bit]) => (value & bit) !== 0)
    const rest = (known.reduce((left, [, bit]) => left & ~bit, value) >>> 0).toString(16)
    return [...known.map(([name]) => name), ...(rest === '0' ? [] : [`0x${rest}`])].join(',') || '0'
  }
  return { ...codec, format }
}

/** An integer whose values have names: `table main`. */
export function named(codec: IntegerCodec, names: Readonly<Record<string, number>>): IntegerCodec {
  const byValue = new Map(Object.entries(names).map(([name, value]) => [value, name]))
  return { ...codec, format: (value) => byValue.get(value) ?? String(value) }
}

type Fields = readonly (readonly [string, IntegerCodec])[]
type StructValue<F extends Fields> = { [E in F[number] as E[0]]: number }

export interface StructCodec<T> {
  readonly name: string
  readonly size: number
  write(writer: ByteWriter, value: Partial<T>): void
  read(bytes: Uint8Array): T
  /** `ifi_index 3 ifi_flags up`: fields that are zero are left out. */
  format(value: Partial<T>): string[]
}

/** A C struct of integers, in order. Fields left out when writing are zero; `pad…` fields are not read. */
export function struct<const F extends Fields>(name: string, fields: F): StructCodec<StructValue<F>> {
  const size = fields.reduce((sum, [, codec]) => sum + codec.size, 0)
  return {
    name,
    size,
    write(writer, value) {
      const given = value as Record<string, number | undefined>
      for (const [field, codec] of fields) codec.write(writer, given[field] ?? 0)
    },
    read(bytes) {
      if (bytes.length < size) throw new RangeError(`${bytes.length} bytes are too short for struct ${name}`)
      const value: Record<string, number> = {}
      let offset = 0
      for (const [field, codec] of fields) {
        if (!field.startsWith('pad')) value[field] = codec.readAt(bytes, offset)
        offset += codec.size
      }
      return value as StructValue<F>
    },
    format(value) {
      const given = value as Record<string, number | undefined>
      return fields.flatMap(([field, codec]) => {
        const number = given[field] ?? 0
        return number === 0 ? [] : [field, codec.format?.(number) ?? String(number)]
      })
    },
  }
}

/** The bytes of one value. */
export function encode<T>(codec: Codec<T>, value: T): Uint8Array {
  const writer = new ByteWriter()
  codec.write(writer, value)
  return writer.finish()
}
