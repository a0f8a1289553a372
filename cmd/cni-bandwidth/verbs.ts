// ADD, DEL and CHECK.

import { addChained, checkChained } from '../../lib/attach/chained.ts'
import { delRecorded } from '../../lib/attach/recorded.ts'
import type { Request } from '../../lib/cni/request.ts'
import type { Result } from '../../lib/cni/result.ts'
import type { Ports } from '../../lib/host/ports.ts'
import { limits } from './limits.ts'
import { parseNetconf } from './netconf.ts'

export async function add(ports: Ports, request: Request): Promise<Result> {
  parseNetconf(request) // a wrong config is told before a missing prevResult, as upstream does
  return addChained(ports, request, limits)
}

export async function del(ports: Ports, request: Request): Promise<void> {
  if (await delRecorded(ports, request, limits)) return
  await (await import('./upstream-detour.ts')).removeUpstreamDetour(ports, request)
}

export async function check(ports: Ports, request: Request): Promise<void> {
  await checkChained(ports, request, limits)
}
