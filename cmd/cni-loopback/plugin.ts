// `cni-loopback`: brings up the loopback interface of a pod (upstream's `loopback`). containerd executes it for every
// pod, so it records nothing and does as little as it can.

import type { Plugin } from '../../lib/cni/plugin.ts'
import { SPEC_VERSIONS } from '../../lib/cni/versions.ts'
import type { Ports } from '../../lib/host/ports.ts'

export const plugin: Plugin<Ports> = {
  name: 'cni-loopback',
  supportedVersions: SPEC_VERSIONS,
  add: async (ports, request) => (await import('./verbs.ts')).add(ports, request),
  del: async (ports, request) => (await import('./verbs.ts')).del(ports, request),
  check: async (ports, request) => (await import('./verbs.ts')).check(ports, request),
}
