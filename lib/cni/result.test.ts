import fc from 'fast-check'
import { test } from 'tap'
import { printJson } from './errors.ts'
import { encodeResult, parseResult, type Result } from './result.ts'
import { SPEC_VERSIONS, type SpecVersion } from './versions.ts'

const full: Result = {
  interfaces: [
    { name: 'cni0', mac: 'aa:bb:cc:dd:ee:ff', mtu: 1500 },
    {
      name: 'eth0',
      mac: '0a:58:0a:01:00:05',
      mtu: 1450,
      sandbox: '/run/netns/x',
      socketPath: '/s',
      pciID: 'p',
    },
  ],
  ips: [
    { address: '10.1.0.5/24', gateway: '10.1.0.1', interface: 0 },
    { address: 'fd00::5/64', gateway: 'fd00::1', interface: 1 },
    { address: '10.2.0.5/24' },
  ],
  routes: [
    { dst: '0.0.0.0/0', gw: '10.1.0.1', mtu: 1400, advmss: 1360, priority: 10, table: 0, scope: 253 },
    { dst: '::/0', gw: 'fd00::1' },
  ],
  dns: { nameservers: ['10.1.0.1'], domain: 'd', search: ['s'], options: ['o'] },
}

const v6: Result = { ips: [{ address: 'fd00::5/64' }], routes: [{ dst: '10.0.0.0/8' }, { dst: 'fd00::/8' }] }
const DNS = '"dns":{"nameservers":["10.1.0.1"],"domain":"d","search":["s"],"options":["o"]}'

/** What follows cniVersion, in the order of upstream's own output for the same results. */
const plain = {
  full:
    '"ip4":{"ip":"10.1.0.5/24","gateway":"10.1.0.1","routes":[{"dst":"0.0.0.0/0","gw":"10.1.0.1"}]},' +
    `"ip6":{"ip":"fd00::5/64","gateway":"fd00::1","routes":[{"dst":"::/0","gw":"fd00::1"}]},${DNS}`,
  v6: '"ip6":{"ip":"fd00::5/64","routes":[{"dst":"fd00::/8"}]},"dns":{}',
}
const rich = {
  full:
    '"interfaces":[{"name":"cni0","mac":"aa:bb:cc:dd:ee:ff"},' +
    '{"name":"eth0","mac":"0a:58:0a:01:00:05","sandbox":"/run/netns/x"}],' +
    '"ips":[{"version":"4","interface":0,"address":"10.1.0.5/24","gateway":"10.1.0.1"},' +
    '{"version":"6","interface":1,"address":"fd00::5/64","gateway":"fd00::1"},' +
    '{"version":"4","address":"10.2.0.5/24"}],' +
    '"routes":[{"dst":"0.0.0.0/0","gw":"10.1.0.1","mtu":1400,"advmss":1360,"priority":10,"table":0,"scope":253},' +
    `{"dst":"::/0","gw":"fd00::1"}],${DNS}`,
  v6: '"ips":[{"version":"6","address":"fd00::5/64"}],"routes":[{"dst":"10.0.0.0/8"},{"dst":"fd00::/8"}],"dns":{}',
  empty: '"dns":{}',
}
const modern = {
  full:
    `${DNS},"interfaces":[{"mac":"aa:bb:cc:dd:ee:ff","mtu":1500,"name":"cni0"},` +
    '{"mac":"0a:58:0a:01:00:05","mtu":1450,"name":"eth0","pciID":"p","sandbox":"/run/netns/x","socketPath":"/s"}],' +
    '"ips":[{"address":"10.1.0.5/24","gateway":"10.1.0.1","interface":0},' +
    '{"address":"fd00::5/64","gateway":"fd00::1","interface":1},{"address":"10.2.0.5/24"}],' +
    '"routes":[{"advmss":1360,"dst":"0.0.0.0/0","gw":"10.1.0.1","mtu":1400,"priority":10,"scope":253,"table":0},' +
    '{"dst":"::/0","gw":"fd00::1"}]',
  v6: '"ips":[{"address":"fd00::5/64"}],"routes":[{"dst":"10.0.0.0/8"},{"dst":"fd00::/8"}]',
  empty: '',
}

const golden: Readonly<Record<SpecVersion, { full: string; v6: string; empty?: string }>> = {
  '0.1.0': plain,
  '0.2.0': plain,
  '0.3.0': rich,
  '0.3.1': rich,
  '0.4.0': rich,
  '1.0.0': modern,
  '1.1.0': modern,
}

test('encodeResult writes what each version knows, in the order of upstream', async (t) => {
  for (const version of SPEC_VERSIONS) {
    const { full: fullText, v6: v6Text, empty: emptyText } = golden[version]
    const line = (result: Result) => JSON.stringify(encodeResult(result, version))
    const expected = (text: string) => `{${[`"cniVersion":"${version}"`, text].filter(Boolean).join(',')}}`
    t.equal(line(full), expected(fullText), version)
    t.equal(line(v6), expected(v6Text), version)
    if (emptyText !== undefined) t.equal(line({}), expected(emptyText), version)
  }
})

test('encodeResult refuses a result without addresses in versions that cannot say it', async (t) => {
  for (const version of ['0.1.0', '0.2.0'] as const) {
    const expected = { code: 999, message: 'cannot convert: no valid IP addresses' }
    t.throws(() => encodeResult({ interfaces: [{ name: 'eth0' }] }, version), expected)
  }
})

test('encodeResult prints with four spaces and an empty dns on one line, as upstream', async (t) => {
  t.equal(
    printJson(encodeResult({ ips: [{ address: '10.1.0.5/24' }] }, '0.4.0')),
    `{
    "cniVersion": "0.4.0",
    "ips": [
        {
            "version": "4",
            "address": "10.1.0.5/24"
        }
    ],
    "dns": {}
}`,
  )
})

test('encodeResult takes an IPv4 address written as IPv6 for IPv4', async (t) => {
  t.match(encodeResult({ ips: [{ address: '::ffff:10.1.0.5/120' }] }, '0.4.0'), { ips: [{ version: '4' }] })
})

test('parseResult reads back what encodeResult wrote, less what the version does not know', async (t) => {
  const routes = [
    { dst: '0.0.0.0/0', gw: '10.1.0.1' },
    { dst: '::/0', gw: 'fd00::1' },
  ]
  const interfaces = [
    { name: 'cni0', mac: 'aa:bb:cc:dd:ee:ff' },
    { name: 'eth0', mac: '0a:58:0a:01:00:05', sandbox: '/run/netns/x' },
  ]
  const ips = [
    { address: '10.1.0.5/24', gateway: '10.1.0.1' },
    { address: 'fd00::5/64', gateway: 'fd00::1' },
  ]
  for (const version of SPEC_VERSIONS) {
    const read = parseResult(encodeResult(full, version))
    if (version < '0.3.0') t.strictSame(read, { ips, routes, dns: full.dns }, version)
    else if (version < '1.0.0') t.strictSame(read, { ...full, interfaces }, version)
    else t.strictSame(read, full, version)
  }
})

test('parseResult takes the version of the result, else the fallback, else 0.1.0', async (t) => {
  const ips = [{ address: '10.1.0.5/24', version: '4' }]
  const ip4 = { ip: '10.2.0.5/24' }
  for (const [value, fallback, address] of [
    [{ ip4, ips }, undefined, '10.2.0.5/24'],
    [{ ip4, ips }, '1.0.0', '10.1.0.5/24'],
    [{ ip4, ips, cniVersion: '' }, '1.0.0', '10.1.0.5/24'],
    [{ ip4, ips, CNIVersion: '0.2.0' }, '1.0.0', '10.2.0.5/24'],
    [{ ip4, IPs: ips, cniVersion: '0.4.0' }, undefined, '10.1.0.5/24'],
  ] as const) {
    t.same(parseResult(value, fallback), { ips: [{ address }] }, JSON.stringify(value))
  }
  t.same(parseResult({ cniVersion: '1.0.0', interfaces: null, ips: [], dns: {} }), {})
})

test('parseResult says what it cannot read', async (t) => {
  for (const [value, why] of [
    ['x', 'expected an object, got a string'],
    [null, 'expected an object, got null'],
    [{ cniVersion: 1 }, 'cniVersion: expected a string, got a number'],
    [{ cniVersion: '9.0.0' }, 'unsupported CNI result version "9.0.0"'],
    [{ cniVersion: '1.0.0', ips: {} }, 'ips: expected a list, got an object'],
    [{ cniVersion: '1.0.0', ips: [{ interface: -1 }] }, 'ips[0].interface: expected at least 0, got -1'],
    [{ cniVersion: '1.0.0', ips: [{ address: 1 }] }, 'ips[0].address: expected a string, got a number'],
    [{ ip4: 'x' }, 'ip4: expected an object, got a string'],
    [{ ip6: { routes: [{ dst: 1 }] } }, 'ip6.routes[0].dst: expected a string, got a number'],
  ] as const) {
    t.throws(() => parseResult(value), { code: 6, message: `invalid result: ${why}` }, why)
  }
})

test('parseResult of an encoded 1.1.0 result is that result', async (t) => {
  const word = fc.string({ minLength: 1 })
  const count = fc.integer({ min: 1, max: 65535 })
  const index = fc.integer({ min: 0, max: 5 })
  const some = <T>(item: fc.Arbitrary<T>) => fc.array(item, { minLength: 1, maxLength: 3 })
  const result = fc.record(
    {
      interfaces: some(
        fc.record(
          { name: word, mac: word, mtu: count, sandbox: word },
          { requiredKeys: ['name'], noNullPrototype: true },
        ),
      ),
      ips: some(
        fc.record(
          { address: word, gateway: word, interface: index },
          { requiredKeys: ['address'], noNullPrototype: true },
        ),
      ),
      routes: some(
        fc.record(
          { dst: word, gw: word, mtu: count, table: index, scope: index },
          { requiredKeys: ['dst'], noNullPrototype: true },
        ),
      ),
      dns: fc.record({ nameservers: some(word), domain: word }, { noNullPrototype: true }),
    },
    { requiredKeys: [], noNullPrototype: true },
  )
  fc.assert(
    fc.property(result, (one) => {
      for (const version of ['1.0.0', '1.1.0'] as const) {
        t.strictSame(parseResult(JSON.parse(printJson(encodeResult(one, version)))), one)
      }
    }),
    { numRuns: 50 },
  )
})
