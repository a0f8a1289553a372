// What the reference tells of `cni-vlan`.

import { STACKED_NOTES } from '../../lib/attach/stacked-notes.ts'
import type { PluginReference } from '../../lib/cni/reference.ts'
import { netconfSchema } from './netconf.ts'

export const reference: PluginReference = {
  name: 'cni-vlan',
  summary: 'gives a pod the frames of one VLAN of a link of the node.',
  about: [
    'The first of a chain. One VLAN of one link can be in one namespace only: with the same `master` and `vlanId` there is one pod at a time. Needs `CONFIG_VLAN_8021Q`.',
  ],
  schema: netconfSchema,
  notes: {
    ...STACKED_NOTES,
    master: { required: true },
    vlanId: { more: 'The error for another says 4095, as upstream’s does.' },
  },
  example: [
    {
      type: 'cni-vlan',
      master: 'eth0',
      vlanId: 7,
      ipam: { type: 'ipam-static', addresses: [{ address: '192.0.2.20/24', gateway: '192.0.2.1' }] },
    },
  ],
  outcome: 'The pod is in VLAN 7 of the node’s eth0.',
}
