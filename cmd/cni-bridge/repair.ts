// Repair: what CHECK finds missing on the node is made again, for a pod that runs and goes on running. What is inside
// the pod, and a wire that is gone, are not touched: that takes a restart of the pod.

import { masqueradeEntries } from '../../lib/attach/masquerade.ts'
import { type Aspect, mendAspects } from '../../lib/attach/mending.ts'
import { type PortVlans, portVlanChanges } from '../../lib/bridge/port-vlans.ts'
import type { Repair } from '../../lib/cni/plugin.ts'
import type { Request } from '../../lib/cni/request.ts'
import { attachmentKey } from '../../lib/host/attachment-key.ts'
import { planForwarding } from '../../lib/host/forwarding.ts'
import type { Namespace } from '../../lib/host/kernel.ts'
import type { Ports } from '../../lib/host/ports.ts'
import type { RandomBytes } from '../../lib/host/random.ts'
import { Prefix } from '../../lib/ip/prefix.ts'
import { addMasquerade, checkMasquerade } from '../../lib/nftables/podwire-table.ts'
import { addSpoofGuards, checkSpoofGuards } from '../../lib/nftables/spoof-table.ts'
import type { Link, LinkSettings } from '../../lib/rtnl/link.ts'
import { hostSysctls } from '../../lib/veth/pod-link.ts'
import { type BridgeAttachment, PLUGIN, spoofGuards } from './attachment.ts'
import { checkBridge, checkGateway, checkHostEnd, checkHostSysctls } from './check-node.ts'
import { ensureGateway } from './gateway.ts'

export async function repair(ports: Ports, request: Request): Promise<Repair> {
  const recorded = ports.attachments.find(attachmentKey(PLUGIN, request))
  if (recorded === undefined) return { mended: [], left: [] }
  return mendAspects(aspectsOf(ports, request, recorded.record as BridgeAttachment))
}

/** The guard first: what follows may open a port. */
function aspectsOf({ kernel, random }: Ports, request: Request, attachment: BridgeAttachment): Aspect[] {
  const { host } = kernel
  const guards = spoofGuards(attachment, request)
  const entries = masqueradeEntries(attachment.masquerade, request)
  return [
    { check: () => checkSpoofGuards(host.nft, guards), mend: () => addSpoofGuards(host.nft, guards) },
    {
      check: async () => checkBridge(attachment, await host.rtnl.findLink(attachment.bridge), undefined),
      mend: () => mendBridge(host, attachment),
    },
    { check: async () => checkPort(host, attachment), mend: () => mendPort(host, attachment) },
    {
      check: () => checkGateway(host, attachment),
      mend: () => mendGateway(host, attachment, random),
    },
    { check: () => checkMasquerade(host.nft, entries), mend: () => addMasquerade(host.nft, entries) },
  ]
}

async function mendBridge({ rtnl }: Namespace, { bridge, promisc }: BridgeAttachment): Promise<void> {
  const link = await rtnl.findLink(bridge)
  // A bridge that is gone took its ports' place with it; one that is promiscuous may be so for another network.
  if (link?.kind !== 'bridge') return
  await rtnl.apply({
    change: 'set link',
    link: link.index,
    set: { up: true, ...(promisc ? { promisc } : {}) },
  })
}

async function checkPort(host: Namespace, attachment: BridgeAttachment): Promise<string[]> {
  const port = await host.rtnl.findLink(attachment.hostIfname)
  const bridge = await host.rtnl.findLink(attachment.bridge)
  return [
    ...checkHostEnd(attachment, port, bridge),
    ...(port === undefined ? [] : checkHostSysctls(host, attachment)),
  ]
}

/** Only what is still the pod's by its MAC, and not plugged in elsewhere by somebody. */
async function mendPort(host: Namespace, attachment: BridgeAttachment): Promise<void> {
  const { rtnl, sysctl } = host
  const port = await rtnl.findLink(attachment.hostIfname)
  const bridge = await rtnl.findLink(attachment.bridge)
  if (port?.mac !== attachment.hostMac) return
  sysctl.set(...hostSysctls(port.name))
  const { mtu, hairpin, isolated } = attachment
  const isPlugged = await plugIn(host, port, { bridge, vlans: attachment.vlans })
  const set: LinkSettings = { mtu, up: true, ...(isPlugged ? { hairpin, isolated } : {}) }
  await rtnl.apply({ change: 'set link', link: port.index, set })
}

async function plugIn(
  { rtnl }: Namespace,
  port: Link,
  { bridge, vlans }: { bridge: Link | undefined; vlans: PortVlans | undefined },
): Promise<boolean> {
  if (port.master !== undefined) return port.master === bridge?.index
  if (bridge?.kind !== 'bridge') return false
  if (vlans === undefined) {
    await rtnl.apply({ change: 'set link', link: port.index, set: { master: bridge.index } })
    return true
  }
  // Down meanwhile: no frame of the pod's goes through the default VLAN.
  await rtnl.apply(
    { change: 'set link', link: port.index, set: { up: false, master: bridge.index } },
    ...portVlanChanges(port.index, vlans, bridge.vlanDefaultPvid ?? 0),
  )
  return true
}

async function mendGateway(
  host: Namespace,
  attachment: BridgeAttachment,
  random: RandomBytes,
): Promise<void> {
  const link = await host.rtnl.findLink(attachment.bridge)
  // Another address in the pods' subnet is somebody's decision: told, not overridden.
  if (link?.kind === 'bridge')
    await ensureGateway(host, attachment, { bridge: link, random, force: false, onChange: () => {} })
  const families = new Set(attachment.gateways.map((gateway) => Prefix.parse(gateway).family))
  host.sysctl.set(...(await planForwarding(host, families)))
}
