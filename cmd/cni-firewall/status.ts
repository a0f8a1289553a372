// STATUS: whether the next ADD would work, and whether pods are cut off. Nothing is changed. A firewall that drops is no
// reason while there is no pod: the first ADD gives it its rule.

import {
  findNftablesProblem,
  findStoreProblem,
  type Problem,
  requireReady,
} from '../../lib/attach/readiness.ts'
import { CNI_CODE } from '../../lib/cni/errors.ts'
import type { Request } from '../../lib/cni/request.ts'
import { checkFirewallTable } from '../../lib/firewall/firewall-table.ts'
import { checkForeignChains } from '../../lib/firewall/foreign-chains.ts'
import type { Ports } from '../../lib/host/ports.ts'
import { adminChainsOf, listRecords, packetOf } from './firewall.ts'
import { parseNetconf } from './netconf.ts'

/** An ADD records what it will make before it makes it: what is younger may be in the making. */
const MIN_AGE_MS = 10_000

export async function status(ports: Ports, request: Request): Promise<void> {
  parseNetconf(request.netconf)
  const store = findStoreProblem(ports)
  const nftables = await findNftablesProblem(ports, 'the firewall needs')
  const isKnown = store.length === 0 && nftables.length === 0
  requireReady([...store, ...nftables, ...(isKnown ? await findDamages(ports) : [])])
}

async function findDamages(ports: Ports): Promise<Problem[]> {
  const { nft } = ports.kernel.host
  const before = ports.clock.nowMs() - MIN_AGE_MS
  const records = listRecords(ports)
  const oldest = records.find(({ createdAtMs }) => createdAtMs < before)
  if (oldest === undefined) return []
  const lost = await checkFirewallTable(nft, adminChainsOf(records))
  const drops = await checkForeignChains(nft, packetOf(ports, oldest.record))
  return [...lost.map((text) => `firewall rules of pods are lost: ${text}`), ...drops].map((message) => ({
    code: CNI_CODE.limitedConnectivity,
    message,
    remedy: 'podwire repair',
  }))
}
