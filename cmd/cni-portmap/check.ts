// CHECK: every element, rule and chain that the pod's ports need is looked for; nothing is changed.

import { checkChained } from '../../lib/attach/chained.ts'
import type { Request } from '../../lib/cni/request.ts'
import type { Ports } from '../../lib/host/ports.ts'
import { portmap } from './portmap.ts'

export async function check(ports: Ports, request: Request): Promise<void> {
  await checkChained(ports, request, portmap)
}
