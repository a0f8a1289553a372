// `cni-ipvlan`: gives a pod an interface that shares the MAC address of a link of the node (upstream's `ipvlan`).

import type { Plugin } from '../../lib/cni/plugin.ts'
import { SPEC_VERSIONS } from '../../lib/cni/versions.ts'
import type { Ports } from '../../lib/host/ports.ts'

export const plugin: Plugin<Ports> = {
  name: 'cni-ipvlan',
  supportedVersions: SPEC_VERSIONS,
  add: async (ports, request) => (await import('./verbs.ts')).add(ports, request),
  del: async (ports, request) => (await import('./verbs.ts')).del(ports, request),
  check: async (ports, request) => (await import('./verbs.ts')).check(ports, request),
  gc: async (ports, request) => (await import('./verbs.ts')).gc(ports, request),
  status: async (ports, request) => (await import('./verbs.ts')).status(ports, request),
  findGarbage: async (ports, request) => (await import('./verbs.ts')).findGarbage(ports, request),
}
