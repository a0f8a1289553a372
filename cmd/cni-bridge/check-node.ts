// CHECK, on the node: the bridge, the pod's port, the gateway, and what nftables has of the pod.

import { differences } from '../../lib/attach/drift.ts'
import { describePortVlans, formatVlans } from '../../lib/bridge/port-vlans.ts'
import { checkVlanGateway } from '../../lib/bridge/vlan-gateway.ts'
import { forwardingSysctls } from '../../lib/host/forwarding.ts'
import type { Namespace } from '../../lib/host/kernel.ts'
import { Prefix } from '../../lib/ip/prefix.ts'
import type { Link } from '../../lib/rtnl/link.ts'
import { hostSysctls } from '../../lib/veth/pod-link.ts'
import type { BridgeAttachment } from './attachment.ts'
import { gatewayIfname } from './gateway.ts'

/** @param mac  what prevResult says it was */
export function checkBridge(
  { bridge: bridgeName, promisc }: BridgeAttachment,
  bridge: Link | undefined,
  mac: string | undefined,
): string[] {
  const name = `bridge ${bridgeName}`
  if (bridge === undefined) return [`${name} is gone`]
  if (bridge.kind !== 'bridge') return [`${name} is a ${bridge.kind ?? 'hardware'} link`]
  return differences(name, [
    ['up', true, bridge.up],
    ['promisc', promisc, bridge.promisc],
    ['mac', mac?.toLowerCase() ?? bridge.mac, bridge.mac],
  ])
}

export function checkHostEnd(
  expected: BridgeAttachment,
  host: Link | undefined,
  bridge: Link | undefined,
): string[] {
  const name = `host interface ${expected.hostIfname}`
  if (host === undefined) return [`${name} is gone`]
  return differences(name, [
    ['kind', 'veth', host.kind],
    ['mac', expected.hostMac, host.mac],
    ['mtu', expected.mtu, host.mtu],
    ['up', true, host.up],
    ['master', bridge?.index, host.master],
    ['hairpin', expected.hairpin, host.bridgePort?.hairpin],
    ['isolated', expected.isolated, host.bridgePort?.isolated],
  ])
}

/** On a bridge that keeps VLANs apart: the port's. */
export async function checkPortVlans(
  { rtnl }: Namespace,
  { hostIfname, vlans }: BridgeAttachment,
  { host, bridge }: { host: Link | undefined; bridge: Link | undefined },
): Promise<string[]> {
  if (vlans === undefined || host === undefined || bridge?.kind !== 'bridge') return []
  const present = formatVlans(await rtnl.listBridgeVlans(host.index))
  return [
    ...differences(`bridge ${bridge.name}`, [['vlan filtering', true, bridge.vlanFiltering]]),
    ...differences(`host interface ${hostIfname}`, [
      ['vlan', describePortVlans(vlans, bridge.vlanDefaultPvid ?? 0), present],
    ]),
  ]
}

/** Of the node's end: what keeps the pod from handing the node routes. */
export function checkHostSysctls({ sysctl }: Namespace, { hostIfname }: BridgeAttachment): string[] {
  return hostSysctls(hostIfname)
    .filter(({ key, value }) => (sysctl.find(key) ?? value) !== value)
    .map(({ key, value }) => `node has sysctl net/${key} ${sysctl.find(key)}, expected ${value}`)
}

export async function checkGateway(
  { rtnl, sysctl }: Namespace,
  attachment: BridgeAttachment,
): Promise<string[]> {
  const { bridge, gateways, vlans } = attachment
  if (gateways.length === 0) return []
  const master = await rtnl.findLink(bridge)
  if (master === undefined) return [] // said already
  const wrong = vlans?.vlan ? await checkVlanGateway(rtnl, { ...vlans, bridge: master }) : []
  const ifname = gatewayIfname(attachment)
  const link = await rtnl.findLink(ifname)
  if (link === undefined) return wrong
  const present = (await rtnl.listAddresses({ dev: link.index })).map(({ prefix }) => String(prefix))
  const missing = gateways.filter((gateway) => !present.includes(gateway))
  const families = new Set(gateways.map((gateway) => Prefix.parse(gateway).family))
  const off = forwardingSysctls(families).filter(({ key, value }) => sysctl.find(key) !== value)
  const name = link.index === master.index ? `bridge ${bridge}` : `gateway interface ${ifname}`
  return [
    ...wrong,
    ...missing.map((gateway) => `${name} has no address ${gateway}`),
    ...off.map(({ key }) => `forwarding is off (net/${key})`),
  ]
}
