// What the reference tells of `cni-sbr`.

import type { PluginReference } from '../../lib/cni/reference.ts'
import { netconfSchema } from './netconf.ts'

export const reference: PluginReference = {
  name: 'cni-sbr',
  summary: 'makes what a pod sends from an address of an interface leave by that interface.',
  about: [
    'Chained, after a plugin that gives the interface addresses; for pods with several. Each address gets a routing table and a rule, and the interface’s routes move there; DEL moves them back. With `table` there are only rules.',
  ],
  schema: netconfSchema,
  notes: {
    table: {
      absent: 'free ones from 100 on, to which the routes move',
      more: 'The IPAM’s `routes` can have the same `table`.',
    },
    gateways: { absent: 'those of the addresses' },
  },
  example: [
    {
      type: 'cni-bridge',
      isGateway: true,
      ipam: { type: 'ipam-host-local', subnet: '10.244.1.0/24', routes: [{ dst: '0.0.0.0/0' }] },
    },
    { type: 'cni-sbr', addSourceHints: true },
  ],
  outcome: 'The default route is in table 100, for what has the pod’s address as its source.',
}
