// What the reference tells of `cni-dummy`.

import { DNS_NOTE } from '../../lib/attach/stacked-notes.ts'
import type { PluginReference } from '../../lib/cni/reference.ts'
import { netconfSchema } from './netconf.ts'

export const reference: PluginReference = {
  name: 'cni-dummy',
  summary: 'gives a pod an interface with addresses and nothing behind it.',
  about: ['The first of a chain. Needs `CONFIG_DUMMY`.'],
  schema: netconfSchema,
  notes: { dns: DNS_NOTE, 'ipam.type': { required: true } },
  example: [{ type: 'cni-dummy', ipam: { type: 'ipam-static', addresses: [{ address: '10.9.0.1/32' }] } }],
  outcome: 'Programs in the pod can bind to 10.9.0.1.',
}
