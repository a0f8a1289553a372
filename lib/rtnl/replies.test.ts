import { test } from 'tap'
import { writeAttributes } from '../netlink/attributes.ts'
import { ByteWriter } from '../netlink/byte-writer.ts'
import { readPayload } from '../netlink/request.ts'
import { readAddress } from './address.ts'
import { IFLA, RTM_NEWLINK } from './attributes.ts'
import { formatRoute } from './format.ts'
import { readLink } from './link.ts'
import { ADDRESSES, LINKS, ROUTES } from './replies.fixture.ts'
import { readRoute, readRoutes } from './route.ts'

test('readLink reads the loopback interface', async (t) => {
  t.strictSame(readLink(LINKS.lo), {
    index: 1,
    name: 'lo',
    mac: '00:00:00:00:00:00',
    mtu: 65536,
    up: true,
    lowerUp: true,
    operstate: 'UNKNOWN',
    promisc: false,
    txQueueLength: 1000,
  })
})

test('readLink reads a bridge', async (t) => {
  t.strictSame(readLink(LINKS.br0), {
    index: 2,
    name: 'br0',
    mac: '02:00:00:00:00:01',
    mtu: 1450,
    up: true,
    lowerUp: true,
    operstate: 'UP',
    promisc: false,
    txQueueLength: 1000,
    kind: 'bridge',
    vlanFiltering: false,
  })
})

test('readLink reads a veth that is a port of a bridge and has its peer elsewhere', async (t) => {
  t.strictSame(readLink(LINKS.veth0), {
    index: 3,
    name: 'veth0',
    mac: '02:00:00:00:00:02',
    mtu: 1450,
    up: true,
    lowerUp: true,
    operstate: 'UP',
    promisc: false,
    txQueueLength: 1000,
    kind: 'veth',
    master: 2,
    peerIndex: 2,
    peerNetnsid: 0,
    alias: 'podwire x',
    bridgePort: { state: 'forwarding', hairpin: true, isolated: true },
  })
})

test('link attributes that the tables do not know are written back', async (t) => {
  for (const [name, payload] of Object.entries(LINKS)) {
    const { header, attributes } = readPayload(RTM_NEWLINK, payload)
    const writer = new ByteWriter()
    RTM_NEWLINK.header.write(writer, header)
    writeAttributes(writer, IFLA, attributes)
    t.equal(writer.length, payload.length, `${name}: no byte is lost`)
    t.strictSame(readPayload(RTM_NEWLINK, writer.finish()), { header, attributes }, `${name}: nor changed`)
  }
})

// ip -o addr: prefix, dev, scope, flags
const READ_ADDRESSES: Readonly<Record<keyof typeof ADDRESSES, object>> = {
  '127.0.0.1/8': { dev: 1, scope: 254, noDad: false, permanent: true, tentative: false, dadFailed: false },
  '10.1.0.1/24': { dev: 2, scope: 0, noDad: false, permanent: true, tentative: false, dadFailed: false },
  'fd00::1/64': { dev: 2, scope: 0, noDad: true, permanent: true, tentative: false, dadFailed: false },
  'fd01::1/64': { dev: 3, scope: 0, noDad: false, permanent: true, tentative: true, dadFailed: false },
  'fe80::ff:fe00:1/64': {
    dev: 2,
    scope: 253,
    noDad: false,
    permanent: true,
    tentative: true,
    dadFailed: false,
  },
}

test('readAddress reads addresses and their state', async (t) => {
  for (const [text, expected] of Object.entries(READ_ADDRESSES)) {
    const { prefix, ...rest } = readAddress(ADDRESSES[text as keyof typeof ADDRESSES]) ?? {}
    t.equal(String(prefix), text)
    t.strictSame(rest, expected, text)
  }
})

test('readAddress takes the local end of a point-to-point address, and nothing that is not IP', async (t) => {
  // ip addr add 10.9.0.1 peer 10.9.0.2/32 dev veth0
  const pair = '02208000 03000000 08000100 0a090002 08000200 0a090001'
  t.equal(String(readAddress(unhex(pair))?.prefix), '10.9.0.1/32')
  t.equal(readAddress(unhex('11000000 03000000 06000100 0a090000')), undefined)
  t.equal(readAddress(unhex('02000000 03000000')), undefined)
})

const READ_ROUTES: Readonly<Record<keyof typeof ROUTES, readonly string[]>> = {
  '10.5.0.0/16': [
    '10.5.0.0/16 via 10.1.0.9 dev #2 src 10.1.0.1 table 1000 scope global metric 7 mtu 1400 advmss 1360',
  ],
  default: ['default via 10.1.0.9 dev #2 scope global'],
  '10.1.0.0/24': ['10.1.0.0/24 dev #2 src 10.1.0.1 scope link connected'],
  blackhole: [],
  'fd00::/64': ['fd00::/64 dev #2 scope global metric 256 connected'],
  'default v6': [
    'default via fd00::9 dev #2 scope global metric 1024',
    'default via fd00::a dev #2 scope global metric 1024',
  ],
}

test('readRoutes reads unicast routes, each way for itself', async (t) => {
  for (const [name, expected] of Object.entries(READ_ROUTES)) {
    const routes = readRoutes(ROUTES[name as keyof typeof ROUTES])
    t.strictSame(
      routes.map((route) => formatRoute(route) + (route.connected ? ' connected' : '')),
      expected,
      name,
    )
  }
})

test('readRoute gives the first form of a route: without a way when it has several', async (t) => {
  t.strictSame(readRoute(ROUTES['default v6'])?.gateway, undefined)
  t.equal(String(readRoute(ROUTES.default)?.gateway), '10.1.0.9')
})

function unhex(rows: string): Uint8Array {
  return Uint8Array.from(Buffer.from(rows.replaceAll(' ', ''), 'hex'))
}
