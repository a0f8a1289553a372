// The gateway of one VLAN of a bridge: a veth pair on the node, one end of it a port in that VLAN and the other one,
// `<bridge>.<vlan>`, with the addresses. It stays like the bridge itself.

import type { MacAddress } from '../ip/mac.ts'
import { isAlreadyExists, unlessGone } from '../netlink/error.ts'
import type { IfName, Link } from '../rtnl/link.ts'
import type { Change, Rtnl } from '../rtnl/rtnl.ts'
import type { Sysctl } from '../sysctl/sysctl.ts'
import { type Node, type OnChange, refuseRouterAdvertisements } from './bridge.ts'
import { BridgeError } from './bridge-error.ts'
import { describePortVlans, formatVlans, type PortVlans, portVlanChanges } from './port-vlans.ts'

export interface VlanGatewaySpec {
  /** Not 0. */
  readonly vlan: number
  readonly preserveDefault: boolean
  /** Used when the pair is made: of the end with the addresses. */
  readonly mac: MacAddress
  /** Used when the pair is made: the name of the bridge's port. */
  readonly portName: IfName
}

export function vlanGatewayName(bridge: string, vlan: number): IfName {
  return `${bridge}.${vlan}`
}

/**
 * The gateway, up and in its VLAN; made when it is not there.
 *
 * @throws BridgeError ENOTGATEWAY when the name is that of something else
 */
export async function ensureVlanGateway(
  node: { readonly rtnl: Rtnl; readonly sysctl: Sysctl },
  { bridge, spec, onChange }: { bridge: Link; spec: VlanGatewaySpec; onChange: OnChange },
): Promise<Link> {
  const name = vlanGatewayName(bridge.name, spec.vlan)
  if ((await node.rtnl.findLink(name)) === undefined) await createPair(node, { bridge, spec, onChange })
  const link = await node.rtnl.getLink(name)
  const port = await findPort(node.rtnl, link)
  if (link.kind !== 'veth' || port === undefined || (port.master ?? bridge.index) !== bridge.index) {
    throw notAGateway(link, bridge)
  }
  const changes = await planSettings(node.rtnl, { link, port, bridge, spec })
  if (changes.length > 0) await node.rtnl.apply(...changes)
  return { ...link, up: true }
}

/** One that another process has made meanwhile is fine. */
async function createPair(
  node: Node,
  { bridge, spec, onChange }: { bridge: Link; spec: VlanGatewaySpec; onChange: OnChange },
): Promise<void> {
  const { rtnl } = node
  const { mac, portName } = spec
  const { mtu, index: master } = bridge
  const name = vlanGatewayName(bridge.name, spec.vlan)
  const link = { kind: 'veth', name: portName, mtu, master, peer: { name, mac, mtu } } as const
  try {
    await rtnl.apply({ change: 'create link', link })
  } catch (error) {
    if (isAlreadyExists(error)) return
    throw error
  }
  onChange(`remove ${name}`, () => removeOwn(rtnl, name, mac), { kind: 'presence' })
  // Before it is up: a pod must not be able to hand the node routes (CVE-2020-10749).
  refuseRouterAdvertisements(node, name)
  refuseRouterAdvertisements(node, portName)
}

async function removeOwn(rtnl: Rtnl, name: string, mac: MacAddress): Promise<void> {
  const link = await rtnl.findLink(name)
  if (link?.mac !== mac) return
  await rtnl.apply({ change: 'delete link', link: link.index }).catch(unlessGone)
}

async function findPort(rtnl: Rtnl, { peerIndex, peerNetnsid }: Link): Promise<Link | undefined> {
  return peerIndex === undefined || peerNetnsid !== undefined ? undefined : rtnl.findLink(peerIndex)
}

interface Pair {
  readonly link: Link
  readonly port: Link
  readonly bridge: Link
  readonly spec: VlanGatewaySpec
}

/** What is missing: of a new pair almost all, of one whose bridge was made again its place in it. */
async function planSettings(rtnl: Rtnl, { link, port, bridge, spec }: Pair): Promise<Change[]> {
  const vlans: PortVlans = { vlan: spec.vlan, trunk: [], preserveDefault: spec.preserveDefault }
  const isPlugged = port.master === bridge.index
  const defaultPvid = bridge.vlanDefaultPvid ?? 0
  const present = isPlugged ? formatVlans(await rtnl.listBridgeVlans(port.index)) : ''
  const isInVlan = present === describePortVlans(vlans, defaultPvid)
  return [
    ...(isPlugged
      ? []
      : [{ change: 'set link', link: port.index, set: { up: false, master: bridge.index } } as const]),
    ...(isInVlan ? [] : portVlanChanges(port.index, vlans, defaultPvid)),
    ...(port.up && isPlugged ? [] : [{ change: 'set link', link: port.index, set: { up: true } } as const]),
    ...(link.up ? [] : [{ change: 'set link', link: link.index, set: { up: true } } as const]),
  ]
}

/** What is wrong with it, in words; nothing when it is as `ensureVlanGateway` makes it. */
export async function checkVlanGateway(
  rtnl: Rtnl,
  { bridge, vlan, preserveDefault }: { bridge: Link } & Pick<VlanGatewaySpec, 'vlan' | 'preserveDefault'>,
): Promise<string[]> {
  const name = `gateway interface ${vlanGatewayName(bridge.name, vlan)}`
  const link = await rtnl.findLink(vlanGatewayName(bridge.name, vlan))
  if (link === undefined) return [`${name} is gone`]
  const port = await findPort(rtnl, link)
  if (port?.master !== bridge.index) return [`${name} is not plugged into ${bridge.name}`]
  const wanted = describePortVlans({ vlan, trunk: [], preserveDefault }, bridge.vlanDefaultPvid ?? 0)
  const present = formatVlans(await rtnl.listBridgeVlans(port.index))
  return [
    ...(link.up && port.up ? [] : [`${name} is down`]),
    ...(present === wanted ? [] : [`${name} has vlan ${present}, expected ${wanted}`]),
  ]
}

function notAGateway({ name }: Link, bridge: Link): BridgeError {
  return new BridgeError(
    'ENOTGATEWAY',
    `${JSON.stringify(name)} already exists but is not plugged into ${JSON.stringify(bridge.name)}`,
    { remedy: `choose another name in "bridge", or remove the link: ip link del ${name}` },
  )
}
