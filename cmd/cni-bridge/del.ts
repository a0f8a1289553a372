// DEL: everything that ADD made is taken back, from the record alone: with no namespace, an edited config, a second
// time, and for what was never added. Firewall first, so that nothing is let through for an address that is nobody's.

import { delegateDel } from '../../lib/cni/delegate.ts'
import { DelegateMissing } from '../../lib/cni/errors.ts'
import type { Request } from '../../lib/cni/request.ts'
import { findField } from '../../lib/cni/schema.ts'
import { attachmentKey } from '../../lib/host/attachment-key.ts'
import { forgetConnections } from '../../lib/host/connections.ts'
import { Failures } from '../../lib/host/failures.ts'
import { ownerText } from '../../lib/host/owner.ts'
import { findPodNamespace } from '../../lib/host/pod-namespace.ts'
import type { Ports } from '../../lib/host/ports.ts'
import { IpAddress } from '../../lib/ip/address.ts'
import { Prefix } from '../../lib/ip/prefix.ts'
import { isNotFound } from '../../lib/netlink/error.ts'
import { listMasquerade, removeMasquerade } from '../../lib/nftables/podwire-table.ts'
import { listSpoofGuards, removeSpoofGuards } from '../../lib/nftables/spoof-table.ts'
import { removeUpstreamMasquerade } from '../../lib/nftables/upstream-masquerade.ts'
import { removeWire } from '../../lib/veth/pod-link.ts'
import { type BridgeAttachment, masqueradeEntries, PLUGIN, spoofGuards } from './attachment.ts'
import { ipamSection, ipamType, withIpamSection } from './ipam.ts'

export async function del(ports: Ports, request: Request): Promise<void> {
  const attachment = ports.attachments.find(attachmentKey(PLUGIN, request))
  if (attachment === undefined) await removeUnrecorded(ports, request)
  else await removeAttachment(ports, request, attachment.record as BridgeAttachment)
}

/** @throws what failed; the record stays then, so that the next DEL tries again */
export async function removeAttachment(
  ports: Ports,
  request: Request,
  attachment: BridgeAttachment,
): Promise<void> {
  const { rtnl, nft } = ports.kernel.host
  const failures = new Failures()
  if (attachment.masquerade.length > 0) {
    await failures.attempt(() => removeMasquerade(nft, masqueradeEntries(attachment, request)))
  }
  await failures.attempt(() =>
    removeWire(rtnl, { ...attachment, alias: ownerText(attachmentKey(PLUGIN, request)) }),
  )
  // What was translated would be so for the next pod of the address. To look costs milliseconds, so only then.
  const translated = attachment.masquerade.map(({ address }) => IpAddress.parse(address))
  if (translated.length > 0) await failures.attempt(() => forgetConnections(ports.kernel.host, translated))
  // After its port: until then the pod can send.
  if (attachment.macSpoofCheck) {
    await failures.attempt(() => removeSpoofGuards(nft, spoofGuards(attachment, request)))
  }
  await failures.attempt(() => releaseAddresses(ports, request, attachment.ipam ?? {}))
  failures.throwIfAny()
  ports.attachments.delete(attachmentKey(PLUGIN, request))
}

/** What was never added, was added by upstream's plugin, or whose record is lost: what the config and the pod tell. */
async function removeUnrecorded(ports: Ports, request: Request): Promise<void> {
  const failures = new Failures()
  if (findField(request.netconf, 'ipMasq') === true) {
    await failures.attempt(() => removeOwnedMasquerade(ports, request))
    await failures.attempt(() => removeUpstreams(ports, request))
  }
  await failures.attempt(() => removePodLink(ports, request))
  if (findField(request.netconf, 'macspoofchk') === true)
    await failures.attempt(() => removeOwnedGuards(ports, request))
  await failures.attempt(() => releaseUnrecorded(ports, request))
  failures.throwIfAny()
}

async function removeOwnedMasquerade(ports: Ports, request: Request): Promise<void> {
  const { nft } = ports.kernel.host
  const owner = ownerText(attachmentKey(PLUGIN, request))
  const entries = (await listMasquerade(nft)).filter(({ comment }) => comment === owner)
  if (entries.length > 0) await removeMasquerade(nft, entries)
}

/** A pod that upstream's plugin attached: its rules are found by what they are called. */
async function removeUpstreams(ports: Ports, request: Request): Promise<void> {
  const known = (request.prevResult?.ips ?? []).map(({ address }) => Prefix.parse(address).address)
  const addresses = [...known, ...(await listPodAddresses(ports, request))]
  await removeUpstreamMasquerade(ports.kernel.host.nft, attachmentKey(PLUGIN, request), addresses)
}

async function listPodAddresses(ports: Ports, request: Request): Promise<IpAddress[]> {
  const pod = findPodNamespace(ports.kernel, request)
  try {
    const link = await pod?.rtnl.findLink(request.ifname)
    if (pod === undefined || link === undefined) return []
    return (await pod.rtnl.listAddresses({ dev: link.index })).map(({ prefix }) => prefix.address)
  } finally {
    pod?.close()
  }
}

async function removeOwnedGuards(ports: Ports, request: Request): Promise<void> {
  const { nft } = ports.kernel.host
  const owner = ownerText(attachmentKey(PLUGIN, request))
  await removeSpoofGuards(
    nft,
    (await listSpoofGuards(nft)).filter(({ comment }) => comment === owner),
  )
}

/** A pod's interface is the end of a veth pair; what else has that name is not from a plugin of this kind. */
async function removePodLink(ports: Ports, request: Request): Promise<void> {
  const pod = findPodNamespace(ports.kernel, request)
  try {
    const link = await pod?.rtnl.findLink(request.ifname)
    if (link?.kind === 'veth') await pod?.rtnl.apply({ change: 'delete link', link: link.index })
  } catch (error) {
    if (!isNotFound(error)) throw error
  } finally {
    pod?.close()
  }
}

/** An IPAM plugin that is not there has leased nothing to an attachment that was never recorded. */
async function releaseUnrecorded(ports: Ports, request: Request): Promise<void> {
  try {
    await releaseAddresses(ports, request, ipamSection(request))
  } catch (error) {
    if (!(error instanceof DelegateMissing)) throw error
  }
}

async function releaseAddresses(
  ports: Ports,
  request: Request,
  section: Readonly<Record<string, unknown>>,
): Promise<void> {
  const type = ipamType(section)
  if (type !== '') await delegateDel(ports, type, withIpamSection(request, section))
}
