// CHECK, inside the pod: addresses and routes.

import type { Namespace } from '../../lib/host/kernel.ts'
import { formatRoute } from '../../lib/rtnl/format.ts'
import { type Link, LOOPBACK_INDEX } from '../../lib/rtnl/link.ts'
import { type Route, type RouteState, RT_TABLE_MAIN } from '../../lib/rtnl/route.ts'
import { podSysctls } from '../../lib/veth/pod-link.ts'
import type { BridgeAttachment } from './attachment.ts'
import { podAddressing } from './plan.ts'

export async function checkAddressing(
  { rtnl, sysctl }: Namespace,
  link: Link,
  { expected, ifname }: { expected: BridgeAttachment; ifname: string },
): Promise<string[]> {
  const { addresses, routes } = podAddressing(expected)
  const presentAddresses = await rtnl.listAddresses({ dev: link.index })
  const presentRoutes = await rtnl.listRoutes({ dev: link.index })
  const lo = await rtnl.findLink(LOOPBACK_INDEX)
  const missing = addresses.filter(
    (address) => !presentAddresses.some(({ prefix }) => prefix.equals(address)),
  )
  const lost = routes.filter((route) => !presentRoutes.some((present) => isSameRoute(route, present)))
  const failed = presentAddresses.filter(({ dadFailed }) => dadFailed)
  const sysctls = expected.unrecorded ? [] : podSysctls(ifname, expected)
  const drifted = sysctls.filter(({ key, value }) => (sysctl.find(key) ?? value) !== value)
  return [
    ...(lo?.up || expected.unrecorded ? [] : ['pod interface lo is down']),
    ...missing.map((address) => `pod interface ${ifname} has no address ${address}`),
    ...failed.map(({ prefix }) => `address ${prefix} of pod interface ${ifname} is a duplicate (DAD)`),
    ...lost.map((route) => `pod has no route ${formatRoute(route)}`),
    ...drifted.map(({ key, value }) => `pod has sysctl net/${key} ${sysctl.find(key)}, expected ${value}`),
  ]
}

/** What the route says must be so; what it leaves open may be anything. */
function isSameRoute(expected: Route, actual: RouteState): boolean {
  return (
    expected.dst.masked().equals(actual.dst) &&
    (expected.gateway === undefined || actual.gateway?.equals(expected.gateway) === true) &&
    (expected.table ?? RT_TABLE_MAIN) === actual.table &&
    (expected.scope === undefined || expected.scope === actual.scope) &&
    (expected.priority === undefined || expected.priority === actual.priority) &&
    (expected.mtu === undefined || expected.mtu === actual.mtu) &&
    (expected.advmss === undefined || expected.advmss === actual.advmss)
  )
}
