// What the reference tells of `cni-portmap`.

import type { PluginReference } from '../../lib/cni/reference.ts'
import { netconfSchema } from './netconf.ts'

export const reference: PluginReference = {
  name: 'cni-portmap',
  summary: 'makes ports of the node lead to a pod.',
  about: [
    'Chained, after a plugin that gives the pod its addresses. The ports work for clients on other hosts, on the node, in other pods and in the pod itself.',
    'A port that is taken is refused, with who holds it. Each mapping is an element of a map ([how](../adr/0020-hostports.md)). The kernel needs nf_tables with NAT and `fib` (`CONFIG_NFT_FIB_INET`).',
  ],
  schema: netconfSchema,
  notes: {
    backend: { upstream: 'chooses between the two' },
    markMasqBit: { more: 'Not with externalSetMarkChain.', upstream: 'the bit that is set, 13 when absent' },
    externalSetMarkChain: {
      more: 'Nor with backend "nftables".',
      upstream: 'the chain that sets the mark',
    },
    conditionsV4: { upstream: 'arguments of iptables or nft for the pod’s rules' },
    conditionsV6: { upstream: 'as conditionsV4' },
    'runtimeConfig.portMappings[].hostPort': { required: true },
    'runtimeConfig.portMappings[].containerPort': { required: true },
    'runtimeConfig.portMappings[].protocol': { absent: '"tcp"', upstream: 'required' },
    'runtimeConfig.portMappings[].hostIP': {
      more: 'A mapping with an address comes before one without.',
      upstream: 'of two that overlap the oldest wins',
    },
  },
  example: [
    {
      type: 'cni-bridge',
      isDefaultGateway: true,
      ipMasq: true,
      hairpinMode: true,
      ipam: { type: 'ipam-host-local', subnet: '10.244.1.0/24' },
    },
    {
      type: 'cni-portmap',
      capabilities: { portMappings: true },
      runtimeConfig: { portMappings: [{ hostPort: 8080, containerPort: 80, protocol: 'tcp' }] },
    },
  ],
  outcome:
    'Port 8080 of the node is port 80 of the pod. `runtimeConfig` is what a runtime puts there for a pod with such a host port; leave it out of a file.',
}
