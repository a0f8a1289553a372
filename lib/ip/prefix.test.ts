import fc from 'fast-check'
import { IPv4CidrRange, IPv6CidrRange } from 'ip-num'
import { test } from 'tap'
import { IpAddress } from './address.ts'
import { Prefix } from './prefix.ts'

const PARSE: readonly (readonly [text: string, printed: string | undefined, why: string])[] = [
  ['10.1.0.5/24', '10.1.0.5/24', 'the address is kept'],
  ['0.0.0.0/0', '0.0.0.0/0', 'everything'],
  ['10.1.0.5/32', '10.1.0.5/32', 'one address'],
  ['fd00::5/64', 'fd00::5/64', 'IPv6'],
  ['::/0', '::/0', 'everything, IPv6'],
  ['::1/128', '::1/128', 'one address, IPv6'],
  ['FD00:0::5/64', 'fd00::5/64', 'written otherwise'],
  ['10.1.0.5', undefined, 'no length'],
  ['10.1.0.5/', undefined, 'empty length'],
  ['/24', undefined, 'empty address'],
  ['10.1.0.5/33', undefined, 'too long'],
  ['::/129', undefined, 'too long, IPv6'],
  ['10.1.0.5/-1', undefined, 'negative'],
  ['10.1.0.5/+1', undefined, 'sign'],
  ['10.1.0.5/024', undefined, 'leading zero (net.ParseCIDR takes it, netip.ParsePrefix does not)'],
  ['10.1.0.5/2 4', undefined, 'space'],
  ['10.1.0.5/24/24', undefined, 'two lengths'],
  ['10.1.0.5/255.255.255.0', undefined, 'mask'],
  ['10.1.0/24', undefined, 'short address'],
  ['fe80::1%eth0/64', undefined, 'zone'],
  ['::ffff:10.1.0.5/120', undefined, 'IPv4-mapped: the length counts other bits than the address has'],
  ['::ffff:10.1.0.5/24', undefined, 'IPv4-mapped with a length that would fit'],
]

test('Prefix.parse takes address/length and nothing else', async (t) => {
  for (const [text, printed, why] of PARSE) {
    if (printed !== undefined) t.equal(String(Prefix.parse(text)), printed, `${why}: ${text}`)
    else t.throws(() => Prefix.parse(text), { message: `invalid CIDR address "${text}"`, subject: text }, why)
  }
})

test('Prefix.of refuses lengths that the family does not have', async (t) => {
  const address = IpAddress.parse('10.0.0.0')
  for (const length of [-1, 33, 1.5, Number.NaN])
    t.throws(() => Prefix.of(address, length), RangeError, `/${length}`)
  t.equal(String(Prefix.host(address)), '10.0.0.0/32')
  t.equal(String(Prefix.host(IpAddress.parse('::'))), '::/128')
})

const BOUNDS: readonly (readonly [text: string, first: string, last: string, hasHostBits: boolean])[] = [
  ['10.1.0.5/24', '10.1.0.0', '10.1.0.255', true],
  ['10.1.0.0/24', '10.1.0.0', '10.1.0.255', false],
  ['10.1.0.5/31', '10.1.0.4', '10.1.0.5', true],
  ['10.1.0.5/32', '10.1.0.5', '10.1.0.5', false],
  ['200.1.0.5/0', '0.0.0.0', '255.255.255.255', true],
  ['fd00::5/64', 'fd00::', 'fd00::ffff:ffff:ffff:ffff', true],
  ['fd00::/8', 'fd00::', 'fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff', false],
  ['::1/128', '::1', '::1', false],
]

test('Prefix knows its first and last address and its host bits', async (t) => {
  for (const [text, first, last, hasHostBits] of BOUNDS) {
    const prefix = Prefix.parse(text)
    t.equal(String(prefix.first()), first, `first of ${text}`)
    t.equal(String(prefix.last()), last, `last of ${text}`)
    t.equal(prefix.hasHostBits(), hasHostBits, `host bits of ${text}`)
    t.equal(String(prefix.masked()), `${first}/${prefix.length}`, `masked ${text}`)
  }
})

const CONTAINS: readonly (readonly [prefix: string, address: string, contains: boolean])[] = [
  ['10.1.0.5/24', '10.1.0.0', true],
  ['10.1.0.5/24', '10.1.0.255', true],
  ['10.1.0.5/24', '10.1.1.0', false],
  ['0.0.0.0/0', '255.1.2.3', true],
  ['::/0', '10.1.0.1', false],
  ['0.0.0.0/0', '::', false],
  ['fd00::/64', 'fd00::1:0:0:0', true],
  ['fd00::/64', 'fd00:0:0:1::', false],
]

test('Prefix.contains looks at the network part and the family', async (t) => {
  for (const [prefix, address, contains] of CONTAINS) {
    t.equal(Prefix.parse(prefix).contains(IpAddress.parse(address)), contains, `${prefix} ${address}`)
  }
})

const OVERLAPS: readonly (readonly [a: string, b: string, overlaps: boolean])[] = [
  ['10.0.0.0/8', '10.1.0.0/16', true],
  ['10.1.0.9/24', '10.1.0.1/24', true],
  ['10.1.0.0/24', '10.1.1.0/24', false],
  ['10.1.0.0/32', '10.1.0.0/32', true],
  ['::/0', '0.0.0.0/0', false],
  ['fd00::/64', 'fd00::/48', true],
]

test('Prefix.overlaps is the same both ways', async (t) => {
  for (const [a, b, overlaps] of OVERLAPS) {
    t.equal(Prefix.parse(a).overlaps(Prefix.parse(b)), overlaps, `${a} ${b}`)
    t.equal(Prefix.parse(b).overlaps(Prefix.parse(a)), overlaps, `${b} ${a}`)
  }
})

test('Prefix.equals compares address and length', async (t) => {
  const a = Prefix.parse('10.1.0.5/24')
  t.ok(a.equals(Prefix.parse('10.1.0.5/24')))
  t.notOk(a.equals(Prefix.parse('10.1.0.6/24')))
  t.notOk(a.equals(Prefix.parse('10.1.0.5/25')))
  t.ok(a.masked().equals(Prefix.parse('10.1.0.6/24').masked()))
})

test('Prefix and ip-num agree on the bounds of every IPv4 prefix', async (t) => {
  const prefix = fc.record({
    value: fc.bigInt({ min: 0n, max: 0xffff_ffffn }),
    length: fc.integer({ min: 0, max: 32 }),
  })
  fc.assert(
    fc.property(prefix, ({ value, length }) => {
      const ours = Prefix.of(IpAddress.of(4, value), length)
      const theirs = IPv4CidrRange.fromCidr(String(ours))
      return ours.first().value === theirs.getFirst().value && ours.last().value === theirs.getLast().value
    }),
  )
  t.pass()
})

test('Prefix and ip-num agree on the bounds of every IPv6 prefix', async (t) => {
  const prefix = fc.record({
    // its pattern for prefixes knows no embedded IPv4
    value: fc.bigInt({ min: 1n << 64n, max: (1n << 128n) - 1n }),
    length: fc.integer({ min: 0, max: 128 }),
  })
  fc.assert(
    fc.property(prefix, ({ value, length }) => {
      const ours = Prefix.of(IpAddress.of(6, value), length)
      const theirs = IPv6CidrRange.fromCidr(String(ours))
      return ours.first().value === theirs.getFirst().value && ours.last().value === theirs.getLast().value
    }),
  )
  t.pass()
})
