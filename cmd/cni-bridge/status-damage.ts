// STATUS: what the pods of this network share, and somebody has taken from them (lib/attach/damage.ts).

import { findLostSharing, listSettled, toProblems } from '../../lib/attach/damage.ts'
import type { Problem } from '../../lib/attach/readiness.ts'
import type { Request } from '../../lib/cni/request.ts'
import type { Ports } from '../../lib/host/ports.ts'
import { checkSpoofTable } from '../../lib/nftables/spoof-table.ts'
import { type BridgeAttachment, PLUGIN } from './attachment.ts'

export async function findDamages(ports: Ports, request: Request): Promise<Problem[]> {
  const records = listSettled<BridgeAttachment>(ports, request, PLUGIN)
  const isGuarded = records.some(({ macSpoofCheck }) => macSpoofCheck)
  return toProblems([
    ...(await findLostBridges(ports, records)),
    ...(await findLostSharing(ports, records)),
    ...(isGuarded ? await checkSpoofTable(ports.kernel.host.nft) : []),
  ])
}

async function findLostBridges({ kernel }: Ports, records: readonly BridgeAttachment[]): Promise<string[]> {
  const lost: string[] = []
  for (const name of new Set(records.map(({ bridge }) => bridge))) {
    const link = await kernel.host.rtnl.findLink(name)
    if (link === undefined) lost.push(`bridge ${name} is gone, and pods were on it`)
    else if (!link.up) lost.push(`bridge ${name} is down, and pods are on it`)
  }
  return lost
}
