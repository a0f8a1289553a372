// What ADD tells the runtime: interfaces, addresses, routes, DNS.

import type { Request } from '../../lib/cni/request.ts'
import type { Dns, Result } from '../../lib/cni/result.ts'
import { atLeast } from '../../lib/cni/versions.ts'
import type { Link } from '../../lib/rtnl/link.ts'
import type { BridgeAttachment } from './attachment.ts'
import type { BridgeNetconf } from './netconf.ts'

/** Index of the pod's interface in the result: after the bridge and the wire's end on the node. */
const POD_INTERFACE = 2

interface Made {
  readonly bridge: Link
  /** The interface of the VLAN that has the gateway's addresses. */
  readonly gateway: Link | undefined
  readonly netconf: BridgeNetconf
  readonly ipam: Result | undefined
}

export function bridgeResult(
  request: Request,
  attachment: BridgeAttachment,
  { bridge, gateway, netconf, ipam }: Made,
): Result {
  const { hostIfname, hostMac, podMac } = attachment
  const mtu = (value: number) => (atLeast(request.cniVersion, '1.1.0') ? { mtu: value } : {})
  const dns = isEmpty(netconf.dns) ? ipam?.dns : netconf.dns
  return {
    interfaces: [
      { name: bridge.name, mac: bridge.mac ?? '', ...mtu(bridge.mtu) },
      { name: hostIfname, mac: hostMac, ...mtu(attachment.mtu) },
      { name: request.ifname, mac: podMac, ...mtu(attachment.mtu), sandbox: request.netns },
      ...(gateway === undefined ? [] : [{ name: gateway.name, mac: gateway.mac ?? '', ...mtu(gateway.mtu) }]),
    ],
    ips: attachment.ips.map((ip) => ({ ...ip, interface: POD_INTERFACE })),
    routes: attachment.routes,
    ...(dns === undefined ? {} : { dns }),
  }
}

function isEmpty({ nameservers = [], domain = '', search = [], options = [] }: Dns): boolean {
  return nameservers.length + domain.length + search.length + options.length === 0
}
