import { test } from 'tap'
import { podAddressing } from '../../lib/attach/addressing.ts'
import type { Request } from '../../lib/cni/request.ts'
import type { Result } from '../../lib/cni/result.ts'
import { formatRoute } from '../../lib/rtnl/format.ts'
import { parseNetconf } from './netconf.ts'
import { planAttachment } from './plan.ts'

const counting = (count: number) => Uint8Array.from({ length: count }, (_, i) => i + 1)

function request(netconf: object, args: Record<string, string> = {}): Request {
  return {
    command: 'ADD',
    containerId: 'pod-1',
    netns: '/var/run/netns/pod',
    ifname: 'eth0',
    args: new Map(Object.entries(args)),
    path: [],
    netnsOverride: false,
    stdin: '',
    netconf: { cniVersion: '1.1.0', name: 'net', type: 'cni-bridge', ...netconf },
    name: 'net',
    cniVersion: '1.1.0',
    prevResult: undefined,
    environment: {},
  }
}

const dualStack: Result = {
  ips: [
    { address: '10.1.0.5/24', gateway: '10.1.0.1' },
    { address: 'fd00:1::5/64', gateway: 'fd00:1::1' },
  ],
  routes: [{ dst: '192.0.2.0/24' }],
}

function plan(netconf: object, result: Result | null = dualStack, args: Record<string, string> = {}) {
  const parsed = parseNetconf(request({ ipam: { type: 'x' }, ...netconf }, args))
  const mtu = parsed.mtu === 'auto' ? 9000 : parsed.mtu || 1500
  return planAttachment(
    { ...parsed, mtu },
    result === null ? undefined : { result, section: { type: 'x' } },
    counting,
  )
}

function routesOf(attachment: ReturnType<typeof plan>): string[] {
  return podAddressing(attachment, attachment).routes.map(formatRoute)
}

test('plan of an attachment', async (t) => {
  t.test('has upstream’s defaults when the config says nothing', async (t) => {
    t.strictSame(plan({}), {
      bridge: 'cni0',
      promisc: false,
      gateways: [],
      hostIfname: 'veth01020304',
      hostMac: '02:02:03:04:05:06',
      podMac: '0a:58:0a:01:00:05',
      mtu: 1500,
      hairpin: false,
      isolated: false,
      up: true,
      enableDad: false,
      ips: dualStack.ips,
      routes: dualStack.routes,
      masquerade: [],
      macSpoofCheck: false,
      ipam: { type: 'x' },
    })
  })

  t.test('puts the gateways on the bridge when it is one', async (t) => {
    t.strictSame(plan({ isGateway: true }).gateways, ['10.1.0.1/24', 'fd00:1::1/64'])
    t.strictSame(plan({ isDefaultGateway: true }).gateways, ['10.1.0.1/24', 'fd00:1::1/64'])
  })

  t.test('takes the first address of the subnet for a gateway that the IPAM did not name', async (t) => {
    const result = { ips: [{ address: '10.1.0.5/24' }, { address: '10.2.0.0/31' }] }
    t.strictSame(plan({ isGateway: true }, result).gateways, ['10.1.0.1/24'], 'but not in a subnet of two')
    t.strictSame(plan({}, result).gateways, [])
  })

  t.test('names one gateway once when two addresses share it', async (t) => {
    const ips = ['10.1.0.5/24', '10.1.0.6/24'].map((address) => ({ address, gateway: '10.1.0.1' }))
    t.strictSame(plan({ isGateway: true }, { ips }).gateways, ['10.1.0.1/24'])
  })

  t.test('masquerades each address outside of its own subnet when asked to', async (t) => {
    t.strictSame(plan({ ipMasq: true }).masquerade, [
      { address: '10.1.0.5', subnet: '10.1.0.0/24' },
      { address: 'fd00:1::5', subnet: 'fd00:1::/64' },
    ])
  })

  t.test('takes the MAC from runtimeConfig, then args, then CNI_ARGS, then the address', async (t) => {
    const runtimeConfig = { mac: '02:00:00:00:00:01' }
    const args = { cni: { mac: '02:00:00:00:00:02' } }
    const cniArgs = { MAC: '02:00:00:00:00:03' }
    t.equal(plan({ runtimeConfig, args }, dualStack, cniArgs).podMac, '02:00:00:00:00:01')
    t.equal(plan({ args }, dualStack, cniArgs).podMac, '02:00:00:00:00:02')
    t.equal(plan({}, dualStack, cniArgs).podMac, '02:00:00:00:00:03')
    t.equal(plan({}, dualStack, { MAC: '' }).podMac, '0a:58:0a:01:00:05', 'an empty one is none')
    t.equal(plan({ ipam: {} }, null).podMac, '02:02:03:04:05:06', 'random without an address')
  })
})

test('routes of the pod', async (t) => {
  const defaultRoute = { dst: '0.0.0.0/0' }
  const cases: [what: string, netconf: object, routes: Result['routes'], expected: string[]][] = [
    [
      'go through the gateway of their family when they name none',
      {},
      [defaultRoute, { dst: '::/0' }],
      ['default via 10.1.0.1', 'default via fd00:1::1'],
    ],
    ['go where they say', {}, [{ dst: '192.0.2.0/24', gw: '10.1.0.9' }], ['192.0.2.0/24 via 10.1.0.9']],
    [
      'keep metric, table, scope, MTU and MSS',
      {},
      [{ dst: '192.0.2.0/24', priority: 5, table: 100, mtu: 1400, advmss: 1300 }],
      ['192.0.2.0/24 via 10.1.0.1 table 100 metric 5 mtu 1400 advmss 1300'],
    ],
    [
      'have no next hop when their scope is the link',
      {},
      [{ dst: '192.0.2.0/24', scope: 253 }],
      ['192.0.2.0/24 scope link'],
    ],
    [
      'have a next hop all the same over IPv6, which has no scopes',
      {},
      [
        { dst: '2001:db8::/32', scope: 253 },
        { dst: '2001:db9::/32', gw: 'fd00:1::9', scope: 254 },
      ],
      ['2001:db8::/32 via fd00:1::1', '2001:db9::/32 via fd00:1::9'],
    ],
    [
      'are in the main table when theirs is 0',
      {},
      [{ dst: '192.0.2.0/24', table: 0 }],
      ['192.0.2.0/24 via 10.1.0.1'],
    ],
    [
      'get a default route for each family with isDefaultGateway',
      { isDefaultGateway: true },
      [],
      ['default via 10.1.0.1', 'default via fd00:1::1'],
    ],
    [
      'keep the default route that the IPAM gave, with a gateway or without',
      { isDefaultGateway: true },
      [defaultRoute, { dst: '::/0', gw: 'fd00:1::9' }],
      ['default via 10.1.0.1', 'default via fd00:1::9'],
    ],
    [
      'keep it however it is written',
      { isDefaultGateway: true },
      [
        { ...defaultRoute, table: 254 },
        { dst: '0::/0', priority: 1024, table: 0 },
      ],
      ['default via 10.1.0.1', 'default via fd00:1::1 metric 1024'],
    ],
    [
      'do not count one that is for another table or has another metric',
      { isDefaultGateway: true },
      [
        { ...defaultRoute, table: 100 },
        { dst: '::/0', priority: 50 },
      ],
      [
        'default via 10.1.0.1 table 100',
        'default via fd00:1::1 metric 50',
        'default via 10.1.0.1',
        'default via fd00:1::1',
      ],
    ],
    [
      'count one with a next hop wherever it is, as upstream’s do',
      { isDefaultGateway: true },
      [
        { ...defaultRoute, gw: '10.1.0.9', table: 100 },
        { dst: '::/0', gw: 'fd00:1::9', priority: 50 },
      ],
      ['default via 10.1.0.9 table 100', 'default via fd00:1::9 metric 50'],
    ],
  ]
  for (const [what, netconf, routes, expected] of cases) {
    t.strictSame(routesOf(plan(netconf, { ...dualStack, routes: routes ?? [] })), expected, what)
  }
})

test('plan refuses an IPAM result that it cannot use', async (t) => {
  const cases: [Result, RegExp][] = [
    [{ ips: [{ address: '10.1.0.5' }] }, /result of the IPAM plugin: address "10.1.0.5"/],
    [
      { ips: [{ address: '10.1.0.5/24', gateway: 'x' }] },
      /result of the IPAM plugin: .*invalid IP address "x"/,
    ],
  ]
  for (const [result, message] of cases) t.throws(() => plan({}, result), { code: 6, message })
  const badRoute = plan({}, { ...dualStack, routes: [{ dst: 'nowhere' }] })
  t.throws(() => podAddressing(badRoute, badRoute), { code: 6, message: /route "nowhere"/ })
})

test('netconf refuses contradictions and what is not supported', async (t) => {
  const cases: [netconf: object, code: number, message: RegExp][] = [
    [
      { hairpinMode: true, promiscMode: true },
      7,
      /^cannot set hairpin mode and promiscuous mode at the same time$/,
    ],
    [
      { disableContainerInterface: true, ipam: { type: 'x' } },
      7,
      /^cannot use IPAM when DisableContainerInterface flag is set$/,
    ],
    [{ ipMasqBackend: 'ipchains' }, 7, /^unknown ipmasq backend "ipchains"$/],
    [{ bridge: 'a name too long' }, 7, /^bridge: "a name too long" is no interface name/],
    [{ bridge: '' }, 7, /^bridge: /],
    ...['br%d', '..', 'a/b', '\u001b[2J', 'üüüüüüüü'].map((bridge): [object, number, RegExp] => [
      { bridge },
      7,
      /^bridge: .* is no interface name/,
    ]),
    [{ mtu: -1 }, 7, /^mtu: expected at least 0, got -1$/],
    [{ mtu: '1500' }, 7, /^mtu: expected an integer, got a string$/],
    [{ isGateway: 'yes' }, 7, /^isGateway: expected a boolean, got a string$/],
    [{ runtimeConfig: { mac: 'x' } }, 7, /^runtimeConfig.mac: invalid MAC address "x"$/],
    [{ mtu: 'big' }, 7, /^mtu: expected an integer, got a string$/],
  ]
  for (const [netconf, code, message] of cases) {
    t.throws(() => parseNetconf(request(netconf)), { code, message }, JSON.stringify(netconf))
  }
  t.throws(() => parseNetconf(request({}, { MAC: 'x' })), { code: 4, message: /MAC/ })
  t.throws(() => parseNetconf(request({}, { FOO: 'x' })), { code: 4, message: /FOO/ })
})
