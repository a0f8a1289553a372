// STATUS: what the pods of a network share, and somebody has taken from them: `nft flush ruleset`, a firewall that was
// loaded anew, a switch that was turned back. `podwire repair` makes it again.

import { CNI_CODE } from '../cni/errors.ts'
import type { Request } from '../cni/request.ts'
import { forwardingSysctls } from '../host/forwarding.ts'
import type { Ports } from '../host/ports.ts'
import { Prefix } from '../ip/prefix.ts'
import { checkMasqueradeTable } from '../nftables/podwire-table.ts'
import type { MasqueradeRecord } from './masquerade.ts'
import type { Problem } from './readiness.ts'

/** An ADD records what it will make before it makes it: what is younger may be in the making. */
const MIN_AGE_MS = 10_000

/** Of this network's pods, as far as they are made. */
export function listSettled<R>(
  { attachments, clock }: Ports,
  { name: network }: Request,
  plugin: string,
): R[] {
  const before = clock.nowMs() - MIN_AGE_MS
  return attachments
    .list({ plugin, network })
    .filter(({ createdAtMs }) => createdAtMs < before)
    .map(({ record }) => record as R)
}

/** Pods that are there suffer (51). */
export function toProblems(messages: readonly string[]): Problem[] {
  const remedy = 'podwire repair'
  return messages.map((message) => ({ code: CNI_CODE.limitedConnectivity, message, remedy }))
}

interface Sharing {
  readonly masquerade: readonly MasqueradeRecord[]
  /** With prefix length. */
  readonly gateways: readonly string[]
}

/** Masquerading of their subnets, and forwarding in the families of their gateways. */
export async function findLostSharing({ kernel }: Ports, records: readonly Sharing[]): Promise<string[]> {
  const { nft, sysctl } = kernel.host
  const subnets = new Set(records.flatMap(({ masquerade }) => masquerade.map(({ subnet }) => subnet)))
  const gateways = new Set(records.flatMap((record) => record.gateways))
  const families = new Set([...gateways].map((gateway) => Prefix.parse(gateway).family))
  const off = forwardingSysctls(families).filter(({ key, value }) => sysctl.find(key) !== value)
  return [
    ...(subnets.size === 0 ? [] : await checkMasqueradeTable(nft, [...subnets].map(Prefix.parse))),
    ...off.map(({ key }) => `forwarding is off (net/${key}), and pods have a gateway on this node`),
  ]
}
