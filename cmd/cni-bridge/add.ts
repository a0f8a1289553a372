// ADD: a network namespace becomes a pod with an address, routes and a wire to the bridge.

import { podAddressing } from '../../lib/attach/addressing.ts'
import { enableForwarding } from '../../lib/attach/forward.ts'
import { leaseAddresses } from '../../lib/attach/leased.ts'
import { masquerade, unmasquerade } from '../../lib/attach/masquerade.ts'
import { listOthers } from '../../lib/attach/others.ts'
import { configurePodEnd } from '../../lib/attach/pod-end.ts'
import { completeRecord, putRecord } from '../../lib/attach/recorded.ts'
import { refuseRepeat } from '../../lib/attach/repeat.ts'
import { withUndo } from '../../lib/attach/undoing.ts'
import { explainExisting } from '../../lib/attach/wire.ts'
import { ensureBridge, type OnChange } from '../../lib/bridge/bridge.ts'
import { type PortVlans, portVlanChanges } from '../../lib/bridge/port-vlans.ts'
import type { Request } from '../../lib/cni/request.ts'
import { encodeResult, type Result } from '../../lib/cni/result.ts'
import { attachmentKey } from '../../lib/host/attachment-key.ts'
import type { Namespace } from '../../lib/host/kernel.ts'
import { ownerText } from '../../lib/host/owner.ts'
import { openPodNamespace } from '../../lib/host/pod-namespace.ts'
import type { Ports } from '../../lib/host/ports.ts'
import { together } from '../../lib/host/together.ts'
import type { Undo } from '../../lib/host/undo.ts'
import { macFromRandom } from '../../lib/ip/mac.ts'
import { Prefix } from '../../lib/ip/prefix.ts'
import type { Link } from '../../lib/rtnl/link.ts'
import type { Rtnl } from '../../lib/rtnl/rtnl.ts'
import { hostSysctls, removeWire, wireChanges } from '../../lib/veth/pod-link.ts'
import { type BridgeAttachment, PLUGIN, spoofGuards } from './attachment.ts'
import { recorded } from './del.ts'
import { ensureGateway, gatewayIfname } from './gateway.ts'
import { settleMtu } from './mtu.ts'
import { type BridgeNetconf, parseNetconf } from './netconf.ts'
import { planAttachment } from './plan.ts'
import { isForwardedFor, isReliedOn } from './relied-on.ts'
import { bridgeResult } from './result.ts'

/** How long the bridge's port may take to come up once both ends of the pair are. It takes microseconds. */
const PORT_DEADLINE_MS = 5000
/** A bridge may vanish between the moment we see it and the moment we plug into it: another ADD took its own back. */
const BRIDGE_ATTEMPTS = 3

export async function add(ports: Ports, request: Request): Promise<Result> {
  const netconf = parseNetconf(request)
  const pod = openPodNamespace(ports.kernel, request)
  try {
    return await withUndo((undo) => attach({ ports, request, pod, undo }, netconf))
  } finally {
    pod.close()
  }
}

async function attach(call: Omit<Wiring, 'attachment'>, netconf: BridgeNetconf): Promise<Result> {
  const { ports, request, undo } = call
  const { type } = netconf.ipam
  await refuseRepeat(ports, request, { recorded, isLive: (record) => isWired(ports, record) })
  const ipam = type === '' ? undefined : await leaseAddresses(ports, request, { type, undo })
  encodeResult(ipam?.result ?? {}, request.cniVersion) // refused now if it cannot be said in the config's version
  const settled = await settleMtu(ports.kernel.host.rtnl, netconf)
  const attachment = planAttachment(settled, ipam, ports.random)
  const wire = { ...call, attachment }
  record(wire)
  await guardMac(wire)
  const bridge = await plugIn(wire)
  await configurePod(wire)
  const [gateway] = await together(
    serveAsGateway(wire, { bridge, force: netconf.forceAddress }),
    awaitForwarding(wire),
  )
  await masquerade(ports, request, attachment.masquerade)
  completeRecord(ports, request, PLUGIN)
  return bridgeResult(request, attachment, { bridge, gateway, ipam: ipam?.result, netconf })
}

/** One ADD in the making. */
interface Wiring {
  readonly ports: Ports
  readonly request: Request
  readonly pod: Namespace
  readonly attachment: BridgeAttachment
  readonly undo: Undo
}

/** Live is what has its wire. */
async function isWired({ kernel }: Ports, { hostIfname, hostMac }: BridgeAttachment): Promise<boolean> {
  const wire = await kernel.host.rtnl.findLink(hostIfname)
  return wire?.mac === hostMac
}

/** Written before anything is made, so that whatever happens then can be found and taken back. */
function record({ ports, request, attachment, undo }: Wiring): void {
  // Once it is recorded, an ADD that finds the table flushed puts its elements there. Done after the record is gone.
  undo.push('remove the masquerade elements', () => unmasquerade(ports, request, attachment.masquerade))
  // What could not be removed by then is the next DEL's, which knows it by the record; elements and leases it finds without.
  undo.push('forget the attachment', (failures) => {
    if (failures.length === 0) ports.attachments.delete(attachmentKey(PLUGIN, request))
  })
  putRecord(ports, request, { plugin: PLUGIN, record: attachment })
}

/** @returns the bridge, with the pod's wire plugged in */
async function plugIn(wiring: Wiring): Promise<Link> {
  for (let attempt = 1; ; attempt++) {
    const bridge = await openBridge(wiring)
    try {
      await createWire(wiring, bridge)
      return bridge
    } catch (error) {
      const gone = (await wiring.ports.kernel.host.rtnl.findLink(bridge.index)) === undefined
      if (!gone || attempt === BRIDGE_ATTEMPTS) throw error
    }
  }
}

async function openBridge(wiring: Wiring): Promise<Link> {
  const { ports, attachment } = wiring
  const { bridge: name, promisc, mtu } = attachment
  const hasOwnMac = (link: Link) => ports.setMacs.has(link, ports.files)
  const vlanFiltering = attachment.vlans !== undefined
  const spec = { name, promisc, mtu, vlanFiltering, mac: macFromRandom(ports.random(6)), hasOwnMac }
  const bridge = await ensureBridge(ports.kernel.host, spec, undoUnlessReliedOn(wiring))
  ports.setMacs.add(bridge)
  return bridge
}

/** What other pods rely on by then is not ours to undo. */
function undoUnlessReliedOn(
  { ports, request, attachment, undo }: Wiring,
  concerns: (other: BridgeAttachment) => boolean = () => true,
): OnChange {
  return (what, run, change) => {
    undo.push(what, () => {
      const others = listOthers(ports, request, { plugin: PLUGIN })
        .map(({ record }) => record as BridgeAttachment)
        .filter(({ bridge }) => bridge === attachment.bridge)
      if (!isReliedOn(change, others.filter(concerns))) return run()
    })
  }
}

async function createWire({ ports, request, pod, attachment, undo }: Wiring, bridge: Link): Promise<void> {
  const { rtnl, sysctl } = ports.kernel.host
  const { hostIfname, hostMac, podMac, mtu, hairpin, isolated, vlans } = attachment
  const alias = ownerText(attachmentKey(PLUGIN, request))
  const wire = { hostIfname, hostMac, podIfname: request.ifname, podMac, mtu, alias }
  const { create, port } = wireChanges(wire, { master: bridge.index, hairpin, isolated }, pod.fd)
  undo.push(`remove ${hostIfname}`, () => removeWire(rtnl, wire))
  await rtnl.apply(create).catch((error) => explainExisting(error, { request, pod, hostIfname }))
  sysctl.set(...hostSysctls(hostIfname))
  // Before it comes up: no frame of the pod's goes through another VLAN.
  if (vlans !== undefined) await joinVlans(rtnl, hostIfname, { vlans, bridge })
  await rtnl.apply(port)
}

async function joinVlans(
  rtnl: Rtnl,
  hostIfname: string,
  { vlans, bridge }: { vlans: PortVlans; bridge: Link },
): Promise<void> {
  const { index } = await rtnl.getLink(hostIfname)
  const changes = portVlanChanges(index, vlans, bridge.vlanDefaultPvid ?? 0)
  if (changes.length > 0) await rtnl.apply(...changes)
}

async function configurePod({ request, pod, attachment, undo }: Wiring): Promise<void> {
  if (!attachment.up) return
  await configurePodEnd(pod, request.ifname, { addressing: podAddressing(attachment, attachment), undo })
}

async function serveAsGateway(
  wiring: Wiring,
  { bridge, force }: { bridge: Link; force: boolean },
): Promise<Link | undefined> {
  const { ports, request, attachment, undo } = wiring
  const gateways = attachment.gateways.map(Prefix.parse)
  const { host } = ports.kernel
  const ifname = gatewayIfname(attachment)
  const onChange = undoUnlessReliedOn(wiring, (other) => gatewayIfname(other) === ifname)
  const gateway = await ensureGateway(host, attachment, { bridge, random: ports.random, force, onChange })
  const families = new Set(gateways.map(({ family }) => family))
  await enableForwarding(ports, request, {
    plugin: PLUGIN,
    families,
    undo,
    reliesOn: (record, setting) => isForwardedFor(setting, [record as BridgeAttachment]),
  })
  return gateway
}

/** Before there is a port: no frame of the pod's goes unchecked. */
async function guardMac({ ports, request, attachment, undo }: Wiring): Promise<void> {
  const guards = spoofGuards(attachment, request)
  if (guards.length === 0) return
  const { guardMacs } = await import('./mac-guard.ts')
  await guardMacs(ports.kernel.host.nft, guards, undo)
}

/** The bridge forwards to a port as soon as the kernel has seen its link come up, a moment after we have asked. */
async function awaitForwarding({ ports, attachment }: Wiring): Promise<void> {
  if (!attachment.up) return
  await ports.kernel.host.rtnl.waitForLink(attachment.hostIfname, {
    description: 'bridge port forwarding',
    holds: ({ operstate, bridgePort }) => operstate === 'UP' && bridgePort?.state === 'forwarding',
    deadlineMs: PORT_DEADLINE_MS,
  })
}
