// `cni-ptp`: a veth pair between node and pod with nothing in between, and a route to each pod (upstream's `ptp`).

import type { Plugin } from '../../lib/cni/plugin.ts'
import { SPEC_VERSIONS } from '../../lib/cni/versions.ts'
import type { Ports } from '../../lib/host/ports.ts'

export const plugin: Plugin<Ports> = {
  name: 'cni-ptp',
  supportedVersions: SPEC_VERSIONS,
  add: async (ports, request) => (await import('./add.ts')).add(ports, request),
  del: async (ports, request) => (await import('./del.ts')).del(ports, request),
  check: async (ports, request) => (await import('./check.ts')).check(ports, request),
  gc: async (ports, request) => (await import('./del.ts')).gc(ports, request),
  status: async (ports, request) => (await import('./check.ts')).status(ports, request),
  repair: async (ports, request) => (await import('./check.ts')).repair(ports, request),
  findGarbage: async (ports, request) => (await import('./del.ts')).findGarbage(ports, request),
}
