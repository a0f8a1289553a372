// `ipam-host-local`: addresses from ranges of the node's own (upstream's `host-local`). Each verb is loaded when it
// is called.

import type { Plugin } from '../../lib/cni/plugin.ts'
import { SPEC_VERSIONS } from '../../lib/cni/versions.ts'
import type { Ports } from '../../lib/host/ports.ts'

export const plugin: Plugin<Ports> = {
  name: 'ipam-host-local',
  supportedVersions: SPEC_VERSIONS,
  add: async (ports, request) => (await import('./verbs.ts')).add(ports, request),
  del: async (ports, request) => (await import('./verbs.ts')).del(ports, request),
  check: async (ports, request) => (await import('./verbs.ts')).check(ports, request),
  gc: async (ports, request) => (await import('./gc.ts')).gc(ports, request),
  status: async (ports, request) => (await import('./status.ts')).status(ports, request),
  findGarbage: async (ports, request) => (await import('./gc.ts')).findGarbage(ports, request),
}
