// Where the gateway's addresses are: on the bridge, or on the interface of the pod's VLAN.

import { ensureGateways, type OnChange } from '../../lib/bridge/bridge.ts'
import { ensureVlanGateway, vlanGatewayName } from '../../lib/bridge/vlan-gateway.ts'
import type { Namespace } from '../../lib/host/kernel.ts'
import { type RandomBytes, toHex } from '../../lib/host/random.ts'
import { macFromRandom } from '../../lib/ip/mac.ts'
import { Prefix } from '../../lib/ip/prefix.ts'
import type { Link } from '../../lib/rtnl/link.ts'
import type { BridgeAttachment } from './attachment.ts'

/** @returns the name of the link that has the gateway's addresses */
export function gatewayIfname({ bridge, vlans }: Pick<BridgeAttachment, 'bridge' | 'vlans'>): string {
  return vlans?.vlan ? vlanGatewayName(bridge, vlans.vlan) : bridge
}

export interface GatewayMaking {
  readonly bridge: Link
  readonly random: RandomBytes
  readonly force: boolean
  readonly onChange: OnChange
}

/** @returns the interface of the VLAN, where there is one */
export async function ensureGateway(
  node: Namespace,
  { gateways, vlans }: Pick<BridgeAttachment, 'gateways' | 'vlans'>,
  { bridge, random, force, onChange }: GatewayMaking,
): Promise<Link | undefined> {
  if (gateways.length === 0) return undefined
  const addresses = gateways.map(Prefix.parse)
  if (!vlans?.vlan) {
    await ensureGateways(node.rtnl, bridge, { gateways: addresses, force, onChange })
    return undefined
  }
  const { vlan, preserveDefault } = vlans
  const names = { mac: macFromRandom(random(6)), portName: `veth${toHex(random(4))}` }
  const link = await ensureVlanGateway(node, { bridge, spec: { vlan, preserveDefault, ...names }, onChange })
  await ensureGateways(node.rtnl, link, { gateways: addresses, force, onChange })
  return link
}
