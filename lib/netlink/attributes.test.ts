import fc from 'fast-check'
import { test } from 'tap'
import {
  type AttributeTable,
  attributeTable,
  nested,
  nestedMessage,
  readAttributes,
  repeated,
  selected,
  sequence,
  writeAttributes,
} from './attributes.ts'
import { ByteWriter } from './byte-writer.ts'
import { bytes, flag, string, struct, u8, u16, u32 } from './codecs.ts'

const toyhdr = struct('toyhdr', [
  ['toy_len', u16],
  ['toy_id', u16],
])
const TOY_INNER = attributeTable({ TOY_INNER_SIZE: [1, u32], TOY_INNER_NAME: [2, string] })
const TOY_CAT = attributeTable({ TOY_CAT_LIVES: [1, u8] })
const TOY = attributeTable({
  TOY_NAME: [1, string],
  TOY_SIZE: [2, u32],
  TOY_RAW: [3, bytes],
  TOY_LOUD: [4, flag],
  TOY_INNER: [5, nested(() => TOY_INNER)],
  TOY_KIND: [6, string],
  TOY_DATA: [7, selected<object>('TOY_KIND', () => ({ cat: nested(() => TOY_CAT) }))],
  TOY_PORTS: [8, repeated(u16)],
  TOY_LIST: [9, repeated(nested(() => TOY_INNER))],
  TOY_PEER: [10, nestedMessage(toyhdr, (): AttributeTable => TOY)],
  TOY_WAYS: [11, sequence(toyhdr, 'toy_len', () => TOY_INNER)],
})

const unhex = (text: string) => Uint8Array.from(Buffer.from(text.replaceAll(/\s/g, ''), 'hex'))

function write(table: AttributeTable, values: object): string {
  const writer = new ByteWriter()
  writeAttributes(writer, table, values)
  return Buffer.from(writer.finish()).toString('hex')
}

// Each row both ways: the values make these bytes, and these bytes are read as the values.
const BOTH_WAYS: readonly (readonly [name: string, values: object, rows: string])[] = [
  ['nothing', {}, ''],
  ['a string, padded', { TOY_NAME: 'toy12' }, '0a00 0100 746f793132 00 0000'],
  ['an integer', { TOY_SIZE: 1500 }, '0800 0200 dc050000'],
  ['no bytes', { TOY_RAW: new Uint8Array(0) }, '0400 0300'],
  ['a flag', { TOY_LOUD: true }, '0400 0400'],
  ['an order of one’s own', { TOY_SIZE: 1, TOY_NAME: '' }, '0800 0200 01000000 0500 0100 00 000000'],
  [
    'attributes inside',
    { TOY_INNER: { TOY_INNER_SIZE: 2, TOY_INNER_NAME: 'x' } },
    '1400 0580 0800 0100 02000000 0600 0200 7800 0000',
  ],
  ['nothing inside', { TOY_INNER: {} }, '0400 0580'],
  [
    'a form chosen by a sibling',
    { TOY_KIND: 'cat', TOY_DATA: { TOY_CAT_LIVES: 9 } },
    '0800 0600 63617400 0c00 0780 0500 0100 09 000000',
  ],
  ['several of one type', { TOY_PORTS: [80, 443] }, '0600 0800 5000 0000 0600 0800 bb01 0000'],
  [
    'several with attributes inside',
    { TOY_LIST: [{ TOY_INNER_SIZE: 1 }, { TOY_INNER_SIZE: 2 }] },
    '0c00 0980 0800 0100 01000000 0c00 0980 0800 0100 02000000',
  ],
  [
    'a message inside',
    { TOY_PEER: { header: { toy_len: 0, toy_id: 7 }, attributes: { TOY_SIZE: 3 } } },
    '1000 0a80 0000 0700 0800 0200 03000000',
  ],
  [
    'structs that count themselves',
    {
      TOY_WAYS: [
        { header: { toy_len: 12, toy_id: 1 }, attributes: { TOY_INNER_SIZE: 5 } },
        { header: { toy_len: 4, toy_id: 2 }, attributes: {} },
      ],
    },
    '1400 0b00 0c00 0100 0800 0100 05000000 0400 0200',
  ],
  ['an unknown attribute', { unknown: [{ type: 99, data: unhex('010203') }] }, '0700 6300 010203 00'],
  [
    'an unknown attribute with its flags',
    { unknown: [{ type: 0x8063, data: unhex('08000100 02000000') }] },
    '0c00 6380 08000100 02000000',
  ],
  [
    'data of a kind without a form',
    { TOY_KIND: 'dog', unknown: [{ type: 0x8007, data: unhex('aabb') }] },
    '0800 0600 646f6700 0600 0780 aabb 0000',
  ],
  [
    'unknown attributes inside',
    { TOY_INNER: { unknown: [{ type: 9, data: unhex('ff') }] } },
    '0c00 0580 0500 0900 ff 000000',
  ],
]

test('attributes are written and read by their table', async (t) => {
  for (const [name, values, rows] of BOTH_WAYS) {
    t.equal(write(TOY, values), rows.replaceAll(' ', ''), `write ${name}`)
    t.same(readAttributes(unhex(rows), TOY), values, `read ${name}`)
  }
})

test('readAttributes takes what the writer would not make', async (t) => {
  const rows: readonly (readonly [name: string, rows: string, values: object])[] = [
    ['without padding at the end', '0600 0800 5000', { TOY_PORTS: [80] }],
    ['with less than a header at the end', '0800 0200 01000000 ffffff', { TOY_SIZE: 1 }],
    ['nested without its flag', '0c00 0500 0800 0100 02000000', { TOY_INNER: { TOY_INNER_SIZE: 2 } }],
    ['with the flag of network order', '0800 0240 01000000', { TOY_SIZE: 1 }],
    [
      'data before its kind',
      '0c00 0780 0500 0100 09 000000 0800 0600 63617400',
      { TOY_KIND: 'cat', TOY_DATA: { TOY_CAT_LIVES: 9 } },
    ],
    ['one type twice: the last', '0800 0200 01000000 0800 0200 02000000', { TOY_SIZE: 2 }],
    ['an integer with more bytes', '0c00 0200 01000000 00000000', { TOY_SIZE: 1 }],
  ]
  for (const [name, hexRows, values] of rows) t.same(readAttributes(unhex(hexRows), TOY), values, name)
})

const MALFORMED: readonly (readonly [name: string, rows: string, message: string | RegExp])[] = [
  ['a length beyond the end', '0c00 0200 01000000', 'attribute of 12 bytes at offset 0 of 8'],
  ['a length shorter than a header', '0300 0200 01000000', 'attribute of 3 bytes at offset 0 of 8'],
  ['a length of zero', '0000 0200', 'attribute of 0 bytes at offset 0 of 4'],
  ['the second', '0800 0200 01000000 0900 0100', 'attribute of 9 bytes at offset 8 of 12'],
  ['an integer cut short', '0600 0200 0100 0000', 'TOY_SIZE: 2 bytes are too short for u32'],
  ['one inside', '0a00 0580 0600 0100 0100', 'TOY_INNER: TOY_INNER_SIZE: 2 bytes are too short for u32'],
  ['a struct cut short', '0600 0a80 0000', 'TOY_PEER: 2 bytes are too short for struct toyhdr'],
  ['a struct that counts too little', '0800 0b00 0300 0100', 'TOY_WAYS: 3 bytes of 4'],
  ['a struct that counts too much', '0800 0b00 0800 0100', 'TOY_WAYS: 8 bytes of 4'],
]

test('readAttributes names what it cannot read', async (t) => {
  for (const [name, rows, message] of MALFORMED) {
    t.throws(() => readAttributes(unhex(rows), TOY), { name: 'RangeError', message }, name)
  }
})

test('writeAttributes refuses what would be lost', async (t) => {
  t.throws(() => write(TOY, { TOY_TYPO: 1 }), { message: 'no attribute TOY_TYPO in this table' })
  t.throws(() => write(TOY, { TOY_KIND: 'dog', TOY_DATA: {} }), { message: 'no form for this TOY_KIND' })
  t.throws(() => write(TOY, { TOY_RAW: new Uint8Array(0xfffc) }), { message: 'attribute 3 of 65536 bytes' })
  t.equal(write(TOY, { TOY_RAW: new Uint8Array(0xfffb) }).length, 2 * 0x10000, 'the longest')
  t.equal(write(TOY, { TOY_NAME: undefined }), '', 'undefined is absent')
})

test('attributes are the same after writing, reading and writing', async (t) => {
  const inner = fc.record(
    { TOY_INNER_SIZE: fc.nat(), TOY_INNER_NAME: fc.stringMatching(/^[a-z]*$/) },
    { requiredKeys: [] },
  )
  const values = fc.record(
    {
      TOY_NAME: fc.stringMatching(/^[a-zä€]*$/),
      TOY_SIZE: fc.nat(),
      TOY_RAW: fc.uint8Array(),
      TOY_INNER: inner,
      TOY_PORTS: fc.array(fc.integer({ min: 0, max: 0xffff }), { minLength: 1 }),
      TOY_LIST: fc.array(inner, { minLength: 1 }),
      unknown: fc.array(fc.record({ type: fc.integer({ min: 20, max: 0x3fff }), data: fc.uint8Array() }), {
        minLength: 1,
      }),
    },
    { requiredKeys: [] },
  )
  fc.assert(
    fc.property(values, (values) => {
      const first = write(TOY, values)
      return write(TOY, readAttributes(unhex(first), TOY)) === first
    }),
  )
  t.pass()
})
