// Cases follow upstream's range_test.go, range_set_test.go and config_test.go.

import { test } from 'tap'

import { IpAddress } from '../ip/address.ts'
import { capacityOf, findAllocatable, parseRange, type RangeSource } from './range.ts'
import { findRange, formatRangeSet, parseRangeSets, type RangesSource } from './range-set.ts'
import { formatSpan, spansOverlap } from './span.ts'

test('parseRange fills in what is left out', async (t) => {
  for (const [source, span, gateway] of [
    [{ subnet: '192.0.2.0/24' }, '192.0.2.1-192.0.2.254', '192.0.2.1'],
    [{ subnet: '192.0.2.0/25' }, '192.0.2.1-192.0.2.126', '192.0.2.1'],
    [{ subnet: '192.0.2.0/30' }, '192.0.2.1-192.0.2.2', '192.0.2.1'],
    [{ subnet: '2001:DB8:1::/64' }, '2001:db8:1::1-2001:db8:1:0:ffff:ffff:ffff:ffff', '2001:db8:1::1'],
    [{ subnet: '2001:db8:1::/126' }, '2001:db8:1::1-2001:db8:1::3', '2001:db8:1::1'],
    [{ subnet: '192.0.2.0/24', gateway: '192.0.2.254' }, '192.0.2.1-192.0.2.254', '192.0.2.254'],
    [
      { subnet: '192.0.2.0/24', rangeStart: '', rangeEnd: '', gateway: '' },
      '192.0.2.1-192.0.2.254',
      '192.0.2.1',
    ],
    [
      { subnet: '192.0.2.0/24', rangeStart: '192.0.2.40', rangeEnd: '192.0.2.50' },
      '192.0.2.40-192.0.2.50',
      '192.0.2.1',
    ],
    [
      { subnet: '192.0.2.0/24', rangeStart: '192.0.2.0', rangeEnd: '192.0.2.255' },
      '192.0.2.0-192.0.2.255',
      '192.0.2.1',
    ],
    [{ subnet: '192.0.2.0/24', gateway: '10.9.9.9' }, '192.0.2.1-192.0.2.254', '10.9.9.9'],
  ] as const) {
    const range = parseRange(source)
    t.equal(formatSpan(range), span, JSON.stringify(source))
    t.equal(String(range.gateway), gateway, JSON.stringify(source))
  }
})

test('parseRange uses all of a subnet of one or two addresses', async (t) => {
  for (const [subnet, span] of [
    ['192.0.2.4/31', '192.0.2.4-192.0.2.5'],
    ['192.0.2.4/32', '192.0.2.4-192.0.2.4'],
    ['fd00::4/127', 'fd00::4-fd00::5'],
    ['fd00::4/128', 'fd00::4-fd00::4'],
    ['255.255.255.255/32', '255.255.255.255-255.255.255.255'],
  ] as const) {
    const range = parseRange({ subnet })
    t.equal(formatSpan(range), span)
    t.equal(range.gateway, undefined, 'none is assumed')
  }
  t.equal(String(parseRange({ subnet: '192.0.2.4/31', gateway: '192.0.2.4' }).gateway), '192.0.2.4')
})

test('parseRange refuses', async (t) => {
  const hostBits = 'Network has host bits set. For a subnet mask of length'
  for (const [source, message] of [
    [{}, 'a range has no subnet'],
    [{ subnet: '192.0.2.12/24' }, `${hostBits} 24 the network address is 192.0.2.0`],
    [{ subnet: '2001:db8:1::24:19ff:fee1:c44a/64' }, `${hostBits} 64 the network address is 2001:db8:1::`],
    [{ subnet: '192.0.2.0' }, 'subnet: invalid CIDR address "192.0.2.0"'],
    [{ subnet: '192.0.2.0/24', rangeStart: '192.0.3.5' }, 'RangeStart 192.0.3.5 not in network 192.0.2.0/24'],
    [{ subnet: '192.0.2.0/24', rangeEnd: '192.0.4.5' }, 'RangeEnd 192.0.4.5 not in network 192.0.2.0/24'],
    [{ subnet: '192.0.2.0/24', rangeStart: 'fd00::1' }, 'RangeStart fd00::1 not in network 192.0.2.0/24'],
    [
      { subnet: '192.0.2.0/24', rangeStart: '192.0.2.50', rangeEnd: '192.0.2.40' },
      'RangeStart 192.0.2.50 not in network 192.0.2.0/24',
    ],
    [{ subnet: '192.0.2.0/24', gateway: 'x' }, 'gateway: invalid IP address "x"'],
    [{ subnet: '192.0.2.0/24', exclude: ['x'] }, 'exclude: invalid IP address "x"'],
    [
      { subnet: '192.0.2.0/24', exclude: ['192.0.2.9-192.0.2.8'] },
      'exclude: 192.0.2.9-192.0.2.8 is no range of addresses',
    ],
    [{ subnet: '192.0.2.0/24', exclude: ['10.0.0.0/8'] }, 'exclude 10.0.0.0/8 not in network 192.0.2.0/24'],
  ] as [RangeSource, string][]) {
    t.throws(() => parseRange(source), { code: 'EINVALIDRANGE', message })
  }
})

test('ranges overlap as upstream has it', async (t) => {
  const range = (subnet: string, rangeStart = '', rangeEnd = '') =>
    parseRange({ subnet, rangeStart, rangeEnd })
  for (const [name, a, b, expected] of [
    ['non-overlapping', range('10.1.0.0/24'), range('10.2.0.0/24'), false],
    ['different families', range('10.1.0.0/24'), range('fd00::/64'), false],
    ['identical', range('10.1.0.0/24'), range('10.1.0.0/24'), true],
    ['containing', range('10.1.0.0/20'), range('10.1.1.0/24'), true],
    ['same subnet, apart', range('10.1.0.0/24', '', '10.1.0.127'), range('10.1.0.0/24', '10.1.0.128'), false],
    [
      'same subnet, touching',
      range('10.1.0.0/24', '', '10.1.0.128'),
      range('10.1.0.0/24', '10.1.0.128'),
      true,
    ],
  ] as const) {
    t.equal(spansOverlap(a, b), expected, name)
    t.equal(spansOverlap(b, a), expected, `${name}, the other way round`)
  }
})

test('parseRangeSets takes runtime ranges, the flat form and ranges, in this order', async (t) => {
  const sets = parseRangeSets({
    subnet: '10.1.2.0/24',
    rangeStart: '10.1.2.9',
    rangeEnd: '10.1.2.20',
    runtimeRanges: [[{ subnet: 'fd00:1::/126' }]],
    ranges: [[{ subnet: '10.3.0.0/30' }, { subnet: '10.4.0.0/30' }], [{ subnet: '11.1.0.0/29' }]],
  })
  t.same(sets.map(formatRangeSet), [
    'fd00:1::1-fd00:1::3',
    '10.1.2.9-10.1.2.20',
    '10.3.0.1-10.3.0.2,10.4.0.1-10.4.0.2',
    '11.1.0.1-11.1.0.6',
  ])
})

test('parseRangeSets refuses', async (t) => {
  const v4 = { subnet: '10.1.0.0/24' }
  for (const [source, code, message] of [
    [{}, 'ENORANGES', 'no IP ranges specified'],
    [{ ranges: [] }, 'ENORANGES', 'no IP ranges specified'],
    [{ ranges: [[]] }, 'EINVALIDRANGE', 'invalid range set 0: empty range set'],
    [
      { ranges: [[v4, { subnet: 'fd00::/64' }]] },
      'EINVALIDRANGE',
      'invalid range set 0: mixed address families',
    ],
    [
      { ranges: [[{ subnet: 'fd00::/64' }], [{}]] },
      'EINVALIDRANGE',
      'invalid range set 1: a range has no subnet',
    ],
    [
      { ranges: [[v4, { subnet: '10.1.0.128/25' }]] },
      'EOVERLAP',
      'invalid range set 0: subnets 10.1.0.1-10.1.0.254 and 10.1.0.129-10.1.0.254 overlap',
    ],
    [{ ranges: [Array.from({ length: 1025 }, () => v4)] }, 'EINVALIDRANGE', 'more than 1024 IP ranges'],
    [{ ranges: Array.from({ length: 1025 }, () => [v4]) }, 'EINVALIDRANGE', 'more than 1024 IP ranges'],
    [{ ...v4, ranges: [[{ subnet: 'fd00::/64' }], [v4]] }, 'EOVERLAP', 'range set 0 overlaps with 2'],
    [
      { ...v4, ranges: [[{ subnet: '10.2.0.0/24' }]], oneAddressPerFamily: '0.2.0' },
      'EONEPERFAMILY',
      'CNI version 0.2.0 does not support more than 1 address per family',
    ],
    [{ ...v4, exclude: ['10.2.0.1'] }, 'EINVALIDRANGE', 'exclude 10.2.0.1 not in network 10.1.0.0/24'],
  ] as [RangesSource, string, string][]) {
    t.throws(() => parseRangeSets(source), { code, message })
  }
})

test('parseRangeSets allows one address of each family at 0.2.0', async (t) => {
  const source = { subnet: '10.1.0.0/24', ranges: [[{ subnet: 'fd00::/64' }]], oneAddressPerFamily: '0.2.0' }
  t.equal(parseRangeSets(source).length, 2)
})

test('parseRangeSets reserves gateways and exclusions', async (t) => {
  const [first = [], second = []] = parseRangeSets({
    exclude: ['10.1.0.4-10.1.0.5', 'fd00::8/125'],
    ranges: [
      [
        {
          subnet: '10.1.0.0/24',
          rangeStart: '10.1.0.1',
          rangeEnd: '10.1.0.9',
          exclude: ['10.1.0.6', '10.1.0.200'],
        },
        { subnet: '10.1.0.0/24', rangeStart: '10.1.0.20', rangeEnd: '10.1.0.29', gateway: '10.1.0.9' },
      ],
      [{ subnet: 'fd00::/120' }],
    ],
  })
  const reserved = [...first, ...second].map((range) => range.reserved.map(formatSpan).join(' '))
  t.same(reserved, [
    '10.1.0.1-10.1.0.1 10.1.0.4-10.1.0.6 10.1.0.9-10.1.0.9',
    '',
    'fd00::1-fd00::1 fd00::8-fd00::f',
  ])
  t.same([...first, ...second].map(capacityOf), [4n, 10n, 255n - 9n])
})

test('findAllocatable steps over what is reserved', async (t) => {
  const [set = []] = parseRangeSets({
    subnet: '10.1.0.0/28',
    exclude: ['10.1.0.2', '10.1.0.4-10.1.0.5', '10.1.0.13-10.1.0.14'],
  })
  const [range] = set
  for (const [from, expected] of [
    ['10.1.0.1', '10.1.0.3'],
    ['10.1.0.3', '10.1.0.3'],
    ['10.1.0.4', '10.1.0.6'],
    ['10.1.0.12', '10.1.0.12'],
    ['10.1.0.13', 'undefined'],
    ['10.1.0.15', 'undefined'],
  ] as const) {
    t.equal(String(range && findAllocatable(range, IpAddress.parse(from))), expected, from)
  }
})

test('findAllocatable stops at the last address that there is', async (t) => {
  const range = parseRange({ subnet: '255.255.255.254/31', exclude: ['255.255.255.255'] })
  t.equal(String(findAllocatable(range, range.start)), '255.255.255.254')
  t.equal(findAllocatable(range, range.end), undefined)
})

test('findRange tells which range an address is in', async (t) => {
  const [set = []] = parseRangeSets({ ranges: [[{ subnet: '10.1.0.0/24' }, { subnet: '10.2.0.0/24' }]] })
  for (const [address, expected] of [
    ['10.1.0.7', '10.1.0.0/24'],
    ['10.2.0.7', '10.2.0.0/24'],
    ['10.1.0.0', 'undefined'],
    ['10.3.0.7', 'undefined'],
    ['fd00::1', 'undefined'],
  ] as const) {
    t.equal(String(findRange(set, IpAddress.parse(address))?.subnet), expected, address)
  }
})
