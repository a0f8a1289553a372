// STATUS: whether the next ADD would work, and whether the pods there are suffer. Nothing is changed. A node on which
// no ADD has run yet is ready: what an ADD makes need not be there.

import {
  findDelegateProblem,
  findNftablesProblem,
  findStoreProblem,
  type Problem,
  requireReady,
} from '../../lib/attach/readiness.ts'
import { findKernelObstacle, findVlanObstacle } from '../../lib/bridge/vlan-filtering.ts'
import { CNI_CODE } from '../../lib/cni/errors.ts'
import type { Request } from '../../lib/cni/request.ts'
import type { Ports } from '../../lib/host/ports.ts'
import { type BridgeNetconf, parseNetconf } from './netconf.ts'
import { findDamages } from './status-damage.ts'
import { findFirewalls } from './status-firewall.ts'

export async function status(ports: Ports, request: Request): Promise<void> {
  const netconf = parseNetconf(request)
  const store = findStoreProblem(ports)
  const nftables = await findNftablesProblem(ports, 'ipMasq and macspoofchk need')
  const usesNftables = netconf.ipMasq || netconf.macspoofchk
  const problems: Problem[] = [
    ...store,
    ...(await findVlanProblem(ports, netconf)),
    ...(usesNftables ? nftables : []),
    ...(nftables.length === 0 && netconf.isGateway ? await findFirewalls(ports, request, netconf) : []),
    ...(store.length === 0 ? await findDamages(ports, request) : []),
    ...(await findDelegateProblem(ports, request, netconf.ipam.type)),
  ]
  requireReady(problems)
}

/** Only a bridge tells whether the kernel can; on a node without one that is for the first ADD to find out. */
async function findVlanProblem({ kernel }: Ports, { bridge, vlans }: BridgeNetconf): Promise<Problem[]> {
  if (vlans === undefined) return []
  const bridges = await kernel.host.rtnl.listLinks({ kind: 'bridge' })
  const own = bridges.find(({ name }) => name === bridge)
  const obstacle = own === undefined ? findKernelObstacle(bridge, bridges) : findVlanObstacle(own)
  if (obstacle === undefined) return []
  return [{ code: CNI_CODE.pluginNotAvailable, message: obstacle.message, remedy: obstacle.remedy ?? '' }]
}
