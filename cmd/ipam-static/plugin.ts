// `ipam-static`: addresses that the config or the runtime names (upstream's `static`). Nothing is leased: DEL and GC
// have nothing to do, and who names one address twice gets it twice.

import type { Plugin } from '../../lib/cni/plugin.ts'
import { SPEC_VERSIONS } from '../../lib/cni/versions.ts'
import type { Ports } from '../../lib/host/ports.ts'

export const plugin: Plugin<Ports> = {
  name: 'ipam-static',
  supportedVersions: SPEC_VERSIONS,
  add: async (_, request) => (await import('./verbs.ts')).add(request),
  del: async () => undefined,
  check: async (_, request) => (await import('./verbs.ts')).check(request),
  status: async (_, request) => (await import('./verbs.ts')).status(request),
}
