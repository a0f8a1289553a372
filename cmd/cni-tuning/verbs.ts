// The verbs of `cni-tuning`, as of any chained plugin (lib/attach/chained.ts).

import { addChained, checkChained, delChained, gcChained } from '../../lib/attach/chained.ts'
import { findStoreProblem, requireReady } from '../../lib/attach/readiness.ts'
import { findDeadRecords } from '../../lib/attach/recorded.ts'
import type { Garbage } from '../../lib/cni/plugin.ts'
import type { Request } from '../../lib/cni/request.ts'
import type { Result } from '../../lib/cni/result.ts'
import type { Ports } from '../../lib/host/ports.ts'
import { parseNetconf } from './netconf.ts'
import { requireAllowed } from './sysctl-key.ts'
import { tuning } from './tuning.ts'

export const add = (ports: Ports, request: Request): Promise<Result> => addChained(ports, request, tuning)
export const del = (ports: Ports, request: Request): Promise<void> => delChained(ports, request, tuning)
export const check = (ports: Ports, request: Request): Promise<void> => checkChained(ports, request, tuning)
export const gc = (ports: Ports, request: Request): Promise<void> => gcChained(ports, request, tuning)

export async function findGarbage(ports: Ports, request: Request): Promise<Garbage[]> {
  return findDeadRecords(ports, request, tuning)
}

export async function status(ports: Ports, request: Request): Promise<void> {
  const { sysctl } = parseNetconf(request)
  requireAllowed(ports.files, Object.keys(sysctl))
  requireReady(findStoreProblem(ports))
}
