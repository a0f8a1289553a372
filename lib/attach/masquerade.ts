// Pods whose traffic leaves under the node's address: of each address an element in the table that all our plugins
// share (lib/nftables/podwire-table.ts).

import type { Request } from '../cni/request.ts'
import { forgetConnections } from '../host/connections.ts'
import { ownerText } from '../host/owner.ts'
import type { Ports } from '../host/ports.ts'
import { IpAddress } from '../ip/address.ts'
import { Prefix } from '../ip/prefix.ts'
import type { MasqueradeEntry } from '../nftables/podwire-table.ts'
import type { Attachment } from '../state/attachments.ts'
import { listOthers } from './others.ts'

/** Of a record: an address that leaves under the node's, with the subnet in which it does not. */
export interface MasqueradeRecord {
  readonly address: string
  readonly subnet: string
}

/** Loaded when a pod is masqueraded. */
const loadTable = () => import('../nftables/podwire-table.ts')

type Owner = Pick<Request, 'name' | 'containerId' | 'ifname'>

/** Each element says whose it is, so that garbage can be told from what is needed. */
export function masqueradeEntries(records: readonly MasqueradeRecord[], owner: Owner): MasqueradeEntry[] {
  const comment = ownerOf(owner)
  return records.map(({ address, subnet }) => ({
    address: IpAddress.parse(address),
    subnet: Prefix.parse(subnet),
    comment,
  }))
}

/** The plugin is not in the text. */
function ownerOf({ name: network, containerId, ifname }: Owner): string {
  return ownerText({ network, containerId, ifname })
}

/** Who has recorded them takes them back: another ADD may have made them before (restoreOthers). @see unmasquerade */
export async function masquerade(
  ports: Ports,
  request: Request,
  records: readonly MasqueradeRecord[],
): Promise<void> {
  if (records.length === 0) return
  const { addMasquerade } = await loadTable()
  const isMended = await addMasquerade(ports.kernel.host.nft, masqueradeEntries(records, request))
  if (isMended) await restoreOthers(ports, request)
}

/** The table was not as we make it: flushed, most likely, and with it went what other pods had there. */
async function restoreOthers(ports: Ports, request: Request): Promise<void> {
  const { addMasquerade, removeMasquerade } = await loadTable()
  const { nft } = ports.kernel.host
  const entries = listOtherEntries(ports, request)
  await addMasquerade(nft, entries)
  // A DEL that ran meanwhile had taken its elements away before.
  const valid = new Set(listOtherEntries(ports, request).map(({ comment }) => comment))
  await removeMasquerade(
    nft,
    entries.filter(({ comment }) => !valid.has(comment)),
  )
}

function listOtherEntries(ports: Ports, request: Request): MasqueradeEntry[] {
  return listOthers(ports, request).flatMap((other) =>
    masqueradeEntries(recordsOf(other), { ...other, name: other.network }),
  )
}

/** Every plugin of ours that masquerades has them under this name in its record. */
function recordsOf({ record }: Attachment): readonly MasqueradeRecord[] {
  const { masquerade: records } = record as { masquerade?: unknown }
  return Array.isArray(records) ? records : []
}

/** @see forgetPodConnections, which comes after the pod's interface is gone */
export async function unmasquerade(
  { kernel }: Ports,
  request: Request,
  records: readonly MasqueradeRecord[],
): Promise<void> {
  if (records.length === 0) return
  const { removeMasquerade } = await loadTable()
  await removeMasquerade(kernel.host.nft, masqueradeEntries(records, request))
}

/** What was translated would be so for the next pod of the address. To look costs milliseconds, so only then. */
export async function forgetPodConnections(
  { kernel }: Ports,
  records: readonly MasqueradeRecord[],
): Promise<void> {
  const translated = records.map(({ address }) => IpAddress.parse(address))
  if (translated.length > 0) await forgetConnections(kernel.host, translated)
}

/** Of an attachment that is not recorded: by the owner that is written on the elements. */
export async function removeOwnedMasquerade({ kernel }: Ports, request: Request): Promise<void> {
  const { listMasquerade, removeMasquerade } = await loadTable()
  const { nft } = kernel.host
  const owner = ownerOf(request)
  const entries = (await listMasquerade(nft)).filter(({ comment }) => comment === owner)
  if (entries.length > 0) await removeMasquerade(nft, entries)
}
