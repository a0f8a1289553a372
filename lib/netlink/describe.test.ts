import { test } from 'tap'
import {
  type AttributeTable,
  attributeTable,
  nested,
  nestedMessage,
  repeated,
  selected,
} from './attributes.ts'
import { bytes, string, struct, u16, u32 } from './codecs.ts'
import { attributePathAt, formatMessage, formatPayload } from './describe.ts'
import { type MessageKind, request } from './request.ts'

const toymsg = struct('toymsg', [
  ['toy_id', u16],
  ['toy_more', u32],
])
const toypeer = struct('toypeer', [['toy_id', u32]])
const TOY_CAT = attributeTable({
  TOY_CAT_NAME: [1, string],
  TOY_CAT_LIVES: [2, u32],
  TOY_CAT_PEER: [3, nestedMessage(toypeer, (): AttributeTable => TOY)],
})
const TOY = attributeTable({
  TOY_NAME: [1, string],
  TOY_DATA: [2, selected<object>('TOY_NAME', () => ({ cat: nested(() => TOY_CAT) }))],
  TOY_LIST: [3, repeated(nested(() => TOY_CAT))],
  TOY_RAW: [4, bytes],
})
const TOY_NEW = { name: 'TOY_NEW', type: 100, header: toymsg, attributes: TOY } as unknown as MessageKind

const unhex = (text: string) => Uint8Array.from(Buffer.from(text.replaceAll(' ', ''), 'hex'))

// A message by rows, each with its offset from the start of the netlink header, and what is there.
const ROWS: readonly (readonly [hex: string, path: string | undefined])[] = [
  ['0700 01000000 0000', undefined], // struct toymsg, padded
  ['0800 0100 63617400', 'TOY_NAME'],
  ['2c00 0280', 'TOY_DATA'],
  ['0800 0100 746f6d00', 'TOY_DATA.TOY_CAT_NAME'],
  ['0800 0200 09000000', 'TOY_DATA.TOY_CAT_LIVES'],
  ['1800 0380', 'TOY_DATA.TOY_CAT_PEER'],
  ['00000000', 'TOY_DATA.TOY_CAT_PEER'], // its header: nothing more exact can be said
  ['0800 0100 63617400', 'TOY_DATA.TOY_CAT_PEER.TOY_NAME'],
  ['0600 0400 aabb 0000', 'TOY_DATA.TOY_CAT_PEER.TOY_RAW'],
  ['0800 0900 00000000', '#9'],
]

test('attributePathAt names what an offset points at', async (t) => {
  const payload = unhex(ROWS.map(([hex]) => hex).join(''))
  let offset = 16
  for (const [hex, path] of ROWS) {
    if (path !== undefined) t.equal(attributePathAt(TOY_NEW, payload, offset), path, `offset ${offset}`)
    offset += unhex(hex).length
  }
  t.equal(attributePathAt(TOY_NEW, payload, 0), undefined, 'the netlink header')
  t.equal(attributePathAt(TOY_NEW, payload, 16), undefined, 'the header of the message')
  t.equal(attributePathAt(TOY_NEW, payload, offset), undefined, 'the end')
})

const FLAGS: readonly (readonly [kind: string, flags: number, words: string])[] = [
  ['TOY_NEW', 0x605, 'TOY_NEW excl,create,ack'],
  ['TOY_NEW', 0x905, 'TOY_NEW replace,append,ack'],
  ['TOY_GET', 0x301, 'TOY_GET dump'],
  ['TOY_DEL', 0x305, 'TOY_DEL nonrec,bulk,ack'],
  ['TOY_SET', 0x305, 'TOY_SET ack'],
  ['TOY_NEW', 0x012, 'TOY_NEW multi,interrupted'],
  ['TOY_GET', 0x008, 'TOY_GET echo'],
]

test('formatMessage names flags by the verb', async (t) => {
  for (const [name, flags, words] of FLAGS)
    t.equal(formatMessage({ ...TOY_NEW, name }, flags, new Uint8Array(8)), words)
})

test('formatMessage names attributes inside attributes', async (t) => {
  const peer = { header: { toy_id: 8 }, attributes: { TOY_NAME: 'x' } }
  const { payload } = request(TOY_NEW, {
    header: { toy_id: 7 },
    attributes: {
      TOY_NAME: 'cat',
      TOY_DATA: { TOY_CAT_LIVES: 9, TOY_CAT_PEER: peer },
      TOY_LIST: [{}, { TOY_CAT_NAME: 'a "b"' }],
      TOY_RAW: Uint8Array.of(1, 0xff),
      unknown: [
        { type: 0x8009, data: new Uint8Array(0) },
        { type: 10, data: new Uint8Array(17) },
      ],
    } as object,
    operation: '',
  })
  t.equal(
    formatPayload(TOY_NEW, payload),
    'TOY_NEW toy_id 7 TOY_NAME "cat" TOY_LIST [{}, { TOY_CAT_NAME "a \\"b\\"" }] TOY_RAW 01ff ' +
      'TOY_DATA { TOY_CAT_LIVES 9 TOY_CAT_PEER { toy_id 8 TOY_NAME "x" } } #9 - #10 (17 bytes)',
  )
})

test('formatMessage shows what it cannot read as bytes, formatPayload refuses it', async (t) => {
  const broken = unhex('0700 00000000 0000 0900 0100 63')
  t.equal(
    formatMessage(TOY_NEW, 0, broken),
    'TOY_NEW unreadable (attribute of 9 bytes at offset 0 of 5) 07000000000000000900010063',
  )
  t.throws(() => formatPayload(TOY_NEW, broken), RangeError)
})
