// STATUS: whether the next ADD would work, and whether the pods there are suffer. Nothing is changed. A node on which
// no ADD has run yet is ready: what an ADD makes need not be there.
//
// Everything is looked at, so that one answer names all that must be done.

import { findKernelObstacle, findVlanObstacle } from '../../lib/bridge/vlan-filtering.ts'
import { delegateStatus } from '../../lib/cni/delegate.ts'
import { CNI_CODE, CniError, toCniError } from '../../lib/cni/errors.ts'
import type { Request } from '../../lib/cni/request.ts'
import type { Ports } from '../../lib/host/ports.ts'
import { NftError } from '../../lib/nftables/error.ts'
import { StoreError } from '../../lib/state/store-error.ts'
import { type BridgeNetconf, parseNetconf } from './netconf.ts'
import { findDamages } from './status-damage.ts'
import { findFirewalls } from './status-firewall.ts'

/** A reason not to be ready. */
export interface Problem {
  /** 50: the next ADD would fail. 51: pods that are there suffer, too. */
  readonly code: number
  readonly message: string
  /** What can be done about it. */
  readonly remedy: string
}

export async function status(ports: Ports, request: Request): Promise<void> {
  const netconf = parseNetconf(request)
  const store = findStoreProblem(ports)
  const nftables = await findNftablesProblem(ports)
  const usesNftables = netconf.ipMasq || netconf.macspoofchk
  const problems: Problem[] = [
    ...store,
    ...(await findVlanProblem(ports, netconf)),
    ...(usesNftables ? nftables : []),
    ...(nftables.length === 0 && netconf.isGateway ? await findFirewalls(ports, request, netconf) : []),
    ...(store.length === 0 ? await findDamages(ports, request) : []),
    ...(await findDelegateProblem(ports, request, netconf)),
  ]
  if (problems.length > 0) throw notReady(problems)
}

function notReady(problems: readonly Problem[]): CniError {
  const worst = problems.find(({ code }) => code === CNI_CODE.limitedConnectivity) ?? problems[0]
  const message = problems.map((problem) => problem.message).join('; ')
  const details = [...new Set(problems.map(({ remedy }) => remedy))].filter((text) => text !== '').join('; ')
  return new CniError(worst?.code ?? CNI_CODE.pluginNotAvailable, message, { details })
}

function findStoreProblem(ports: Ports): Problem[] {
  try {
    ports.attachments.probe()
    return []
  } catch (error) {
    if (!(error instanceof StoreError)) throw error
    const message = `attachments cannot be recorded: ${error.message}`
    return [{ code: CNI_CODE.pluginNotAvailable, message, remedy: error.remedy }]
  }
}

async function findNftablesProblem({ kernel }: Ports): Promise<Problem[]> {
  try {
    await kernel.host.nft.listTables()
    return []
  } catch (error) {
    if (!(error instanceof NftError) && !(error instanceof Error && 'errno' in error)) throw error
    const message = `the kernel’s nftables cannot be used: ${error.message}`
    const remedy =
      'ipMasq and macspoofchk need a kernel with CONFIG_NF_TABLES (modprobe nf_tables) and CAP_NET_ADMIN'
    return [{ code: CNI_CODE.pluginNotAvailable, message, remedy }]
  }
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

/** An IPAM that cannot serve ADD is one of ours: its own code stands. */
async function findDelegateProblem(
  ports: Ports,
  request: Request,
  { ipam: { type } }: BridgeNetconf,
): Promise<Problem[]> {
  if (type === '') return []
  try {
    await delegateStatus(ports, type, request)
    return []
  } catch (error) {
    const { code, message, details } = toCniError(error)
    return [{ code, message, remedy: details }]
  }
}
