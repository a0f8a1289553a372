// `cni-bandwidth`: limits how fast a pod receives and sends (upstream's `bandwidth`). It comes after a plugin that made
// the pod's veth pair. Each verb is loaded when it is called.

import type { Plugin } from '../../lib/cni/plugin.ts'
import { SPEC_VERSIONS } from '../../lib/cni/versions.ts'
import type { Ports } from '../../lib/host/ports.ts'

export const plugin: Plugin<Ports> = {
  name: 'cni-bandwidth',
  // The result of an earlier plugin has interfaces since 0.3.0.
  supportedVersions: SPEC_VERSIONS.slice(SPEC_VERSIONS.indexOf('0.3.0')),
  add: async (ports, request) => (await import('./verbs.ts')).add(ports, request),
  del: async (ports, request) => (await import('./verbs.ts')).del(ports, request),
  check: async (ports, request) => (await import('./verbs.ts')).check(ports, request),
  gc: async (ports, request) => (await import('./gc.ts')).gc(ports, request),
  status: async (ports, request) => (await import('./status.ts')).status(ports, request),
  repair: async (ports, request) => (await import('./repair.ts')).repair(ports, request),
  findGarbage: async (ports, request) => (await import('./gc.ts')).findGarbage(ports, request),
}
