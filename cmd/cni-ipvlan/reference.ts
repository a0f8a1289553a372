// What the reference tells of `cni-ipvlan`.

import { STACKED_NOTES } from '../../lib/attach/stacked-notes.ts'
import type { PluginReference } from '../../lib/cni/reference.ts'
import { netconfSchema } from './netconf.ts'

export const reference: PluginReference = {
  name: 'cni-ipvlan',
  summary: 'gives a pod an interface that shares the MAC address of a link of the node.',
  about: [
    'The first of a chain, or chained: then it lies on the interface of the plugin before, and without `ipam` takes the addresses of that. Needs `CONFIG_IPVLAN`.',
  ],
  schema: netconfSchema,
  notes: {
    ...STACKED_NOTES,
    master: { absent: 'the link of the default route; chained, the interface of the plugin before' },
    mode: { absent: '"l2"' },
    'ipam.type': { required: 'unless chained' },
  },
  example: [
    {
      type: 'cni-ipvlan',
      master: 'eth0',
      mode: 'l2',
      ipam: { type: 'ipam-static', addresses: [{ address: '192.0.2.20/24', gateway: '192.0.2.1' }] },
    },
  ],
  outcome: 'The pod is in the network of the node’s eth0, as 192.0.2.20, under the MAC address of eth0.',
}
