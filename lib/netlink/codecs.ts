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
  /** @throws RangeError when the bytes cannot be this value */
  read(bytes: Uint8Array): T
  /** In words, for the trace, where the plain value says too little. */
  format?(value: T): string
}

function view(bytes: Uint8Array, size: number, name: string): DataView {
  if (bytes.length < size) throw new RangeError(`${bytes.length} bytes are too short for ${name}`)
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}

export type IntegerCodec<T = number> = Codec<T> & { readonly size: number }

function integer<T extends number | bigint>(
  name: string,
  size: number,
  get: (view: DataView) => T,
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
    read: (bytes) => get(view(bytes, size, name)),
  }
}

/** Below `end`. nf_tables keeps signed numbers (verdicts, priorities) in big-endian words. */
function bounds(name: string, size: number): [min: number, end: number] {
  const bits = 8 * size
  return [name.startsWith('u') ? 0 : -(2 ** (bits - 1)), 2 ** (name.startsWith('s') ? bits - 1 : bits)]
}

export const u8 = integer<number>(
  'u8',
  1,
  (v) => v.getUint8(0),
  (v, o, x) => v.setUint8(o, x),
)
export const u16 = integer<number>(
  'u16',
  2,
  (v) => v.getUint16(0, true),
  (v, o, x) => v.setUint16(o, x, true),
)
export const u32 = integer<number>(
  'u32',
  4,
  (v) => v.getUint32(0, true),
  (v, o, x) => v.setUint32(o, x, true),
)
export const s32 = integer<number>(
  's32',
  4,
  (v) => v.getInt32(0, true),
  (v, o, x) => v.setInt32(o, x, true),
)
export const u64 = integer<bigint>(
  'u64',
  8,
  (v) => v.getBigUint64(0, true),
  (v, o, x) => v.setBigUint64(o, x, true),
)
export const be16 = integer<number>(
  'be16',
  2,
  (v) => v.getUint16(0),
  (v, o, x) => v.setUint16(o, x),
)
export const be32 = integer<number>(
  'be32',
  4,
  (v) => v.getUint32(0),
  (v, o, x) => v.setUint32(o, x),
)
export const be64 = integer<bigint>(
  'be64',
  8,
  (v) => v.getBigUint64(0),
  (v, o, x) => v.setBigUint64(o, x),
)

export const bytes: Codec<Uint8Array> = {
  name: 'bytes',
  write: (writer, value) => writer.bytes(value),
  read: (value) => Uint8Array.from(value),
}

/** A NUL-terminated string; the kernel also accepts and sometimes sends it without the NUL. */
export const string: Codec<string> = {
  name: 'string',
  write(writer, value) {
    if (value.includes('\0')) throw new RangeError('a string with a NUL in it')
    writer.bytes(new TextEncoder().encode(value))
    writer.skip(1)
  },
  read(value) {
    const end = value.indexOf(0)
    return new TextDecoder().decode(end < 0 ? value : value.subarray(0, end))
  },
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
        if (!field.startsWith('pad')) value[field] = codec.read(bytes.subarray(offset))
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
