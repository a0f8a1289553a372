// `cni-firewall`: what pods may receive from other bridges, and a way for them through other firewalls (upstream's
// `firewall`). Each verb is a file of its own, loaded when it is called.

import type { Plugin } from '../../lib/cni/plugin.ts'
import { atLeast, SPEC_VERSIONS } from '../../lib/cni/versions.ts'
import type { Ports } from '../../lib/host/ports.ts'

export const plugin: Plugin<Ports> = {
  name: 'cni-firewall',
  // As upstream's: before, DEL gets no prevResult.
  supportedVersions: SPEC_VERSIONS.filter((version) => atLeast(version, '0.4.0')),
  add: async (ports, request) => (await import('./add.ts')).add(ports, request),
  del: async (ports, request) => (await import('./del.ts')).del(ports, request),
  check: async (ports, request) => (await import('./check.ts')).check(ports, request),
  gc: async (ports, request) => (await import('./gc.ts')).gc(ports, request),
  status: async (ports, request) => (await import('./status.ts')).status(ports, request),
  repair: async (ports, request) => (await import('./repair.ts')).repair(ports, request),
  findGarbage: async (ports, request) => (await import('./gc.ts')).findGarbage(ports, request),
}
