// Where the fuzzer starts from: configs that work, and the values that configs are made of.

import type { Json } from '../harness/flatten.ts'

export type JsonObject = { [key: string]: Json }

/** What a case's paths are called where it is played. */
export interface Places {
  readonly pod: string
  readonly node: string
  readonly dataDir: string
}

export const VERBS = ['ADD', 'DEL', 'CHECK', 'GC', 'STATUS', 'VERSION'] as const
export const VERSIONS = ['0.1.0', '0.2.0', '0.3.0', '0.3.1', '0.4.0', '1.0.0', '1.1.0'] as const

/** As runtimes write them, each with other fields. */
export function seedConfigs({ dataDir }: Places): JsonObject[] {
  const type = 'ipam-host-local'
  const net = { cniVersion: '1.1.0', name: 'net', type: 'cni-bridge' }
  return [
    { ...net, isGateway: true, ipMasq: true, ipam: { type, dataDir, ranges: [[{ subnet: '10.1.0.0/24' }]] } },
    {
      ...net,
      bridge: 'br1',
      isDefaultGateway: true,
      forceAddress: true,
      ipMasq: true,
      ipMasqBackend: 'nftables',
      hairpinMode: true,
      mtu: 1400,
      ipam: {
        type,
        dataDir,
        ranges: [
          [{ subnet: '10.2.0.0/24', rangeStart: '10.2.0.10', rangeEnd: '10.2.0.20', gateway: '10.2.0.1' }],
          [{ subnet: '2001:db8::/64', exclude: ['2001:db8::2'] }],
        ],
        routes: [
          { dst: '0.0.0.0/0' },
          { dst: '192.0.2.0/24', gw: '10.2.0.1', mtu: 1300, priority: 5, table: 100 },
        ],
        resolvConf: '/etc/resolv.conf',
      },
    },
    {
      ...net,
      cniVersion: '0.4.0',
      promiscMode: true,
      portIsolation: true,
      enabledad: true,
      capabilities: { ips: true, mac: true, ipRanges: true },
      runtimeConfig: {
        mac: '02:00:00:00:00:10',
        ips: ['10.3.0.9'],
        ipRanges: [[{ subnet: '10.3.0.0/24', gateway: '10.3.0.1' }]],
      },
      args: { cni: { mac: '02:00:00:00:00:11', ips: ['10.3.0.9/24'] } },
      dns: {
        nameservers: ['10.3.0.53'],
        domain: 'example.org',
        search: ['example.org'],
        options: ['ndots:2'],
      },
      ipam: { type, dataDir, subnet: '10.4.0.0/24', routes: [{ dst: '::/0' }] },
    },
    {
      ...net,
      cniVersion: '0.3.1',
      vlan: 100,
      vlanTrunk: [{ minID: 10, maxID: 20 }, { id: 5 }],
      preserveDefaultVlan: false,
    },
    { ...net, macspoofchk: true, disableContainerInterface: true, ipam: {} },
    {
      ...net,
      cniVersion: '1.1.0',
      isGateway: true,
      'cni.dev/valid-attachments': [{ containerID: 'resident', ifname: 'eth0' }],
      'cni.dev/attachments': [],
      prevResult: {
        cniVersion: '1.1.0',
        interfaces: [
          { name: 'cni0', mac: '02:00:00:00:00:01' },
          { name: 'eth0', sandbox: '/run/netns/pod', mtu: 1500 },
        ],
        ips: [{ address: '10.1.0.2/24', gateway: '10.1.0.1', interface: 1 }],
        routes: [{ dst: '0.0.0.0/0', gw: '10.1.0.1' }],
        dns: {},
      },
      ipam: {
        type,
        dataDir,
        ranges: [[{ subnet: '10.1.0.0/30' }, { subnet: '10.1.1.0/31' }], [{ subnet: 'fd00::/127' }]],
      },
    },
  ]
}

/** Keys that some part of the product reads, or that JavaScript gives a meaning of its own. */
export const KEYS = [
  ...[
    'bridge',
    'isGateway',
    'isDefaultGateway',
    'forceAddress',
    'ipMasq',
    'ipMasqBackend',
    'mtu',
    'hairpinMode',
  ],
  ...['promiscMode', 'vlan', 'vlanTrunk', 'preserveDefaultVlan', 'macspoofchk', 'enabledad', 'portIsolation'],
  ...[
    'disableContainerInterface',
    'ipam',
    'type',
    'subnet',
    'rangeStart',
    'rangeEnd',
    'gateway',
    'ranges',
    'exclude',
  ],
  ...[
    'routes',
    'dst',
    'gw',
    'advmss',
    'priority',
    'table',
    'scope',
    'dataDir',
    'resolvConf',
    'runtimeConfig',
    'args',
  ],
  ...[
    'cni',
    'ips',
    'ipRanges',
    'mac',
    'dns',
    'nameservers',
    'cniVersion',
    'cniVersions',
    'name',
    'prevResult',
    'id',
  ],
  ...[
    'cni.dev/valid-attachments',
    'cni.dev/attachments',
    'containerID',
    'ifname',
    'minID',
    'maxID',
    'interface',
  ],
  ...[
    'sandbox',
    'address',
    'coolDown',
    'sticky',
    'cooldownSeconds',
    'exhaustedAt',
    'capabilities',
    'disableCheck',
  ],
  ...['runtimeConfig', 'portMappings', 'hostPort', 'containerPort', 'protocol', 'hostIP', 'HOSTIP', 'snat'],
  ...[
    'masqAll',
    'backend',
    'markMasqBit',
    'externalSetMarkChain',
    'conditionsV4',
    'ingressPolicy',
    'interfaces',
  ],
  ...['iptablesAdminChainName', 'firewalldZone'],
  ...['__proto__', 'constructor', 'toString', 'length', 'hasOwnProperty', ''],
]

/** Texts of the field, good and bad. */
export const TEXTS = [
  ...[
    '',
    ' ',
    '0',
    '1',
    'true',
    'null',
    'net',
    'cni0',
    'eth0',
    'lo',
    'auto',
    'default',
    '.',
    '..',
    '../..',
    'a/b',
    'a:b',
  ],
  ...[
    'veth0',
    'sixteen-letters-',
    'fifteen-letters',
    'cni-bridge',
    'ipam-host-local',
    'bridge',
    'host-local',
    'static',
  ],
  ...[
    '10.1.0.0/24',
    '10.1.0.0/30',
    '10.1.0.0/31',
    '10.1.0.0/32',
    '10.1.0.5/24',
    '0.0.0.0/0',
    '10.1.0.0/33',
    '10.1.0.0/-1',
  ],
  ...[
    '10.1.0.1',
    '10.1.0.2',
    '10.1.0.254',
    '10.1.0.255',
    '010.1.0.1',
    '10.1.0',
    '256.1.1.1',
    '224.0.0.0/8',
    '127.0.0.0/8',
  ],
  ...[
    '255.255.255.255/32',
    '::/0',
    '::/128',
    '::1',
    'fe80::/64',
    'fe80::1%eth0',
    '2001:db8::/64',
    '2001:db8::/127',
    'ff00::/8',
  ],
  ...[
    '::ffff:10.1.0.0/120',
    'fd00::1',
    'fd00::/63',
    '1::2::3',
    'ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff/128',
  ],
  ...[
    '02:00:00:00:00:10',
    '02-00-00-00-00-10',
    'ff:ff:ff:ff:ff:ff',
    '01:00:5e:00:00:01',
    '00:00:00:00:00:00',
    '02:00',
  ],
  ...[
    '10.1.0.2-10.1.0.9',
    '10.1.0.9-10.1.0.2',
    '10.1.0.2-',
    'nftables',
    'iptables',
    '/dev/null',
    '/nowhere/at/all',
  ],
  ...[
    '\u0000',
    'a\u0000b',
    'a\nb',
    '\ud800',
    '\udfff\ud800',
    'é',
    'e\u0301',
    '\u202e',
    '😀',
    '%s%n',
    "'; DROP TABLE leases; --",
  ],
  ...['tcp', 'UDP', 'sctp', 'icmp', 'open', 'same-bridge', 'isolated', 'firewalld', 'hostports', 'CNI-ADMIN'],
  ...VERSIONS,
  ...['1.2.0', '2.0.0', '1.0', 'v1.0.0', '1.0.0-rc1', '99999999999999999999.0.0'],
]

export const NUMBERS = [
  ...[
    0, -0, 1, -1, 2, 67, 68, 1280, 1500, 4094, 4095, 9000, 65535, 65536, 0.5, -0.5, 1e-300, 1e21, 1e308,
    -1e308,
  ],
  ...[2 ** 31 - 1, 2 ** 31, 2 ** 32 - 1, 2 ** 32, 2 ** 53, 2 ** 63, 253, 254, 255, 256],
]
