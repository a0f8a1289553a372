// Whether the node passes on what is not addressed to itself: without it a gateway is none (ip-sysctl in the kernel's
// documentation). It is one switch for the whole node, and stays on when the pods are gone.
//
// A router takes no routes from other routers: where IPv6 forwarding is switched on, the kernel drops the default
// routes that it learnt from advertisements, and hears no more of them (rt6_purge_dflt_routers, ipv6_accept_ra). A
// node that got its own default route so would lose it. With accept_ra 2 a link goes on hearing them.

import type { Family } from '../ip/address.ts'
import type { Rtnl } from '../rtnl/rtnl.ts'
import type { Sysctl, SysctlSetting } from '../sysctl/sysctl.ts'

const FORWARDING: Readonly<Record<Family, SysctlSetting>> = {
  4: { key: 'ipv4/ip_forward', value: '1' },
  6: { key: 'ipv6/conf/all/forwarding', value: '1' },
}
/** Only while the node is no router. */
const ACCEPT_RA_UNLESS_ROUTER = '1'
const ACCEPT_RA_ALWAYS = '2'

interface Node {
  readonly rtnl: Rtnl
  readonly sysctl: Sysctl
}

export function forwardingSysctls(families: ReadonlySet<Family>): SysctlSetting[] {
  return [...families].map((family) => FORWARDING[family])
}

/** What must be written, in this order, so that the node forwards and keeps its own default route. Nothing is done. */
export async function planForwarding(node: Node, families: ReadonlySet<Family>): Promise<SysctlSetting[]> {
  const missing = forwardingSysctls(families).filter(({ key, value }) => node.sysctl.find(key) !== value)
  return missing.includes(FORWARDING[6]) ? [...(await keepAdvertisedRoutes(node)), ...missing] : missing
}

/** For each link by which a default route was learnt. */
async function keepAdvertisedRoutes({ rtnl, sysctl }: Node): Promise<SysctlSetting[]> {
  const routes = (await rtnl.listRoutes({ family: 6 })).filter(
    ({ dst, advertised }) => dst.length === 0 && advertised,
  )
  const links = new Set(routes.flatMap(({ dev }) => dev ?? []))
  const names = await Promise.all([...links].map(async (index) => (await rtnl.findLink(index))?.name))
  return names
    .filter((name) => name !== undefined)
    .map((name) => ({ key: `ipv6/conf/${name}/accept_ra`, value: ACCEPT_RA_ALWAYS }))
    .filter(({ key }) => sysctl.find(key) === ACCEPT_RA_UNLESS_ROUTER)
}
