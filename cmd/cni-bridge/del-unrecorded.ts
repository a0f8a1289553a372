// DEL of what was never added, was added by upstream's plugin, or whose record is lost: what the config and the pod
// tell.

import { removeOwnedMasquerade } from '../../lib/attach/masquerade.ts'
import { releaseUnrecorded, removePodLink } from '../../lib/attach/unrecorded.ts'
import type { Request } from '../../lib/cni/request.ts'
import { findField } from '../../lib/cni/schema.ts'
import { attachmentKey } from '../../lib/host/attachment-key.ts'
import { Failures } from '../../lib/host/failures.ts'
import { ownerText } from '../../lib/host/owner.ts'
import { findPodNamespace } from '../../lib/host/pod-namespace.ts'
import type { Ports } from '../../lib/host/ports.ts'
import type { IpAddress } from '../../lib/ip/address.ts'
import { Prefix } from '../../lib/ip/prefix.ts'
import { listSpoofGuards, removeSpoofGuards } from '../../lib/nftables/spoof-table.ts'
import { removeUpstreamMasquerade } from '../../lib/nftables/upstream-masquerade.ts'
import { PLUGIN } from './attachment.ts'

export async function removeUnrecorded(ports: Ports, request: Request): Promise<void> {
  const failures = new Failures()
  if (findField(request.netconf, 'ipMasq') === true) {
    await failures.attempt(() => removeOwnedMasquerade(ports, request))
    await failures.attempt(() => removeUpstreams(ports, request))
  }
  await failures.attempt(() => removePodLink(ports, request, 'veth'))
  if (findField(request.netconf, 'macspoofchk') === true)
    await failures.attempt(() => removeOwnedGuards(ports, request))
  await failures.attempt(() => releaseUnrecorded(ports, request, PLUGIN))
  failures.throwIfAny()
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
