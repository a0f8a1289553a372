// What the reference tells of `cni-macvlan`.

import { STACKED_NOTES } from '../../lib/attach/stacked-notes.ts'
import type { PluginReference } from '../../lib/cni/reference.ts'
import { netconfSchema } from './netconf.ts'

export const reference: PluginReference = {
  name: 'cni-macvlan',
  summary: 'gives a pod a MAC address of its own on a link of the node.',
  about: [
    'The first of a chain. To the network outside, each pod is a machine of its own. The node itself does not reach the pods on its link, nor they the node: so the kernel has it. Needs `CONFIG_MACVLAN`.',
  ],
  schema: netconfSchema,
  notes: {
    ...STACKED_NOTES,
    mode: { absent: '"bridge"' },
    mac: {
      absent: 'made from the pod’s first address; with "passthru" that of `master`',
      upstream: 'random when absent',
    },
    bcqueuelen: { unit: 'frames' },
    'args.cni.mac': { more: 'After runtimeConfig.mac, before MAC of CNI_ARGS and mac.' },
  },
  args: {
    MAC: 'MAC address of the pod’s interface; after runtimeConfig.mac and args.cni.mac, before `mac`',
    IP: 'passed over: for the IPAM plugin',
    GATEWAY: 'passed over: for the IPAM plugin',
  },
  example: [
    {
      type: 'cni-macvlan',
      master: 'eth0',
      mode: 'bridge',
      ipam: { type: 'ipam-static', addresses: [{ address: '192.0.2.20/24', gateway: '192.0.2.1' }] },
    },
  ],
  outcome: 'The pod is in the network of the node’s eth0, as 192.0.2.20.',
}
