import fc from 'fast-check'
import { IPv4, IPv6 } from 'ip-num'
import { test } from 'tap'
import { AddressError, IpAddress } from './address.ts'

// Text → how Go's net.ParseIP(text).String() prints it; undefined where ParseIP gives nil (go1.22, net/netip).
const PARSE: readonly (readonly [text: string, printed: string | undefined, why: string])[] = [
  ['10.0.0.1', '10.0.0.1', 'plain IPv4'],
  ['0.0.0.0', '0.0.0.0', 'lowest IPv4'],
  ['255.255.255.255', '255.255.255.255', 'highest IPv4'],
  ['256.0.0.1', undefined, 'octet above 255'],
  ['10.0.0.01', undefined, 'leading zero'],
  ['00.0.0.0', undefined, 'two zeros'],
  ['10.0.0', undefined, 'three octets'],
  ['10.0.0.1.2', undefined, 'five octets'],
  ['10..0.1', undefined, 'empty octet'],
  ['10.0.0.', undefined, 'trailing dot'],
  ['.10.0.0', undefined, 'leading dot'],
  ['0x10.0.0.1', undefined, 'hexadecimal octet'],
  ['1e1.0.0.1', undefined, 'exponent'],
  ['+1.0.0.1', undefined, 'sign'],
  ['-1.0.0.1', undefined, 'negative octet'],
  ['1000.0.0.1', undefined, 'four digits'],
  [' 10.0.0.1', undefined, 'space before'],
  ['10.0.0.1 ', undefined, 'space after'],
  ['10.0.0.1\n', undefined, 'line feed after'],
  ['10.0.0.1/24', undefined, 'prefix'],
  ['١.0.0.1', undefined, 'digit that is not ASCII'],
  ['', undefined, 'nothing'],
  ['localhost', undefined, 'name'],
  ['167772161', undefined, 'number'],
  ['::', '::', 'all zero'],
  ['::1', '::1', 'loopback'],
  ['1::', '1::', 'zeros at the end'],
  ['2001:db8::1', '2001:db8::1', 'documentation'],
  ['2001:DB8::A', '2001:db8::a', 'upper case'],
  ['2001:0db8:0000:0000:0000:0000:0000:0001', '2001:db8::1', 'full form'],
  ['1:2:3:4:5:6:7:8', '1:2:3:4:5:6:7:8', 'eight groups'],
  ['1:2:3:4:5:6:7::', '1:2:3:4:5:6:7:0', ':: for one group'],
  ['::2:3:4:5:6:7:8', '0:2:3:4:5:6:7:8', ':: for one group in front'],
  ['1:2:3:4:5:6:7:8::', undefined, ':: for no group'],
  ['::1:2:3:4:5:6:7:8', undefined, ':: for no group in front'],
  ['1:2:3:4:5:6:7', undefined, 'seven groups'],
  ['1:2:3:4:5:6:7:8:9', undefined, 'nine groups'],
  ['1::2::3', undefined, ':: twice'],
  [':::', undefined, 'three colons'],
  [':', undefined, 'one colon'],
  ['1:', undefined, 'trailing colon'],
  [':1', undefined, 'leading colon'],
  ['::00001', undefined, 'five digits'],
  ['::g', undefined, 'no hexadecimal digit'],
  ['fe80::1%eth0', undefined, 'zone'],
  ['fe80::1%', undefined, 'empty zone'],
  ['::ffff:10.0.0.1', '10.0.0.1', 'IPv4-mapped'],
  ['::FFFF:0a00:0001', '10.0.0.1', 'IPv4-mapped in hexadecimal'],
  ['0:0:0:0:0:ffff:10.0.0.1', '10.0.0.1', 'IPv4-mapped in full'],
  ['::10.0.0.1', '::a00:1', 'IPv4-compatible is IPv6'],
  ['64:ff9b::10.0.0.1', '64:ff9b::a00:1', 'NAT64'],
  ['1:2:3:4:5:6:10.0.0.1', '1:2:3:4:5:6:a00:1', 'IPv4 in the last two of eight groups'],
  ['1:2:3:4:5:6:7:10.0.0.1', undefined, 'IPv4 too late'],
  ['10.0.0.1::', undefined, 'IPv4 in front'],
  ['::10.0.0.1:1', undefined, 'IPv4 in the middle'],
  ['::ffff:10.0.0.01', undefined, 'leading zero in embedded IPv4'],
  ['::ffff:10.0.0', undefined, 'short embedded IPv4'],
  ['[::1]', undefined, 'brackets'],
]

test('IpAddress.parse takes and refuses what net.ParseIP does', async (t) => {
  for (const [text, printed, why] of PARSE) {
    if (printed !== undefined) t.equal(String(IpAddress.parse(text)), printed, `${why}: ${text}`)
    else t.throws(() => IpAddress.parse(text), { code: 'EINVALIDADDRESS', subject: text }, `${why}: ${text}`)
  }
})

test('AddressError quotes the text so that white space is seen', async (t) => {
  t.equal(new AddressError('IP address', '10.0.0.1 ').message, 'invalid IP address "10.0.0.1 "')
})

// RFC 5952 section 4: groups → text
const RFC5952: readonly (readonly [groups: string, text: string, why: string])[] = [
  ['2001:db8:0:0:0:0:2:1', '2001:db8::2:1', '4.2.1 shorten as much as possible'],
  ['2001:db8:0:1:1:1:1:1', '2001:db8:0:1:1:1:1:1', '4.2.2 never one group'],
  ['2001:0:0:1:0:0:0:1', '2001:0:0:1::1', '4.2.3 the longest run'],
  ['2001:db8:0:0:1:0:0:1', '2001:db8::1:0:0:1', '4.2.3 the first of equal runs'],
  ['0001:000a:00ab:0abc:abcd:0:0:0', '1:a:ab:abc:abcd::', '4.1 no leading zeros'],
  ['ABCD:EF:0:0:0:0:0:0', 'abcd:ef::', '4.3 lower case'],
  ['0:0:0:0:0:0:0:0', '::', 'all zero'],
  ['0:0:0:0:0:0:1:0', '::1:0', 'run at the start'],
  ['1:0:0:0:0:0:0:0', '1::', 'run at the end'],
  ['0:1:0:1:0:1:0:1', '0:1:0:1:0:1:0:1', 'no run'],
]

test('IpAddress.toString writes IPv6 after RFC 5952', async (t) => {
  for (const [groups, text, why] of RFC5952) t.equal(String(IpAddress.parse(groups)), text, why)
  t.equal(String(IpAddress.of(6, 0xffff_0a00_0001n)), '::ffff:10.0.0.1', '5 mapped address of family 6')
})

test('IpAddress.of and plus refuse what the family does not hold', async (t) => {
  t.equal(String(IpAddress.of(4, 0xffff_ffffn)), '255.255.255.255')
  t.throws(() => IpAddress.of(4, 1n << 32n), RangeError)
  t.throws(() => IpAddress.of(6, 1n << 128n), RangeError)
  t.throws(() => IpAddress.of(6, -1n), RangeError)
  t.equal(String(IpAddress.parse('10.0.0.255').plus(1n)), '10.0.1.0')
  t.equal(String(IpAddress.parse('fd00::').plus(-1n)), 'fcff:ffff:ffff:ffff:ffff:ffff:ffff:ffff')
  t.throws(() => IpAddress.parse('255.255.255.255').plus(1n), RangeError)
  t.throws(() => IpAddress.parse('::').plus(-1n), RangeError)
})

test('IpAddress.compare orders by number, IPv4 before IPv6', async (t) => {
  const sorted = ['0.0.0.0', '10.0.0.9', '10.0.0.10', '255.255.255.255', '::', '::1', 'fd00::']
  const addresses = sorted.map((text) => IpAddress.parse(text))
  t.same(
    [...addresses]
      .reverse()
      .sort((a, b) => a.compare(b))
      .map(String),
    sorted,
  )
  t.ok(IpAddress.parse('::A').equals(IpAddress.parse('0::a')))
  t.notOk(IpAddress.of(4, 1n).equals(IpAddress.of(6, 1n)))
})

test('IpAddress.fromBytes takes 4 or 16 bytes in network order', async (t) => {
  t.equal(String(IpAddress.fromBytes(Uint8Array.of(10, 1, 2, 3))), '10.1.2.3')
  t.same([...IpAddress.parse('fd00::102').toBytes()], [0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 2])
  for (const length of [0, 3, 5, 8, 15, 17]) {
    t.throws(() => IpAddress.fromBytes(new Uint8Array(length)), RangeError, `${length} bytes`)
  }
})

const ipv4 = fc.bigInt({ min: 0n, max: 0xffff_ffffn })
/** Half of them with runs of zero groups, which chance alone hardly makes. */
const ipv6 = fc
  .array(fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 0xffff })), { minLength: 8, maxLength: 8 })
  .map((groups) => groups.reduce((value, group) => (value << 16n) | BigInt(group), 0n))

test('IpAddress and ip-num agree on every IPv4 address', async (t) => {
  fc.assert(
    fc.property(ipv4, (value) => {
      const text = String(IpAddress.of(4, value))
      return text === new IPv4(value).toString() && IpAddress.parse(text).value === value
    }),
  )
  t.pass()
})

test('IpAddress and ip-num agree on every IPv6 address', async (t) => {
  fc.assert(
    fc.property(ipv6, (value) => {
      const ours = IpAddress.of(6, value)
      const full = new IPv6(value).toString() // as eight groups
      const mapped = value >> 32n === 0xffffn
      return new IPv6(String(ours)).value === value && (mapped || IpAddress.parse(full).equals(ours))
    }),
  )
  t.pass()
})

test('IpAddress comes back from its text and from its bytes', async (t) => {
  const address = fc.oneof(
    ipv4.map((value) => IpAddress.of(4, value)),
    ipv6.filter((value) => value >> 32n !== 0xffffn).map((value) => IpAddress.of(6, value)),
  )
  fc.assert(
    fc.property(
      address,
      (a) => IpAddress.parse(String(a)).equals(a) && IpAddress.fromBytes(a.toBytes()).equals(a),
    ),
  )
  t.pass()
})

test('IpAddress.parse throws nothing but AddressError, and accepts nothing that ip-num refuses', async (t) => {
  const text = fc.string({ unit: fc.constantFrom(...'0123456789abcfF.:%/x '), maxLength: 40 })
  fc.assert(
    fc.property(text, (text) => {
      try {
        IpAddress.parse(text)
      } catch (error) {
        return error instanceof AddressError
      }
      return text.includes(':') ? new IPv6(text) !== undefined : new IPv4(text) !== undefined
    }),
    { numRuns: 2000 },
  )
  t.pass()
})
