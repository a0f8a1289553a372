// What the reference tells of `cni-ptp`.

import type { PluginReference } from '../../lib/cni/reference.ts'
import { netconfSchema } from './netconf.ts'

export const reference: PluginReference = {
  name: 'cni-ptp',
  summary: 'makes a wire between node and pod with nothing in between, and a route to each pod.',
  about: [
    'The first of a chain. Pods reach each other by the node’s routes, so br_netfilter is not needed for Services. The addresses that the IPAM plugin gives need gateways.',
  ],
  schema: netconfSchema,
  notes: {
    ipMasq: { upstream: 'iptables rules, or an nftables table of its own' },
    ipMasqBackend: {
      upstream: 'chooses between the two; when absent iptables, or nftables where only that can be used',
    },
    mtu: { unit: 'bytes' },
    dns: {
      more: 'It stands in place of what the IPAM plugin says. An empty list in it counts: then there are none.',
    },
    'ipam.type': { required: true },
  },
  example: [
    {
      type: 'cni-ptp',
      ipMasq: true,
      mtu: 1400,
      ipam: { type: 'ipam-host-local', subnet: '10.244.1.0/24', routes: [{ dst: '0.0.0.0/0' }] },
    },
  ],
  outcome:
    'The pod has one wire to the node, whose end there has the gateway’s address; all it sends goes there.',
}
