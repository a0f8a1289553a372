import { test } from 'tap'
import type { Request } from '../../lib/cni/request.ts'
import type { SpecVersion } from '../../lib/cni/versions.ts'
import { formatRangeSet } from '../../lib/ipam/range-set.ts'
import { parseNetconf, readDataDir } from './netconf.ts'

interface Given {
  readonly ipam?: unknown
  readonly outer?: object
  readonly args?: Record<string, string>
  readonly version?: SpecVersion
}

function request({ ipam, outer, args = {}, version = '1.1.0' }: Given): Request {
  return {
    command: 'ADD',
    containerId: 'pod-1',
    netns: '/var/run/netns/pod',
    ifname: 'eth0',
    args: new Map(Object.entries(args)),
    path: [],
    netnsOverride: false,
    stdin: '',
    netconf: { ...outer, ...(ipam === undefined ? {} : { ipam }) },
    name: 'net',
    cniVersion: version,
    prevResult: undefined,
    environment: {},
  }
}

const flat = { subnet: '10.1.2.0/24' }

test('netconf reads ranges', async (t) => {
  const cases: [what: string, given: Given, expected: string[]][] = [
    ['in the old form', { ipam: flat }, ['10.1.2.1-10.1.2.254']],
    [
      'in the new form',
      { ipam: { ranges: [[flat], [{ subnet: 'fd00::/64' }]] } },
      ['10.1.2.1-10.1.2.254', 'fd00::1-fd00::ffff:ffff:ffff:ffff'],
    ],
    [
      'in both, the old one first',
      { ipam: { ...flat, ranges: [[{ subnet: '10.1.4.0/24' }]] } },
      ['10.1.2.1-10.1.2.254', '10.1.4.1-10.1.4.254'],
    ],
    [
      'of the runtime before all',
      { ipam: flat, outer: { runtimeConfig: { ipRanges: [[{ subnet: '11.1.0.0/16' }]] } } },
      ['11.1.0.1-11.1.255.254', '10.1.2.1-10.1.2.254'],
    ],
    [
      'whatever the case of the keys',
      { ipam: { Ranges: [[{ Subnet: '10.1.2.0/24', RANGESTART: '10.1.2.9' }]] } },
      ['10.1.2.9-10.1.2.254'],
    ],
    [
      'one of each family below 0.3.0',
      { version: '0.2.0', ipam: { ranges: [[flat], [{ subnet: 'fd00::/64' }]] } },
      ['10.1.2.1-10.1.2.254', 'fd00::1-fd00::ffff:ffff:ffff:ffff'],
    ],
  ]
  for (const [what, given, expected] of cases) {
    t.strictSame(parseNetconf(request(given)).sets.map(formatRangeSet), expected, what)
  }
})

test('netconf collects the addresses that are asked for', async (t) => {
  const given = {
    ipam: flat,
    args: { IP: '10.1.2.10/24,10.1.2.11' },
    outer: { args: { cni: { ips: ['10.1.2.12'] } }, runtimeConfig: { ips: ['10.1.2.13/16'] } },
  }
  const expected = ['10.1.2.10', '10.1.2.11', '10.1.2.12', '10.1.2.13']
  t.strictSame(parseNetconf(request(given)).requested.map(String), expected)
})

test('netconf refuses what cannot be used', async (t) => {
  const cases: [given: Given, code: number, message: RegExp][] = [
    [{}, 7, /^IPAM config missing 'ipam' key$/],
    [{ ipam: {} }, 7, /^no IP ranges specified$/],
    [{ ipam: { subnet: '10.1.2.3/24' } }, 7, /Network has host bits set/],
    [{ ipam: { ranges: [[flat, { subnet: 'fd00::/64' }]] } }, 7, /mixed address families/],
    [{ ipam: { ranges: [[flat], [flat]] } }, 7, /range set 0 overlaps with 1/],
    [
      { ipam: { ranges: [[flat], [{ subnet: '10.1.4.0/24' }]] }, version: '0.2.0' },
      7,
      /CNI version 0.2.0 does not support more than 1 address per family/,
    ],
    [
      { ipam: { ranges: [[{ subnet: 5 }]] } },
      7,
      /^ipam.ranges\[0\]\[0\].subnet: expected a string, got a number$/,
    ],
    [{ ipam: { ...flat, routes: [{ dst: 'x' }] } }, 7, /^ipam.routes: invalid CIDR address "x"$/],
    [
      { ipam: { ...flat, routes: [{ dst: '10.0.0.0/8', gw: 'x' }] } },
      7,
      /^ipam.routes: invalid IP address "x"$/,
    ],
    [{ ipam: { ...flat, dataDir: 'networks' } }, 7, /^ipam.dataDir: "networks" is no absolute path$/],
    [{ ipam: { ...flat, dataDir: '/a\0b' } }, 7, /^ipam.dataDir: .* is no absolute path$/],
    [{ ipam: { ...flat, resolvConf: '../etc/resolv.conf' } }, 7, /^ipam.resolvConf: .* is no absolute path$/],
    [{ ipam: flat, args: { IP: 'x' } }, 4, /^CNI_ARGS: IP: invalid IP address "x"$/],
    [{ ipam: flat, args: { FOO: 'x' } }, 4, /FOO/],
    [
      { ipam: flat, outer: { runtimeConfig: { ips: ['x'] } } },
      7,
      /^runtimeConfig.ips: invalid IP address "x"$/,
    ],
  ]
  for (const [given, code, message] of cases) {
    t.throws(() => parseNetconf(request(given)), { code, message }, JSON.stringify(given))
  }
})

test('data directory is read from a config that is otherwise broken', async (t) => {
  t.equal(readDataDir(request({ ipam: { dataDir: '/data', subnet: 5 } })), '/data')
  t.equal(readDataDir(request({ ipam: 'broken' })), '/var/lib/cni/networks')
  t.equal(readDataDir(request({})), '/var/lib/cni/networks')
  t.equal(readDataDir(request({ ipam: { dataDir: 'relative' } })), '/var/lib/cni/networks')
})
