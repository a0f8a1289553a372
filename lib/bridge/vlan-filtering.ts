// Whether a bridge keeps VLANs apart, and whether this kernel's bridges can (CONFIG_BRIDGE_VLAN_FILTERING).

import { NetlinkError } from '../netlink/error.ts'
import type { Link } from '../rtnl/link.ts'
import { BridgeError } from './bridge-error.ts'

/** Every bridge tells it: without, the kernel leaves the default VLAN of ports out (br_fill_info). */
function canFilter(bridge: Link): boolean {
  return bridge.vlanFiltering === true || bridge.vlanDefaultPvid !== undefined
}

/** Why no VLANs can be had with this bridge; undefined when they can. */
export function findVlanObstacle(bridge: Link): BridgeError | undefined {
  if (bridge.vlanFiltering === true) return undefined
  if (!canFilter(bridge)) return noVlanFiltering(bridge.name)
  return new BridgeError('ENOTFILTERING', `bridge ${JSON.stringify(bridge.name)} does not filter VLANs`, {
    remedy: `choose another name in "bridge", or let it filter: ip link set ${bridge.name} type bridge vlan_filtering 1`,
  })
}

/** Of bridges that have nothing to do with it: what they tell of the kernel. */
export function findKernelObstacle(name: string, bridges: readonly Link[]): BridgeError | undefined {
  return bridges.length === 0 || bridges.some(canFilter) ? undefined : noVlanFiltering(name)
}

/** For the creation of a bridge that filters. */
export function explainNoVlanFiltering(name: string, cause: unknown): unknown {
  return cause instanceof NetlinkError && cause.code === 'EOPNOTSUPP' ? noVlanFiltering(name, cause) : cause
}

function noVlanFiltering(name: string, cause?: unknown): BridgeError {
  return new BridgeError(
    'ENOVLANFILTERING',
    `bridge ${JSON.stringify(name)} cannot filter VLANs: the kernel lacks CONFIG_BRIDGE_VLAN_FILTERING`,
    { remedy: '"vlan" and "vlanTrunk" need a kernel with CONFIG_BRIDGE_VLAN_FILTERING=y', cause },
  )
}
