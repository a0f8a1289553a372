// `cni-portmap`: ports of the node that are a pod's, after a plugin that gave the pod its address (upstream's
// `portmap`). Each verb is a file of its own, loaded when it is called.

import type { Plugin } from '../../lib/cni/plugin.ts'
import { SPEC_VERSIONS } from '../../lib/cni/versions.ts'
import type { Ports } from '../../lib/host/ports.ts'

export const plugin: Plugin<Ports> = {
  name: 'cni-portmap',
  supportedVersions: SPEC_VERSIONS,
  add: async (ports, request) => (await import('./add.ts')).add(ports, request),
  del: async (ports, request) => (await import('./del.ts')).del(ports, request),
  check: async (ports, request) => (await import('./check.ts')).check(ports, request),
  gc: async (ports, request) => (await import('./gc.ts')).gc(ports, request),
  status: async (ports, request) => (await import('./status.ts')).status(ports, request),
  repair: async (ports, request) => (await import('./repair.ts')).repair(ports, request),
  findGarbage: async (ports, request) => (await import('./gc.ts')).findGarbage(ports, request),
}
