// Routes of the fake kernel (net/ipv4/fib_semantics.c, net/ipv6/route.c).

import type { IpAddress } from '../ip/address.ts'
import { Prefix } from '../ip/prefix.ts'
import { isLocalAddress } from './fake-addresses.ts'
import { FakeRefusal } from './fake-refusal.ts'
import type { FakeLink, FakeRoute, FakeStack } from './fake-stack.ts'
import { LOOPBACK_INDEX } from './link.ts'
import { type Route, type RouteState, RT_SCOPE, RT_TABLE_MAIN } from './route.ts'
import type { RouteQuery, Way } from './route-lookup.ts'

const LINK_LOCAL6 = Prefix.parse('fe80::/10')
/** IP6_RT_PRIO_USER: where no metric is given. */
const DEFAULT_METRIC6 = 1024

export function addRoute(stack: FakeStack, route: Route): void {
  const link = route.dev === undefined ? linkTowards(stack, route) : stack.findLink(route.dev)
  if (link === undefined) throw new FakeRefusal('ENODEV')
  if (!link.up) throw new FakeRefusal('ENETDOWN', { text: DOWN[route.dst.family] })
  checkGateway(stack, link, route)
  if (route.source !== undefined && !isLocalAddress(stack, route.source))
    throw new FakeRefusal('EINVAL', { text: BAD_SOURCE[route.dst.family] })
  const added = complete(link, route)
  if (stack.routes.some((other) => isSameRoute(other, added))) throw new FakeRefusal('EEXIST')
  if (added.dst.family === 4) stack.routes.unshift(added)
  else stack.routes.push(added)
}

const DOWN = { 4: 'Device for nexthop is not up', 6: 'Nexthop device is not up' } as const
const BAD_SOURCE = { 4: 'Invalid prefsrc address', 6: 'Invalid source address' } as const

/** The link by which the gateway is reached. */
function linkTowards(stack: FakeStack, { gateway, dst, table }: Route): FakeLink | undefined {
  if (gateway === undefined) return undefined
  if (dst.family === 6 && LINK_LOCAL6.contains(gateway))
    throw new FakeRefusal('EINVAL', { text: 'Egress device not specified' })
  const way = wayTo(stack, gateway, { table })
  if (way === undefined) throw unreachable(dst.family)
  return way.link
}

/** The longest prefix without a gateway of its own, in the route's table, else in main (fib_check_nh_v4_gw). */
function wayTo(
  stack: FakeStack,
  address: IpAddress,
  { link, table = RT_TABLE_MAIN }: { link?: FakeLink; table?: number | undefined } = {},
): FakeRoute | undefined {
  const found = wayIn(stack, address, { link, table })
  return (
    found ?? (table === RT_TABLE_MAIN ? undefined : wayIn(stack, address, { link, table: RT_TABLE_MAIN }))
  )
}

function wayIn(
  stack: FakeStack,
  address: IpAddress,
  { link, table }: { link: FakeLink | undefined; table: number },
): FakeRoute | undefined {
  return stack.routes
    .filter((route) => route.table === table && route.dst.contains(address))
    .filter((route) => route.gateway === undefined && route.scope <= RT_SCOPE.link)
    .filter((route) => link === undefined || route.link === link)
    .sort((a, b) => b.dst.length - a.dst.length)[0]
}

function checkGateway(stack: FakeStack, link: FakeLink, route: Route): void {
  const { gateway, dst, scope, table, onLink } = route
  if (gateway === undefined) return
  if (dst.family === 4 && onLink) checkOnLink(stack, route)
  if (dst.family === 4 && (gateway.family !== 4 || (scope ?? 0) >= RT_SCOPE.link)) throw unreachable(4)
  if (dst.family === 6 && isLocalAddress(stack, gateway))
    throw new FakeRefusal('EINVAL', { text: 'Gateway can not be a local address' })
  const isLinkLocal = dst.family === 6 && LINK_LOCAL6.contains(gateway)
  if (dst.family === 4 && isOwnAddress(stack, link, gateway)) return
  if (!isLinkLocal && !onLink && wayTo(stack, gateway, { link, table }) === undefined)
    throw unreachable(dst.family)
}

function isOwnAddress({ addresses }: FakeStack, link: FakeLink, address: IpAddress): boolean {
  return addresses.some((one) => one.link === link && one.prefix.address.equals(address))
}

function checkOnLink(stack: FakeStack, { gateway, scope }: Route): void {
  if ((scope ?? 0) >= RT_SCOPE.link) throw new FakeRefusal('EINVAL', { text: 'Nexthop has invalid scope' })
  if (gateway !== undefined && isLocalAddress(stack, gateway))
    throw new FakeRefusal('EINVAL', { text: 'Nexthop has invalid gateway' })
}

function unreachable(family: 4 | 6): FakeRefusal {
  return family === 4
    ? new FakeRefusal('ENETUNREACH', { text: 'Nexthop has invalid gateway' })
    : new FakeRefusal('EHOSTUNREACH')
}

function complete(link: FakeLink, { dev: _, ...route }: Route): FakeRoute {
  const isLink = route.gateway === undefined && route.dst.family === 4
  return {
    ...route,
    dst: route.dst.masked(),
    link,
    table: route.table ?? RT_TABLE_MAIN,
    scope:
      route.dst.family === 6 ? RT_SCOPE.global : (route.scope ?? (isLink ? RT_SCOPE.link : RT_SCOPE.global)),
    ...(route.dst.family === 6 ? { priority: route.priority || DEFAULT_METRIC6 } : {}),
    connected: route.connected ?? false,
  }
}

/** IPv4 compares everything; for IPv6 it is the way that may be there once. */
function isSameRoute(a: FakeRoute, b: FakeRoute): boolean {
  const isSameWay = a.link === b.link && same(a.gateway, b.gateway)
  if (!isSameWay || !a.dst.equals(b.dst) || a.table !== b.table) return false
  if ((a.priority ?? 0) !== (b.priority ?? 0)) return false
  if (a.dst.family === 6) return true
  if ((a.onLink ?? false) !== (b.onLink ?? false)) return false
  const isSameInfo = a.scope === b.scope && same(a.source, b.source) && a.connected === b.connected
  return isSameInfo && (a.mtu ?? 0) === (b.mtu ?? 0) && (a.advmss ?? 0) === (b.advmss ?? 0)
}

function same(a: IpAddress | undefined, b: IpAddress | undefined): boolean {
  return a === undefined || b === undefined ? a === b : a.equals(b)
}

/** By table main, and without a look at forwarding and rp_filter. */
export function lookUpRoute(stack: FakeStack, { dst, source, from }: RouteQuery): Way {
  const isOwn = source === undefined && from === undefined
  if (isLocalAddress(stack, dst))
    return { kind: 'local', dev: LOOPBACK_INDEX, ...(isOwn ? { source: dst } : {}) }
  const [route] = stack.routes
    .filter((one) => one.table === RT_TABLE_MAIN && one.dst.contains(dst))
    .sort((a, b) => b.dst.length - a.dst.length || (a.priority ?? 0) - (b.priority ?? 0))
  if (route === undefined) throw new FakeRefusal('ENETUNREACH')
  const { link, gateway } = route
  const own = route.source ?? sourceFor(stack, link, gateway ?? dst)
  return {
    kind: 'unicast',
    dev: link.index,
    ...(gateway === undefined ? {} : { gateway }),
    ...(isOwn && own !== undefined ? { source: own } : {}),
  }
}

/** The link's address in the subnet of the next hop, else its first. */
function sourceFor(stack: FakeStack, link: FakeLink, nextHop: IpAddress): IpAddress | undefined {
  const own = stack.addresses.filter((one) => one.link === link && one.prefix.family === nextHop.family)
  return (own.find(({ prefix }) => prefix.contains(nextHop)) ?? own[0])?.prefix.address
}

/** The first that is like this: what is absent is any. */
export function deleteRoute(stack: FakeStack, wanted: Route): void {
  const table = wanted.table ?? RT_TABLE_MAIN
  const index = stack.routes.findIndex(
    (route) =>
      route.dst.equals(wanted.dst.masked()) &&
      route.table === table &&
      (wanted.dev === undefined || route.link.index === wanted.dev) &&
      (wanted.gateway === undefined || same(route.gateway, wanted.gateway)) &&
      (!wanted.priority || route.priority === wanted.priority) &&
      (wanted.scope === undefined || wanted.dst.family === 6 || route.scope === wanted.scope) &&
      (wanted.source === undefined || same(route.source, wanted.source)),
  )
  const isTable = stack.routes.some(
    (route) => route.table === table && route.dst.family === wanted.dst.family,
  )
  const text = isTable || table === RT_TABLE_MAIN ? {} : { text: 'FIB table does not exist' }
  if (index < 0) throw new FakeRefusal('ESRCH', wanted.dst.family === 4 ? text : {})
  stack.routes.splice(index, 1)
}

export function describeRoute({ link, ...route }: FakeRoute): RouteState {
  return { ...route, dev: link.index }
}
