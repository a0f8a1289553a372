// STATUS: whether the next ADD would work, and whether pods have lost their ports. Nothing is changed.

import {
  findNftablesProblem,
  findStoreProblem,
  type Problem,
  requireReady,
} from '../../lib/attach/readiness.ts'
import { CNI_CODE } from '../../lib/cni/errors.ts'
import type { Request } from '../../lib/cni/request.ts'
import type { Ports } from '../../lib/host/ports.ts'
import { checkHostportTable } from '../../lib/hostport/hostport-table.ts'
import { PLUGIN } from './attachment.ts'
import { parseNetconf } from './netconf.ts'

/** An ADD records what it will make before it makes it: what is younger may be in the making. */
const MIN_AGE_MS = 10_000

export async function status(ports: Ports, request: Request): Promise<void> {
  parseNetconf(request.netconf)
  const store = findStoreProblem(ports)
  const nftables = await findNftablesProblem(ports, 'host ports need')
  const isKnown = store.length === 0 && nftables.length === 0
  requireReady([...store, ...nftables, ...(isKnown ? await findLostRules(ports) : [])])
}

async function findLostRules({ kernel, attachments, clock }: Ports): Promise<Problem[]> {
  const before = clock.nowMs() - MIN_AGE_MS
  const isUsed = attachments.list({ plugin: PLUGIN }).some(({ createdAtMs }) => createdAtMs < before)
  if (!isUsed) return []
  const messages = await checkHostportTable(kernel.host.nft)
  if (messages.length === 0) return []
  const message = `host ports of pods are lost: ${messages.join('; ')}`
  return [{ code: CNI_CODE.limitedConnectivity, message, remedy: 'podwire repair' }]
}
