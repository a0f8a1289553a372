// `podwire repair`: limits that others took from a running pod are made again.

import { findRecord } from '../../lib/attach/recorded.ts'
import type { Repair } from '../../lib/cni/plugin.ts'
import type { Request } from '../../lib/cni/request.ts'
import type { Ports } from '../../lib/host/ports.ts'
import { compareShaping, makeShaping, removeShaping, type Shaping } from '../../lib/shaping/shaping.ts'
import { PLUGIN } from './limits.ts'

export async function repair(ports: Ports, request: Request): Promise<Repair> {
  const shaping = findRecord<Shaping>(ports, request, PLUGIN)
  const { rtnl } = ports.kernel.host
  const found = shaping === undefined ? [] : await compareShaping(rtnl, shaping)
  if (shaping === undefined || found.length === 0) return { mended: [], left: [] }
  if ((await rtnl.findLink(shaping.host.index)) === undefined) return { mended: [], left: found }
  let why = ''
  try {
    await removeShaping(rtnl, shaping)
    await makeShaping(rtnl, shaping)
  } catch (error) {
    why = `: ${error instanceof Error ? error.message : error}`
  }
  const left = await compareShaping(rtnl, shaping)
  return { mended: found.filter((one) => !left.includes(one)), left: left.map((one) => `${one}${why}`) }
}
