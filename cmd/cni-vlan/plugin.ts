// `cni-vlan`: gives a pod the frames of one VLAN of a link of the node (upstream's `vlan`).

import type { Plugin } from '../../lib/cni/plugin.ts'
import { SPEC_VERSIONS } from '../../lib/cni/versions.ts'
import type { Ports } from '../../lib/host/ports.ts'

export const plugin: Plugin<Ports> = {
  name: 'cni-vlan',
  supportedVersions: SPEC_VERSIONS,
  add: async (ports, request) => (await import('./verbs.ts')).add(ports, request),
  del: async (ports, request) => (await import('./verbs.ts')).del(ports, request),
  check: async (ports, request) => (await import('./verbs.ts')).check(ports, request),
  gc: async (ports, request) => (await import('./verbs.ts')).gc(ports, request),
  status: async (ports, request) => (await import('./verbs.ts')).status(ports, request),
  findGarbage: async (ports, request) => (await import('./verbs.ts')).findGarbage(ports, request),
}
