// The table of ranges that cannot be used, and of requests that cannot be met. Texts are upstream's where it has one.

import type { Row } from './bad-input-rows.ts'

function ranges(what: string, ipam: Row['ipam'], msg: RegExp): Row {
  return { what, code: 7, msg, ...(ipam === undefined ? {} : { ipam }) }
}

export const RANGE_ROWS: readonly Row[] = [
  ranges('no ranges', {}, /^no IP ranges specified$/),
  ranges('an empty list of ranges', { ranges: [] }, /^no IP ranges specified$/),
  ranges('an empty range set', { ranges: [[]] }, /empty range set/),
  ranges('a range without a subnet', { ranges: [[{ rangeStart: '10.1.0.2' }]] }, /^invalid range set 0: /),
  ranges('a subnet that is none', { subnet: '10.1.0.0' }, /10\.1\.0\.0/),
  ranges('a subnet with octets above 255', { subnet: '10.1.0.256/24' }, /10\.1\.0\.256/),
  ranges('a subnet with a leading zero', { subnet: '10.01.0.0/24' }, /10\.01\.0\.0/),
  ranges('a prefix length above 32', { subnet: '10.1.0.0/33' }, /10\.1\.0\.0\/33/),
  ranges('host bits', { subnet: '10.1.0.5/24' }, /host bits set.*10\.1\.0\.0/),
  ranges('host bits of IPv6', { subnet: 'fd00:1::5/64' }, /host bits set/),
  ranges(
    'rangeStart outside',
    { subnet: '10.1.0.0/24', rangeStart: '10.2.0.2' },
    /RangeStart 10\.2\.0\.2 not in network 10\.1\.0\.0\/24/,
  ),
  ranges(
    'rangeEnd outside',
    { subnet: '10.1.0.0/24', rangeEnd: '10.2.0.2' },
    /RangeEnd 10\.2\.0\.2 not in network 10\.1\.0\.0\/24/,
  ),
  ranges(
    'rangeStart after rangeEnd',
    { subnet: '10.1.0.0/24', rangeStart: '10.1.0.9', rangeEnd: '10.1.0.3' },
    /10\.1\.0\.9/,
  ),
  ranges('rangeStart that is none', { subnet: '10.1.0.0/24', rangeStart: 'first' }, /first/),
  ranges('gateway that is none', { subnet: '10.1.0.0/24', gateway: 'there' }, /there/),
  ranges(
    'gateway of the other family',
    { ranges: [[{ subnet: '10.1.0.0/24' }, { subnet: 'fd00:1::/64' }]] },
    /mixed address families/,
  ),
  ranges(
    'ranges of a set that overlap',
    { ranges: [[{ subnet: '10.1.0.0/24' }, { subnet: '10.1.0.0/16' }]] },
    /overlap/,
  ),
  ranges(
    'sets that overlap',
    { ranges: [[{ subnet: '10.1.0.0/24' }], [{ subnet: '10.1.0.0/16' }]] },
    /range set 0 overlaps with 1/,
  ),
  ranges('a subnet that is a number', { subnet: 10 }, /^ipam\.subnet: expected a string, got a number/),
  ranges('ranges that are an object', { ranges: {} }, /^ipam\.ranges: expected a list/),
  ranges('a range set that is an object', { ranges: [{}] }, /^ipam\.ranges\[0\]: expected a list/),
  ranges(
    'a range that is a text',
    { ranges: [['10.1.0.0/24']] },
    /^ipam\.ranges\[0\]\[0\]: expected an object/,
  ),
  ranges(
    'a nested subnet that is a number',
    { ranges: [[{ subnet: '10.1.0.0/24' }, { subnet: 7 }]] },
    /^ipam\.ranges\[0\]\[1\]\.subnet: expected a string/,
  ),
  ranges(
    'routes that are a text',
    { subnet: '10.1.0.0/24', routes: 'default' },
    /^ipam\.routes: expected a list/,
  ),
  ranges('a route without dst', { subnet: '10.1.0.0/24', routes: [{ gw: '10.1.0.1' }] }, /^ipam\.routes/),
  ranges(
    'a route whose dst is no prefix',
    { subnet: '10.1.0.0/24', routes: [{ dst: '10.9.0.0' }] },
    /^ipam\.routes.*10\.9\.0\.0/,
  ),
  ranges(
    'a dataDir that is a list',
    { subnet: '10.1.0.0/24', dataDir: [] },
    /^ipam\.dataDir: expected a string/,
  ),
  {
    what: 'two sets of a family below 0.3.0',
    ipam: { ranges: [[{ subnet: '10.1.0.0/24' }], [{ subnet: '10.2.0.0/24' }]] },
    fields: { cniVersion: '0.2.0' },
    code: 7,
    msg: /^CNI version 0\.2\.0 does not support more than 1 address per family$/,
  },
  {
    what: 'a resolvConf that is not there',
    ipam: { subnet: '10.1.0.0/24', resolvConf: '/nowhere/resolv.conf' },
    code: 5,
    msg: /\/nowhere\/resolv\.conf/,
  },
  {
    what: 'a requested address that is none',
    environment: { CNI_ARGS: 'IgnoreUnknown=1;IP=ten' },
    code: 4,
    msg: /ten/,
  },
  {
    what: 'requested addresses that are none',
    fields: { args: { cni: { ips: ['ten'] } } },
    code: 7,
    msg: /^args\.cni\.ips.*ten/,
  },
  {
    what: 'requested addresses that are a text',
    fields: { args: { cni: { ips: '10.1.0.7' } } },
    code: 7,
    msg: /^args\.cni\.ips: expected a list/,
  },
  {
    what: 'a requested address outside',
    environment: { CNI_ARGS: 'IgnoreUnknown=1;IP=10.9.0.9' },
    code: 999,
    msg: /^failed to allocate all requested IPs: 10\.9\.0\.9$/,
  },
  {
    what: 'a range that ends where it begins, at the gateway',
    ipam: { subnet: '10.1.0.0/24', rangeStart: '10.1.0.1', rangeEnd: '10.1.0.1' },
    code: 999,
    msg: /^failed to allocate for range 0: no IP addresses available in range set: 10\.1\.0\.1-10\.1\.0\.1$/,
  },
]
