// GC: what this network has on the node for attachments that are no more. Records first, by the same way as DEL; then
// what has no record (a lost state directory), by the owner that is written on it; then the IPAM's.

import { ipamSection, ipamType } from '../../lib/attach/ipam.ts'
import { findDeadRecords } from '../../lib/attach/recorded.ts'
import {
  findStrayMasquerade,
  findStrayWires,
  type IsStray,
  STRAY,
  strayRule,
} from '../../lib/attach/strays.ts'
import { findDelegateGarbage } from '../../lib/cni/delegate.ts'
import type { Garbage } from '../../lib/cni/plugin.ts'
import type { Request } from '../../lib/cni/request.ts'
import { collect } from '../../lib/host/garbage.ts'
import type { Ports } from '../../lib/host/ports.ts'
import { listSpoofGuards, removeSpoofGuards } from '../../lib/nftables/spoof-table.ts'
import { PLUGIN } from './attachment.ts'
import { recorded } from './del.ts'

export async function gc(ports: Ports, request: Request): Promise<void> {
  await collect(await findGarbage(ports, request))
}

export async function findGarbage(ports: Ports, request: Request): Promise<Garbage[]> {
  const isStray = strayRule(ports, request)
  const type = ipamType(ipamSection(request), PLUGIN)
  return [
    ...findDeadRecords(ports, request, recorded),
    ...(await findStrayMasquerade(ports, isStray)),
    ...(await findStrayGuards(ports, isStray)),
    ...(await findStrayWires(ports, isStray)),
    ...(type === '' ? [] : await findDelegateGarbage(ports, type, request)),
  ]
}

async function findStrayGuards({ kernel }: Ports, isStray: IsStray): Promise<Garbage[]> {
  const { nft } = kernel.host
  const guards = (await listSpoofGuards(nft)).filter(({ comment }) => isStray(comment))
  return guards.map((guard) => ({
    what: `guard of port ${guard.port} (${guard.comment})`,
    why: STRAY,
    remove: () => removeSpoofGuards(nft, [guard]),
  }))
}
