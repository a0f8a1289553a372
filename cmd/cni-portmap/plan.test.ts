import { test } from 'tap'
import type { Result } from '../../lib/cni/result.ts'
import { toRecord } from './attachment.ts'
import { parseNetconf } from './netconf.ts'
import { planHostports } from './plan.ts'

const DUAL: Result = {
  interfaces: [{ name: 'cni0' }, { name: 'veth1' }, { name: 'eth0', sandbox: '/run/netns/pod-1' }],
  ips: [
    { address: '192.0.2.99/24', interface: 0 },
    { address: '10.1.0.5/24', interface: 2 },
    { address: '10.2.0.5/24', interface: 2 },
    { address: 'fd00:1::5/64', interface: 2 },
  ],
}
const V4: Result = { ips: [{ address: '10.1.0.5/24' }] }

function plan(portMappings: readonly object[], fields: object = {}, result: Result = DUAL) {
  return toRecord(
    planHostports(parseNetconf({ ...fields, runtimeConfig: { portMappings } }), result, 'eth0'),
    null,
  )
}

/** `8080/tcp > 10.1.0.5:80 fd00:1::5:80` and who is masqueraded. */
function text({ hostports, masquerades }: ReturnType<typeof plan>): string[] {
  return [
    ...hostports.map(({ hostIp, port, protocol, address, podPort }) => {
      return `${hostIp ?? 'any'} ${port}/${protocol} > ${address} ${podPort}`
    }),
    ...masquerades.map(({ address, from }) => `${from} > ${address}`),
  ]
}

const FROM = ['10.1.0.0/24 > 10.1.0.5', 'fd00:1::/64 > fd00:1::5']
const web = { hostPort: 8080, containerPort: 80, protocol: 'tcp' }

const ROWS: readonly [what: string, ReturnType<typeof plan>, readonly string[]][] = [
  ['nothing for no mapping', plan([]), []],
  ['both families', plan([web]), ['any 8080/tcp > 10.1.0.5 80', 'any 8080/tcp > fd00:1::5 80', ...FROM]],
  [
    'the family of the hostIP',
    plan([{ ...web, hostIP: '192.0.2.1' }]),
    ['192.0.2.1 8080/tcp > 10.1.0.5 80', FROM[0] ?? ''],
  ],
  [
    'any address for 0.0.0.0',
    plan([{ ...web, hostIP: '0.0.0.0' }]),
    ['any 8080/tcp > 10.1.0.5 80', FROM[0] ?? ''],
  ],
  ['any address for ::', plan([{ ...web, hostIP: '::' }]), ['any 8080/tcp > fd00:1::5 80', FROM[1] ?? '']],
  [
    'any address for an empty hostIP',
    plan([{ ...web, hostIP: '' }], {}, V4),
    ['any 8080/tcp > 10.1.0.5 80', FROM[0] ?? ''],
  ],
  ['nothing of a family that the pod lacks', plan([{ ...web, hostIP: '::1' }], {}, V4), []],
  ['nothing for a pod without address', plan([web], {}, {}), []],
  [
    'capitals, as go-cni sends them',
    plan([{ HostPort: 53, ContainerPort: 53, Protocol: 'UDP', HostIP: '' }], {}, V4),
    ['any 53/udp > 10.1.0.5 53', FROM[0] ?? ''],
  ],
  [
    'TCP when nothing is said',
    plan([{ hostPort: 1, containerPort: 65535 }], {}, V4),
    ['any 1/tcp > 10.1.0.5 65535', FROM[0] ?? ''],
  ],
  ['one mapping given twice', plan([web, web], {}, V4), ['any 8080/tcp > 10.1.0.5 80', FROM[0] ?? '']],
  [
    'no masquerade without snat',
    plan([web], { snat: false, masqAll: true }, V4),
    ['any 8080/tcp > 10.1.0.5 80'],
  ],
  [
    'everybody with masqAll',
    plan([web], { masqAll: true }, V4),
    ['any 8080/tcp > 10.1.0.5 80', 'any > 10.1.0.5'],
  ],
]

for (const [what, record, expected] of ROWS) {
  test(`host ports are planned for ${what}`, (t) => {
    t.strictSame(text(record), expected)
    t.end()
  })
}

const REFUSED: readonly [object, number, string | RegExp][] = [
  [{ markMasqBit: 5, externalSetMarkChain: 'X' }, 7, 'Cannot specify externalSetMarkChain and markMasqBit'],
  [{ markMasqBit: 32 }, 7, 'MasqMarkBit must be between 0 and 31'],
  [{ markMasqBit: -1 }, 7, 'MasqMarkBit must be between 0 and 31'],
  [{ backend: 'ipvs' }, 7, 'unrecognized backend "ipvs"'],
  [
    { backend: 'nftables', externalSetMarkChain: 'X' },
    7,
    /^nftables backend was requested but configuration/,
  ],
  [
    { conditionsV4: ['ip', 'saddr', '192.0.2.0/24'] },
    2,
    /^conditionsV4 \["ip","saddr","192.0.2.0\/24"\] is not/,
  ],
  [{ runtimeConfig: { portMappings: [{ hostPort: 80 }] } }, 7, 'Invalid container port number: 0'],
  [
    { runtimeConfig: { portMappings: [{ containerPort: 80, hostPort: -2 }] } },
    7,
    'Invalid host port number: -2',
  ],
  [
    { runtimeConfig: { portMappings: [{ containerPort: 80, hostPort: 65536 }] } },
    7,
    'Invalid host port number: 65536',
  ],
  [
    { runtimeConfig: { portMappings: [{ ...web, protocol: 'icmp' }] } },
    7,
    'runtimeConfig.portMappings[0].protocol: "icmp" is none of tcp, udp, sctp',
  ],
  [
    { runtimeConfig: { portMappings: [{ ...web, hostIP: 'node' }] } },
    7,
    /^runtimeConfig.portMappings\[0\].hostIP: /,
  ],
  [{ runtimeConfig: { portMappings: {} } }, 7, 'runtimeConfig.portMappings: expected a list, got an object'],
]

for (const [netconf, code, message] of REFUSED) {
  test(`the config is refused when it is ${JSON.stringify(netconf)}`, (t) => {
    t.throws(() => parseNetconf(netconf as Record<string, unknown>), { code, message })
    t.end()
  })
}

test('the config is taken with what has no meaning here', (t) => {
  for (const netconf of [
    { backend: 'iptables' },
    { backend: 'nftables' },
    { markMasqBit: 0 },
    { externalSetMarkChain: 'KUBE-MARK-MASQ' },
    { conditionsV4: [] },
  ])
    t.strictSame(parseNetconf(netconf), { snat: true, masqAll: false, mappings: [] })
  t.end()
})

test('one host port for two ports of the pod is refused', (t) => {
  t.throws(() => plan([web, { ...web, containerPort: 81 }]), {
    code: 7,
    message: 'host port 8080/tcp is mapped to two ports of the pod: 80 and 81',
  })
  t.end()
})
