import fc from 'fast-check'
import { test } from 'tap'
import { ByteWriter } from './byte-writer.ts'
import {
  be16,
  be32,
  be64,
  bytes,
  type Codec,
  encode,
  flag,
  flags,
  named,
  s32,
  string,
  struct,
  u8,
  u16,
  u32,
  u64,
} from './codecs.ts'

const hex = (data: Uint8Array) => Buffer.from(data).toString('hex')
const unhex = (text: string) => Uint8Array.from(Buffer.from(text.replaceAll(/\s/g, ''), 'hex'))

const INTEGERS: readonly (readonly [
  codec: Codec<number> | Codec<bigint>,
  value: number | bigint,
  bytes: string,
])[] = [
  [u8, 0xff, 'ff'],
  [u16, 0x1234, '3412'],
  [u32, 0x12345678, '78563412'],
  [u32, 0xffffffff, 'ffffffff'],
  [s32, -2, 'feffffff'],
  [u64, 0x0102030405060708n, '0807060504030201'],
  [be16, 0x1234, '1234'],
  [be32, 0x12345678, '12345678'],
  [be32, -100, 'ffffff9c'],
  [be64, 0x0102030405060708n, '0102030405060708'],
]

test('integers lie in host or network order', async (t) => {
  for (const [codec, value, expected] of INTEGERS) {
    const { name } = codec
    t.equal(
      hex(encode<number | bigint>(codec as Codec<number | bigint>, value)),
      expected,
      `${name} ${value}`,
    )
    if (value >= 0 || name === 's32') t.equal(codec.read(unhex(expected)), value, `${name} ${expected}`)
    t.throws(() => codec.read(unhex(expected).subarray(1)), RangeError, `${name} cut short`)
    t.equal(codec.read(unhex(`${expected}ff`)), codec.read(unhex(expected)), `${name} longer than needed`)
  }
})

const MISFITS: readonly (readonly [codec: Codec<number> | Codec<bigint>, value: number | bigint])[] = [
  [u8, 256],
  [u8, -1],
  [u16, 0x10000],
  [u32, -1],
  [u32, 2 ** 32],
  [u32, 1.5],
  [u32, Number.NaN],
  [s32, 2 ** 31],
  [be32, 2 ** 32],
  [u64, -1n],
  [u64, 1n << 64n],
]

test('integers refuse what DataView would cut to size', async (t) => {
  for (const [codec, value] of MISFITS) {
    t.throws(() => encode<number | bigint>(codec as Codec<number | bigint>, value), {
      name: 'RangeError',
      message: `${value} is no ${codec.name}`,
    })
  }
})

test('string ends with a NUL, and is read without one too', async (t) => {
  t.equal(hex(encode(string, 'lo')), '6c6f00')
  t.equal(string.read(unhex('6c6f00')), 'lo')
  t.equal(string.read(unhex('6c6f')), 'lo')
  t.equal(string.read(unhex('6c6f006869')), 'lo')
  t.equal(string.read(unhex('')), '')
  t.throws(() => encode(string, 'a\0b'), RangeError)
})

test('bytes are a copy, since the datagram they came in is not kept', async (t) => {
  const datagram = unhex('01020304')
  const value = bytes.read(datagram.subarray(1, 3))
  datagram.fill(0xee)
  t.equal(hex(value), '0203')
})

test('flag has no bytes', async (t) => {
  t.equal(encode(flag, true).length, 0)
  t.equal(flag.read(new Uint8Array(0)), true)
})

const toymsg = struct('toymsg', [
  ['toy_family', u8],
  ['pad', u8],
  ['toy_type', u16],
  ['toy_flags', flags(u32, { up: 1, loud: 4 })],
  ['toy_mood', named(u8, { calm: 1 })],
])

test('struct writes its fields in order, those left out as zero', async (t) => {
  t.equal(toymsg.size, 9)
  const writer = new ByteWriter()
  toymsg.write(writer, { toy_type: 0x0102, toy_flags: 5 })
  t.equal(hex(writer.finish()), '00 00 0201 05000000 00'.replaceAll(' ', ''))
})

test('struct reads its fields, padding left out', async (t) => {
  t.same(toymsg.read(unhex('0a ee 0201 05000000 01 ffff')), {
    toy_family: 10,
    toy_type: 0x0102,
    toy_flags: 5,
    toy_mood: 1,
  })
  t.throws(() => toymsg.read(new Uint8Array(8)), { message: '8 bytes are too short for struct toymsg' })
})

const FORMATTED: readonly (readonly [value: object, words: string])[] = [
  [{}, ''],
  [{ toy_family: 3, toy_flags: 1 }, 'toy_family 3 toy_flags up'],
  [{ toy_flags: 0xfffffff5 }, 'toy_flags up,loud,0xfffffff0'],
  [{ toy_flags: 2 }, 'toy_flags 0x2'],
  [{ toy_mood: 1 }, 'toy_mood calm'],
  [{ toy_mood: 2 }, 'toy_mood 2'],
]

test('struct in words names flags and leaves out zeros', async (t) => {
  for (const [value, words] of FORMATTED) t.equal(toymsg.format(value).join(' '), words)
})

test('ByteWriter keeps what was written when it grows', async (t) => {
  const parts = fc.array(fc.uint8Array({ maxLength: 300, size: 'max' }), { maxLength: 12 })
  fc.assert(
    fc.property(parts, (parts) => {
      const writer = new ByteWriter()
      for (const part of parts) writer.bytes(part)
      return Buffer.concat(parts).equals(writer.finish())
    }),
  )
  t.pass()
})

test('ByteWriter is empty after it has finished, and the next begins with zeros', async (t) => {
  const first = new ByteWriter()
  first.bytes(Uint8Array.of(1, 2, 3, 4))
  const written = first.finish()
  const next = new ByteWriter()
  next.skip(2)
  first.bytes(Uint8Array.of(9, 9))
  t.strictSame([...next.finish()], [0, 0])
  t.strictSame([...first.finish()], [9, 9])
  t.strictSame([...written], [1, 2, 3, 4])
})

test('ByteWriter aligns to four bytes with zeros', async (t) => {
  const writer = new ByteWriter()
  for (const expected of [4, 8, 12]) {
    writer.bytes(Uint8Array.of(0xff))
    writer.align()
    t.equal(writer.length, expected)
  }
  t.equal(hex(writer.finish()), 'ff000000ff000000ff000000')
})
