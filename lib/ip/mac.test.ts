import fc from 'fast-check'
import { test } from 'tap'
import { IpAddress } from './address.ts'
import { macForAddress, macFromBytes, macFromRandom, macToBytes, parseMac } from './mac.ts'

const PARSE: readonly (readonly [text: string, printed: string | undefined])[] = [
  ['0a:58:0a:01:00:05', '0a:58:0a:01:00:05'],
  ['0A:58:0A:01:00:05', '0a:58:0a:01:00:05'],
  ['0a-58-0a-01-00-05', '0a:58:0a:01:00:05'],
  ['0a58.0a01.0005', '0a:58:0a:01:00:05'],
  ['0a:58:0a:01:00', undefined],
  ['0a:58:0a:01:00:05:06', undefined],
  ['0a:58:0a:01:00:05:06:07', undefined],
  ['0a:58-0a:01:00:05', undefined],
  ['0a580a010005', undefined],
  ['a:58:0a:01:00:05', undefined],
  ['0g:58:0a:01:00:05', undefined],
  ['0a58.0a01', undefined],
  [' 0a:58:0a:01:00:05', undefined],
  ['', undefined],
]

test('parseMac takes the three usual forms of six octets', async (t) => {
  for (const [text, printed] of PARSE) {
    if (printed !== undefined) t.equal(parseMac(text), printed, text)
    else t.throws(() => parseMac(text), { message: `invalid MAC address ${JSON.stringify(text)}` }, text)
  }
})

test('macForAddress is 0a:58 and the address, or a digest of it when it is IPv6', async (t) => {
  const mac = (text: string) => macForAddress(IpAddress.parse(text))
  t.equal(mac('10.1.0.5'), '0a:58:0a:01:00:05')
  t.match(mac('fd00::1:2:3:4'), /^0a:58(:[0-9a-f]{2}){4}$/)
  t.equal(mac('fd00::1:2:3:4'), mac('fd00::1:2:3:4'))
  t.not(mac('fd00:1::2'), mac('fd00:2::2'), 'two subnets may number their pods alike')
})

test('macFromRandom makes a locally administered unicast address of any octets', async (t) => {
  t.equal(macFromRandom(Uint8Array.of(0xff, 1, 2, 3, 4, 5)), 'fe:01:02:03:04:05')
  t.equal(macFromRandom(Uint8Array.of(0x00, 1, 2, 3, 4, 5)), '02:01:02:03:04:05')
})

test('macFromBytes comes back through macToBytes and refuses other lengths', async (t) => {
  const octets = fc.uint8Array({ minLength: 6, maxLength: 6 })
  fc.assert(fc.property(octets, (bytes) => Buffer.compare(macToBytes(macFromBytes(bytes)), bytes) === 0))
  for (const length of [0, 5, 7, 8]) t.throws(() => macFromBytes(new Uint8Array(length)), RangeError)
})
