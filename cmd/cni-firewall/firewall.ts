// What the verbs have in common: the record is planned, compared with the node, and taken back.

import type { ChainedPlugin } from '../../lib/attach/chained.ts'
import type { Request } from '../../lib/cni/request.ts'
import type { Result } from '../../lib/cni/result.ts'
import {
  addFirewalled,
  checkFirewalled,
  forgetBridge,
  mendFirewallTable,
  removeFirewalled,
} from '../../lib/firewall/firewall-table.ts'
import {
  checkForeignChains,
  passForeignChains,
  unpassForeignChains,
} from '../../lib/firewall/foreign-chains.ts'
import { attachmentKey } from '../../lib/host/attachment-key.ts'
import { Failures } from '../../lib/host/failures.ts'
import { ownerText } from '../../lib/host/owner.ts'
import type { Ports } from '../../lib/host/ports.ts'
import type { Packet } from '../../lib/nftables/forward-conditions.ts'
import { findUplinks } from '../../lib/rtnl/uplink.ts'
import type { Attachment } from '../../lib/state/attachments.ts'
import { type FirewallRecord, firewalledOf, PLUGIN, planRecord } from './attachment.ts'
import { parseNetconf } from './netconf.ts'

/** Upstream's words for an ADD or CHECK without prevResult. */
const NOT_CHAINED = 'missing prevResult from earlier plugin'

export const firewall: Omit<ChainedPlugin<FirewallRecord>, 'make'> = {
  plugin: PLUGIN,
  plan,
  compare,
  takeBack,
  notChained: NOT_CHAINED,
}

export function ownerOf(request: Request): string {
  return ownerText(attachmentKey(PLUGIN, request))
}

async function plan(_: Ports, request: Request, prevResult: Result): Promise<FirewallRecord | undefined> {
  const record = planRecord(parseNetconf(request.netconf), prevResult)
  return record.addresses.length === 0 ? undefined : record
}

async function compare(
  ports: Ports,
  request: Request,
  { record }: { record: FirewallRecord },
): Promise<string[]> {
  const { nft } = ports.kernel.host
  return [
    ...(await checkFirewalled(nft, firewalledOf(record), {
      owner: ownerOf(request),
      adminChains: adminChainsOf(listRecords(ports)),
    })),
    ...(await checkForeignChains(nft, packetOf(ports, record))),
  ]
}

export function listRecords({ attachments }: Ports): (Attachment & { readonly record: FirewallRecord })[] {
  return attachments
    .list({ plugin: PLUGIN })
    .map((attachment) => ({ ...attachment, record: attachment.record as FirewallRecord }))
}

export function adminChainsOf(records: readonly { readonly record: FirewallRecord }[]): string[] {
  return records.map(({ record }) => record.adminChain)
}

/** What the pod sends out of the node. */
export function packetOf({ kernel }: Ports, { bridge }: FirewallRecord): () => Promise<Packet> {
  const { rtnl } = kernel.host
  const name = bridge ?? ''
  return async () => ({
    from: (name === '' ? undefined : await rtnl.findLink(name)) ?? { name },
    to: await findUplinks(rtnl),
  })
}

/** What others use stays; what only this pod used goes with it. */
async function takeBack(ports: Ports, request: Request, record: FirewallRecord): Promise<void> {
  const { nft } = ports.kernel.host
  const own = ownerOf(request)
  const pod = firewalledOf(record)
  const listOthers = () => listRecords(ports).filter((other) => ownerText(other) !== own)
  const isOpen = (other: FirewallRecord) => other.policy === 'open'
  const needsBridge = () =>
    listOthers().some((other) => !isOpen(other.record) && other.record.bridge === record.bridge)
  const before = listOthers()
  const failures = new Failures()
  await failures.attempt(() => removeFirewalled(nft, pod, own))
  if (!isOpen(record) && !needsBridge()) await failures.attempt(() => forgetBridge(nft, pod))
  const others = listOthers()
  if (others.length === 0) {
    await failures.attempt(() => unpassForeignChains(nft))
  } else if (!adminChainsOf(others).includes(record.adminChain)) {
    await failures.attempt(() => mendFirewallTable(nft, adminChainsOf(others)))
  }
  failures.throwIfAny()
  await returnToLateComers(ports, { before, now: listOthers() })
}

/** An ADD that ran meanwhile had looked before we took away what it needs, too. */
async function returnToLateComers(
  ports: Ports,
  { before, now }: { before: readonly Attachment[]; now: ReturnType<typeof listRecords> },
): Promise<void> {
  const known = new Set(before.map(ownerText))
  for (const late of now.filter((one) => !known.has(ownerText(one)))) {
    if (await restore(ports, late))
      await passForeignChains(ports.kernel.host.nft, packetOf(ports, late.record))
  }
}

/** Another pod's elements. @returns false, and they are gone, when its DEL ran meanwhile: it had looked for them before */
export async function restore(ports: Ports, other: ReturnType<typeof listRecords>[number]): Promise<boolean> {
  const { nft } = ports.kernel.host
  const [owner, pod] = [ownerText(other), firewalledOf(other.record)]
  await addFirewalled(nft, pod, { owner, adminChains: adminChainsOf(listRecords(ports)) })
  if (ports.attachments.find(other) !== undefined) return true
  await removeFirewalled(nft, pod, owner)
  return false
}
