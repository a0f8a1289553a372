// CHECK: elements, rules, and that no other firewall drops what the pod sends. Nothing is changed.

import { checkChained } from '../../lib/attach/chained.ts'
import { requirePrevResult } from '../../lib/attach/prev-result.ts'
import type { Request } from '../../lib/cni/request.ts'
import type { Ports } from '../../lib/host/ports.ts'
import { firewall } from './firewall.ts'

export async function check(ports: Ports, request: Request): Promise<void> {
  requirePrevResult(request, firewall.notChained)
  await checkChained(ports, request, firewall)
}
