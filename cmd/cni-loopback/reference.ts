// What the reference tells of `cni-loopback`.

import type { PluginReference } from '../../lib/cni/reference.ts'
import { object } from '../../lib/cni/schema.ts'

export const reference: PluginReference = {
  name: 'cni-loopback',
  summary: 'brings up `lo` of a pod.',
  about: [
    'containerd executes `loopback` for every pod, before the network’s own plugins: install with `--upstream-names`. It keeps no record. The plugins of Podwire that make an interface bring `lo` up, too.',
  ],
  schema: object({}),
  notes: {},
  example: [{ type: 'cni-loopback' }],
  outcome: '`lo` is up, with 127.0.0.1 and ::1.',
}
