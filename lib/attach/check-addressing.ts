// CHECK, inside the pod: addresses and routes.

import type { Namespace } from '../host/kernel.ts'
import { formatRoute } from '../rtnl/format.ts'
import { type Link, LOOPBACK_INDEX } from '../rtnl/link.ts'
import { type Route, type RouteState, RT_TABLE_MAIN } from '../rtnl/route.ts'
import { type PodAddressing, podSysctls } from '../veth/pod-link.ts'

/**
 * @param expected.unrecorded  not by us: upstream leaves lo and some sysctls alone
 * @param expected.movedTo     tables to which a plugin that came later has moved routes
 */
export async function checkAddressing(
  { rtnl, sysctl }: Namespace,
  { index, name: ifname }: Pick<Link, 'index' | 'name'>,
  expected: PodAddressing & {
    readonly unrecorded?: boolean
    readonly movedTo?: readonly number[] | undefined
  },
): Promise<string[]> {
  const { addresses, routes, movedTo } = expected
  const presentAddresses = await rtnl.listAddresses({ dev: index })
  const presentRoutes = await rtnl.listRoutes({ dev: index })
  const lo = await rtnl.findLink(LOOPBACK_INDEX)
  const missing = addresses.filter(
    (address) => !presentAddresses.some(({ prefix }) => prefix.equals(address)),
  )
  const lost = routes.filter(
    (route) => !presentRoutes.some((present) => isSameRoute(route, present, movedTo)),
  )
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
export function isSameRoute(expected: Route, actual: RouteState, movedTo: readonly number[] = []): boolean {
  return (
    expected.dst.masked().equals(actual.dst) &&
    (expected.gateway === undefined || actual.gateway?.equals(expected.gateway) === true) &&
    ((expected.table ?? RT_TABLE_MAIN) === actual.table || movedTo.includes(actual.table)) &&
    (expected.scope === undefined || expected.scope === actual.scope) &&
    (expected.priority === undefined || expected.priority === actual.priority) &&
    (expected.mtu === undefined || expected.mtu === actual.mtu) &&
    (expected.advmss === undefined || expected.advmss === actual.advmss)
  )
}
