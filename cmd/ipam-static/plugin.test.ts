import { test } from 'tap'
import { invoke } from '../../lib/cni/skel.ts'
import { makeScene } from '../../lib/testing/scene.ts'
import { plugin } from './plugin.ts'

interface Call {
  readonly ipam?: object
  readonly args?: string
  readonly outer?: object
  readonly cniVersion?: string
}

/** As a runtime calls it. @returns what it prints, as JSON; undefined for nothing */
async function call(command: string, { ipam = {}, args = '', outer, cniVersion = '1.0.0' }: Call) {
  const environment = {
    CNI_COMMAND: command,
    CNI_CONTAINERID: 'c1',
    CNI_NETNS: '/run/netns/pod',
    CNI_IFNAME: 'eth0',
    CNI_ARGS: args,
    CNI_PATH: '/opt/cni/bin',
  }
  const stdin = JSON.stringify({ cniVersion, name: 'net', type: 'x', ipam, ...outer })
  const { stdout } = await invoke(
    plugin,
    makeScene().ports,
    { environment, readStdin: () => stdin },
    { version: '0' },
  )
  return stdout === '' ? undefined : JSON.parse(stdout)
}

/** `10.1.0.5/24 via 10.1.0.1` of each address, or the code and message of the error. */
async function add(given: Call): Promise<string> {
  const answer = await call('ADD', given)
  if (answer.code !== undefined) return `${answer.code}: ${answer.msg}`
  const ips: { address: string; gateway?: string }[] = answer.ips ?? []
  return ips.map(({ address, gateway }) => `${address}${gateway ? ` via ${gateway}` : ''}`).join(', ')
}

const addresses = (...list: string[]) => ({ addresses: list.map((address) => ({ address })) })
const CIDR = 'field is expected to be in CIDR notation, got:'

const ROWS: readonly [what: string, given: Call, answer: string][] = [
  ['of the section', { ipam: addresses('10.1.0.5/24', 'fd00::5/64') }, '10.1.0.5/24, fd00::5/64'],
  [
    'with a gateway',
    { ipam: { addresses: [{ address: '10.1.0.5/24', gateway: '10.1.0.1' }] } },
    '10.1.0.5/24 via 10.1.0.1',
  ],
  [
    'of CNI_ARGS after those of the section',
    { ipam: addresses('10.1.0.5/24'), args: 'IP=10.2.0.5/24,fd00:2::5/64;GATEWAY=10.2.0.1,fd00:2::1' },
    '10.1.0.5/24, 10.2.0.5/24 via 10.2.0.1, fd00:2::5/64 via fd00:2::1',
  ],
  ['of CNI_ARGS with spaces', { args: 'IP= 10.2.0.5/24 ,10.2.0.6/24' }, '10.2.0.5/24, 10.2.0.6/24'],
  ['with a gateway of another subnet', { args: 'IP=10.2.0.5/24;GATEWAY=10.3.0.1' }, '10.2.0.5/24'],
  [
    'with the gateway of the section',
    { ipam: { addresses: [{ address: '10.1.0.5/24', gateway: '10.1.0.1' }] }, args: 'GATEWAY=10.1.0.9' },
    '10.1.0.5/24 via 10.1.0.1',
  ],
  [
    'of args.cni.ips instead',
    {
      ipam: addresses('10.1.0.5/24'),
      args: 'IP=10.2.0.5/24',
      outer: { args: { cni: { ips: ['10.4.0.5/24'] } } },
    },
    '10.4.0.5/24',
  ],
  [
    'of runtimeConfig.ips instead of all',
    {
      ipam: addresses('10.1.0.5/24'),
      outer: {
        args: { cni: { ips: ['10.4.0.5/24'] } },
        runtimeConfig: { ips: ['10.5.0.5/24', '10.5.0.6/24'] },
      },
    },
    '10.5.0.5/24, 10.5.0.6/24',
  ],
  ['none at all', {}, ''],
  ['without ipam', { outer: { ipam: undefined } }, "7: IPAM config missing 'ipam' key"],
  ['without a length', { ipam: addresses('10.1.0.5') }, `7: the 'address' ${CIDR} '10.1.0.5'`],
  ['that are none', { ipam: addresses('10.1.0.x/24') }, `7: the 'address' ${CIDR} '10.1.0.x/24'`],
  ['without a length in CNI_ARGS', { args: 'IP=10.2.0.5' }, `4: the 'ip' ${CIDR} '10.2.0.5'`],
  [
    'without a length in runtimeConfig.ips',
    { outer: { runtimeConfig: { ips: ['10.5.0.5'] } } },
    "7: an entry in the 'ips' field is NOT in CIDR notation, got: '10.5.0.5'",
  ],
  ['with a gateway in CNI_ARGS that is none', { args: 'GATEWAY=nope' }, '4: invalid gateway address: nope'],
  ['with an unknown argument', { args: 'FOO=1' }, '4: CNI_ARGS: unknown args ["FOO=1"]'],
  [
    'two of a family below 0.3.0',
    { cniVersion: '0.2.0', ipam: addresses('10.1.0.5/24', '10.1.0.6/24') },
    '7: CNI version 0.2.0 does not support more than 1 address per family',
  ],
  [
    'with a route that is none',
    { ipam: { routes: [{ dst: 'x' }] } },
    '7: ipam.routes: invalid CIDR address "x"',
  ],
]

for (const [what, given, answer] of ROWS)
  test(`ADD answers addresses ${what}`, async (t) => {
    t.equal(await add(given), answer)
  })

test('ADD passes routes and dns on', async (t) => {
  const routes = [
    { dst: '0.0.0.0/0' },
    { dst: '10.9.0.0/16', gw: '10.1.0.9', mtu: 1400, scope: 0 },
    { dst: '0.0.0.0/0' },
  ]
  const dns = { nameservers: ['10.1.0.53'], search: ['cluster.local'] }
  const answer = await call('ADD', { ipam: { ...addresses('10.1.0.5/24'), routes, dns } })
  t.strictSame(answer, { cniVersion: '1.0.0', dns, ips: [{ address: '10.1.0.5/24' }], routes })
})

test('CHECK compares with prevResult', async (t) => {
  const ipam = { addresses: [{ address: '10.1.0.5/24', gateway: '10.1.0.1' }] }
  const check = (...ips: object[]) =>
    call('CHECK', { ipam, outer: { prevResult: { cniVersion: '1.0.0', ips } } })
  const lost = { code: 100, msg: 'static: Failed to match addr 10.1.0.5 on interface eth0' }
  t.equal(await check({ address: '10.1.0.6/24' }, { address: '10.1.0.5/24', gateway: '10.1.0.1' }), undefined)
  t.match(await check({ address: '10.1.0.5/24', gateway: '10.1.0.2' }), lost)
  t.match(await check({ address: 'nonsense' }), lost)
  t.match(await call('CHECK', { ipam }), { code: 7, msg: 'Required prevResult missing' })
})

test('DEL is fine whatever the config says, and STATUS reads it', async (t) => {
  const ipam = addresses('nonsense')
  t.equal(await call('DEL', { ipam }), undefined)
  t.match(await call('STATUS', { ipam, cniVersion: '1.1.0' }), { code: 7 })
  t.equal(await call('STATUS', { cniVersion: '1.1.0' }), undefined)
  t.equal(await call('GC', { ipam, cniVersion: '1.1.0' }), undefined)
})
