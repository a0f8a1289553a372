// STATUS: whether the next ADD would work. Nothing is made; the kernel may load modules that an ADD would load, too.

import { findStoreProblem, requireReady } from '../../lib/attach/readiness.ts'
import { CNI_CODE } from '../../lib/cni/errors.ts'
import type { Request } from '../../lib/cni/request.ts'
import type { Ports } from '../../lib/host/ports.ts'
import { findMissingFeatures } from '../../lib/shaping/shaping-support.ts'
import { parseNetconf } from './netconf.ts'

export async function status(ports: Ports, request: Request): Promise<void> {
  parseNetconf(request)
  const missing = await findMissingFeatures(ports.kernel.host.rtnl)
  requireReady([
    ...findStoreProblem(ports),
    ...missing.map((problem) => ({ code: CNI_CODE.pluginNotAvailable, ...problem })),
  ])
}
