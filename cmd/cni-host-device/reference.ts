// What the reference tells of `cni-host-device`.

import { DNS_NOTE } from '../../lib/attach/stacked-notes.ts'
import type { PluginReference } from '../../lib/cni/reference.ts'
import { netconfSchema } from './netconf.ts'

const ONE_OF = 'unless another names the link'

export const reference: PluginReference = {
  name: 'cni-host-device',
  summary: 'moves a link of the node into the pod, and back.',
  about: [
    'The first of a chain. The link is named by `device`, `hwaddr`, `kernelpath` or `pciBusID`; the first of these that is there counts. After DEL it has its name, addresses and routes of before. A device that a program drives (DPDK) stays where it is.',
  ],
  schema: netconfSchema,
  notes: {
    device: { required: ONE_OF },
    hwaddr: { required: ONE_OF },
    kernelpath: { required: ONE_OF },
    pciBusID: { required: ONE_OF },
    dns: DNS_NOTE,
  },
  example: [
    {
      type: 'cni-host-device',
      device: 'eth1',
      ipam: { type: 'ipam-static', addresses: [{ address: '192.0.2.20/24', gateway: '192.0.2.1' }] },
    },
  ],
  outcome: 'The node’s eth1 is the pod’s interface, until DEL.',
}
