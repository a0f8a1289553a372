// `cni-vrf`: the pod's interface goes into a VRF, which has a routing table of its own (upstream's `vrf`).

import type { Plugin } from '../../lib/cni/plugin.ts'
import { atLeast, SPEC_VERSIONS } from '../../lib/cni/versions.ts'
import type { Ports } from '../../lib/host/ports.ts'

export const plugin: Plugin<Ports> = {
  name: 'cni-vrf',
  supportedVersions: SPEC_VERSIONS.filter((version) => atLeast(version, '0.3.1')),
  add: async (ports, request) => (await import('./verbs.ts')).add(ports, request),
  del: async (ports, request) => (await import('./verbs.ts')).del(ports, request),
  check: async (ports, request) => (await import('./verbs.ts')).check(ports, request),
  gc: async (ports, request) => (await import('./verbs.ts')).gc(ports, request),
  status: async (ports, request) => (await import('./verbs.ts')).status(ports, request),
  findGarbage: async (ports, request) => (await import('./verbs.ts')).findGarbage(ports, request),
}
