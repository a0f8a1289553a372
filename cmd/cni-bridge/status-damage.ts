// STATUS: what the pods of this network share, and somebody has taken from them: `nft flush ruleset`, a firewall that
// was loaded anew, a switch that was turned back.

import type { Problem } from '../../lib/attach/readiness.ts'
import { CNI_CODE } from '../../lib/cni/errors.ts'
import type { Request } from '../../lib/cni/request.ts'
import { forwardingSysctls } from '../../lib/host/forwarding.ts'
import type { Ports } from '../../lib/host/ports.ts'
import { Prefix } from '../../lib/ip/prefix.ts'
import { checkMasqueradeTable } from '../../lib/nftables/podwire-table.ts'
import { checkSpoofTable } from '../../lib/nftables/spoof-table.ts'
import { type BridgeAttachment, PLUGIN } from './attachment.ts'

/** An ADD records what it will make before it makes it: what is younger may be in the making. */
const MIN_AGE_MS = 10_000

export async function findDamages(ports: Ports, { name: network }: Request): Promise<Problem[]> {
  const before = ports.clock.nowMs() - MIN_AGE_MS
  const records = ports.attachments
    .list({ plugin: PLUGIN, network })
    .filter(({ createdAtMs }) => createdAtMs < before)
    .map(({ record }) => record as BridgeAttachment)
  const messages = [
    ...(await findLostBridges(ports, records)),
    ...(await findLostRules(ports, records)),
    ...findLostForwarding(ports, records),
  ]
  const remedy = 'podwire repair'
  return messages.map((message) => ({ code: CNI_CODE.limitedConnectivity, message, remedy }))
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

async function findLostRules({ kernel }: Ports, records: readonly BridgeAttachment[]): Promise<string[]> {
  const { nft } = kernel.host
  const subnets = new Set(records.flatMap(({ masquerade }) => masquerade.map(({ subnet }) => subnet)))
  return [
    ...(subnets.size === 0 ? [] : await checkMasqueradeTable(nft, [...subnets].map(Prefix.parse))),
    ...(records.some(({ macSpoofCheck }) => macSpoofCheck) ? await checkSpoofTable(nft) : []),
  ]
}

function findLostForwarding({ kernel }: Ports, records: readonly BridgeAttachment[]): string[] {
  const gateways = new Set(records.flatMap((record) => record.gateways))
  const families = new Set([...gateways].map((gateway) => Prefix.parse(gateway).family))
  return forwardingSysctls(families)
    .filter(({ key, value }) => kernel.host.sysctl.find(key) !== value)
    .map(({ key }) => `forwarding is off (net/${key}), and pods have a gateway on this node`)
}
