import fc from 'fast-check'
import { test } from 'tap'
import { ByteWriter } from './byte-writer.ts'
import { type Message, readMessages, writeMessage } from './message.ts'

const unhex = (text: string) => Uint8Array.from(Buffer.from(text.replaceAll(/\s/g, ''), 'hex'))

test('writeMessage pads the payload and does not count the padding', async (t) => {
  const writer = new ByteWriter()
  writeMessage(writer, { type: 18, flags: 0x305, seq: 7, payload: unhex('aabbcc') })
  writeMessage(writer, { type: 3, flags: 2, seq: 8, payload: unhex('') })
  const rows = '13000000 1200 0503 07000000 00000000 aabbcc 00' + '10000000 0300 0200 08000000 00000000'
  t.equal(Buffer.from(writer.finish()).toString('hex'), rows.replaceAll(' ', ''))
})

test('readMessages splits a datagram', async (t) => {
  const first = '13000000 1200 0503 07000000 2a000000 aabbcc 00'
  const second = '10000000 0300 0200 08000000 00000000'
  t.same(
    [...readMessages(unhex(first + second))],
    [
      { type: 18, flags: 0x305, seq: 7, port: 42, payload: unhex('aabbcc') },
      { type: 3, flags: 2, seq: 8, port: 0, payload: unhex('') },
    ],
  )
  t.equal([...readMessages(unhex(first).subarray(0, 19))].length, 1, 'the last may lack its padding')
  t.equal([...readMessages(unhex(''))].length, 0, 'nothing')
})

const MALFORMED: readonly (readonly [name: string, rows: string])[] = [
  ['a length beyond the end', '14000000 1200 0503 07000000 00000000'],
  ['a length shorter than a header', '0f000000 1200 0503 07000000 00000000'],
  ['a length of zero', '00000000 1200 0503 07000000 00000000'],
  ['less than a header', '10000000 1200'],
  ['less than a header after a message', '10000000 1200 0503 07000000 00000000 10000000'],
  ['a length beyond 31 bits', 'f0ffffff 1200 0503 07000000 00000000'],
]

test('readMessages refuses lengths that do not fit', async (t) => {
  for (const [name, rows] of MALFORMED) t.throws(() => [...readMessages(unhex(rows))], RangeError, name)
})

test('messages are the same after writing and reading', async (t) => {
  const message: fc.Arbitrary<Omit<Message, 'port'>> = fc.record({
    type: fc.integer({ min: 0, max: 0xffff }),
    flags: fc.integer({ min: 0, max: 0xffff }),
    seq: fc.integer({ min: 0, max: 0xffffffff }),
    payload: fc.uint8Array({ maxLength: 600 }),
  })
  fc.assert(
    fc.property(fc.array(message, { maxLength: 5 }), (messages) => {
      const writer = new ByteWriter()
      for (const one of messages) writeMessage(writer, one)
      const read = [...readMessages(writer.finish())]
      return (
        read.length === messages.length &&
        read.every((one, i) => {
          const given = messages[i]
          return (
            given?.seq === one.seq &&
            given.type === one.type &&
            Buffer.from(given.payload).equals(one.payload)
          )
        })
      )
    }),
  )
  t.pass()
})
