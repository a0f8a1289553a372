// What the reference tells of `ipam-static`.

import type { PluginReference } from '../../lib/cni/reference.ts'
import { netconfSchema } from './netconf.ts'

export const reference: PluginReference = {
  name: 'ipam-static',
  summary: 'gives the addresses that the config or the runtime names.',
  about: [
    'The `ipam` of a plugin that makes an interface: its fields are inside `ipam`. Nothing is leased: who uses one address twice is not told.',
    'Addresses in CNI_ARGS are added to those of the config; args.cni.ips come instead of both, and runtimeConfig.ips instead of all.',
  ],
  schema: netconfSchema,
  notes: {
    'ipam.type': { required: 'by the plugin that makes the interface' },
    'ipam.addresses': {
      more: 'In configurations before 0.3.0 there is one for each family at most.',
    },
    'ipam.addresses[].address': { required: 'in each' },
    'ipam.routes': {
      more: 'Results of versions before 1.0.0 have room for dst and gw only.',
    },
    'ipam.routes[].dst': { required: 'in each route' },
    'ipam.routes[].mtu': { unit: 'bytes' },
    'ipam.routes[].advmss': { unit: 'bytes' },
  },
  args: {
    IP: 'addresses in CIDR notation, separated by commas, after those of the config',
    GATEWAY: 'their gateways, separated by commas: each is that of the addresses whose subnet it is in',
    MAC: 'passed over: for the plugin that makes the interface',
  },
  example: [
    {
      type: 'cni-bridge',
      isGateway: true,
      ipam: {
        type: 'ipam-static',
        addresses: [
          { address: '10.1.0.5/24', gateway: '10.1.0.1' },
          { address: 'fd00:1::5/64', gateway: 'fd00:1::1' },
        ],
        routes: [{ dst: '0.0.0.0/0' }, { dst: '::/0', gw: 'fd00:1::1' }],
        dns: { nameservers: ['10.1.0.1'], search: ['example.org'] },
      },
    },
  ],
  outcome: 'The pod gets these two addresses, and a default route in each family.',
}
