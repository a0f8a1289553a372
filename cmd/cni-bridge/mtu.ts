// The MTU of a pod's wire: as configured, else the kernel's default for a veth, or that of the way out of the node.

import type { Rtnl } from '../../lib/rtnl/rtnl.ts'
import { findUplinks } from '../../lib/rtnl/uplink.ts'
import { AUTO_MTU, type BridgeNetconf } from './netconf.ts'

/** What a veth has when nothing is asked for (ETH_DATA_LEN); and a node without a default route has no way out. */
const DEFAULT_MTU = 1500

export type SettledNetconf = Omit<BridgeNetconf, 'mtu'> & {
  /** Never 0. */
  readonly mtu: number
}

/** A packet that fits the pod's wire then fits every default route's link. */
export async function settleMtu(rtnl: Rtnl, netconf: BridgeNetconf): Promise<SettledNetconf> {
  const { mtu } = netconf
  if (mtu !== AUTO_MTU) return { ...netconf, mtu: mtu || DEFAULT_MTU }
  const uplinks = await findUplinks(rtnl)
  return {
    ...netconf,
    mtu: uplinks.length === 0 ? DEFAULT_MTU : Math.min(...uplinks.map((link) => link.mtu)),
  }
}
