// `cni-proxy-arp`, the example of docs/writing-a-plugin.md: the node answers ARP requests on the pod's wire for every
// address that it has a route to (proxy_arp in the kernel's ip-sysctl documentation).

import type { Plugin } from '../../lib/cni/plugin.ts'
import { SPEC_VERSIONS } from '../../lib/cni/versions.ts'
import type { Ports } from '../../lib/host/ports.ts'

export const plugin: Plugin<Ports> = {
  name: 'cni-proxy-arp',
  supportedVersions: SPEC_VERSIONS,
  add: async (ports, request) => (await import('./verbs.ts')).add(ports, request),
  del: async (ports, request) => (await import('./verbs.ts')).del(ports, request),
  check: async (ports, request) => (await import('./verbs.ts')).check(ports, request),
  gc: async (ports, request) => (await import('./verbs.ts')).gc(ports, request),
  status: async (ports, request) => (await import('./verbs.ts')).status(ports, request),
  findGarbage: async (ports, request) => (await import('./verbs.ts')).findGarbage(ports, request),
}
