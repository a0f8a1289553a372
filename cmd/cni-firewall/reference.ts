// What the reference tells of `cni-firewall`.

import type { PluginReference } from '../../lib/cni/reference.ts'
import { netconfSchema } from './netconf.ts'

export const reference: PluginReference = {
  name: 'cni-firewall',
  summary: 'says who may reach a pod from behind a bridge, and lets pods pass other firewalls of the node.',
  about: [
    'Chained, after a plugin that gives the pod its addresses. Each chain of Docker’s, firewalld’s and others that would drop what pods send gets one rule ([how](../adr/0021-firewall.md)).',
  ],
  schema: netconfSchema,
  notes: {
    backend: {
      upstream: '"iptables" or "firewalld"; when absent firewalld where it runs. "nftables" is unknown there',
    },
    ingressPolicy: {
      absent: '"open"',
      more: '"same-bridge": not from other bridges that have such pods. "isolated": nor from its own bridge, which needs `CONFIG_NF_TABLES_BRIDGE` and not br_netfilter.',
      upstream: '"isolated" needs br_netfilter',
    },
    iptablesAdminChainName: {
      upstream: 'a chain of iptables’ table filter',
    },
    firewalldZone: {
      more: 'Another is refused (code 2) with `"backend": "firewalld"`, since it would restrict pods in a way that is not done here.',
      upstream: 'any zone',
    },
  },
  example: [
    {
      type: 'cni-bridge',
      isDefaultGateway: true,
      ipMasq: true,
      ipam: { type: 'ipam-host-local', subnet: '10.244.1.0/24' },
    },
    { type: 'cni-firewall', ingressPolicy: 'same-bridge' },
  ],
  outcome: 'Pods of other bridges do not reach these pods; other firewalls of the node let them pass.',
}
