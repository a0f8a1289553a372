// Where the fuzzer starts from with chained plugins: configs that work, with a prevResult.

import type { Json } from '../harness/flatten.ts'
import type { JsonObject, Places } from './fuzz-seeds.ts'

export interface ChainedSeed {
  readonly plugin: string
  readonly config: JsonObject
}

export function chainedSeeds({ pod }: Places): ChainedSeed[] {
  const net = { cniVersion: '1.1.0', name: 'net', prevResult: prevResult(pod) }
  const valid = { 'cni.dev/valid-attachments': [{ containerID: 'resident', ifname: 'eth0' }] }
  const web = { HostPort: 8080, ContainerPort: 80, Protocol: 'TCP', HostIP: '' }
  const portmaps: JsonObject[] = [
    { ...net, ...valid, capabilities: { portMappings: true }, runtimeConfig: { portMappings: [web] } },
    {
      ...net,
      snat: false,
      masqAll: true,
      backend: 'iptables',
      markMasqBit: 13,
      runtimeConfig: {
        portMappings: [
          { hostPort: 53, containerPort: 53, protocol: 'udp', hostIP: '192.0.2.1' },
          { hostPort: 53, containerPort: 53, protocol: 'sctp', hostIP: '::' },
          { hostPort: 1, containerPort: 65535 },
        ],
      },
    },
    {
      ...net,
      cniVersion: '0.3.1',
      externalSetMarkChain: 'KUBE-MARK-MASQ',
      conditionsV4: [],
      runtimeConfig: { portMappings: [{ hostPort: 80, containerPort: 80, protocol: 'tcp' }] },
    },
  ]
  const firewalls: JsonObject[] = [
    { ...net, ...valid, backend: 'firewalld', firewalldZone: 'trusted' },
    { ...net, ingressPolicy: 'same-bridge', iptablesAdminChainName: 'CNI-ADMIN' },
    { ...net, cniVersion: '0.4.0', ingressPolicy: 'isolated', backend: 'iptables' },
  ]
  return [
    ...portmaps.map((config) => ({ plugin: 'cni-portmap', config })),
    ...firewalls.map((config) => ({ plugin: 'cni-firewall', config })),
  ]
}

/** Fresh each time: it is changed in place. */
function prevResult(pod: string): Json {
  return {
    cniVersion: '1.1.0',
    interfaces: [
      { name: 'cni0', mac: '02:00:00:00:00:01' },
      { name: 'veth0a1b2c3d', mac: '02:00:00:00:00:02' },
      { name: 'eth0', mac: '02:00:00:00:00:03', sandbox: pod },
    ],
    ips: [
      { address: '10.1.0.2/24', gateway: '10.1.0.1', interface: 2 },
      { address: 'fd00:1::2/64', gateway: 'fd00:1::1', interface: 2 },
    ],
    routes: [{ dst: '0.0.0.0/0' }],
  }
}
