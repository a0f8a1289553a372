// What the reference tells of `cni-vrf`.

import type { PluginReference } from '../../lib/cni/reference.ts'
import { netconfSchema } from './netconf.ts'

export const reference: PluginReference = {
  name: 'cni-vrf',
  summary: 'puts a pod’s interface into a VRF, a network with routing tables of its own.',
  about: [
    'Chained, after a plugin that makes the interface, whose routes go into the VRF’s table. The VRF is made where it is missing, and goes with the last interface in it. Needs `CONFIG_NET_VRF`.',
  ],
  schema: netconfSchema,
  notes: {
    vrfname: { required: true },
    table: { absent: 'that of the VRF; of a new one the lowest that is free' },
  },
  example: [
    {
      type: 'cni-bridge',
      isGateway: true,
      ipam: { type: 'ipam-host-local', subnet: '10.244.1.0/24' },
    },
    { type: 'cni-vrf', vrfname: 'blue', table: 1001 },
  ],
  outcome: 'The pod’s interface is in the VRF blue.',
}
