// `podwire repair`: limits that others took from a running pod are made again.

import { mendAspects } from '../../lib/attach/mending.ts'
import { findRecord } from '../../lib/attach/recorded.ts'
import type { Repair } from '../../lib/cni/plugin.ts'
import type { Request } from '../../lib/cni/request.ts'
import type { Ports } from '../../lib/host/ports.ts'
import { compareShaping, remakeShaping, type Shaping } from '../../lib/shaping/shaping.ts'
import { PLUGIN } from './limits.ts'

export async function repair(ports: Ports, request: Request): Promise<Repair> {
  const shaping = findRecord<Shaping>(ports, request, PLUGIN)
  const { rtnl } = ports.kernel.host
  if (shaping === undefined) return { mended: [], left: [] }
  const check = () => compareShaping(rtnl, shaping)
  const mend = async () => {
    if ((await rtnl.findLink(shaping.host.index)) === undefined) return // its wire is gone: that takes a restart
    await remakeShaping(rtnl, shaping)
  }
  return mendAspects([{ check, mend }])
}
