// Routes of one link as plain JSON, for records of what is moved from one table to another.

import { IpAddress } from '../ip/address.ts'
import { Prefix } from '../ip/prefix.ts'
import type { Route, RouteState } from '../rtnl/route.ts'

/** Without table and link: those are said with the list. */
export interface RouteRecord {
  readonly dst: string
  readonly gateway?: string
  readonly source?: string
  readonly priority?: number
  readonly scope?: number
  readonly mtu?: number
  readonly advmss?: number
  readonly onLink?: boolean
  readonly connected?: boolean
}

type RoutePart = Pick<Route, 'dst' | 'gateway' | 'source' | 'priority' | 'mtu' | 'advmss' | 'onLink'> &
  Partial<Pick<RouteState, 'scope' | 'connected'>>

export function toRouteRecord({
  dst,
  gateway,
  source,
  priority,
  scope,
  mtu,
  advmss,
  onLink,
  connected,
}: RoutePart): RouteRecord {
  return {
    dst: String(dst),
    ...(gateway === undefined ? {} : { gateway: String(gateway) }),
    ...(source === undefined ? {} : { source: String(source) }),
    ...(priority === undefined ? {} : { priority }),
    ...(scope === undefined || dst.family === 6 ? {} : { scope }), // IPv6 has no scopes
    ...(mtu === undefined ? {} : { mtu }),
    ...(advmss === undefined ? {} : { advmss }),
    ...(onLink ? { onLink } : {}),
    ...(connected ? { connected } : {}),
  }
}

export function fromRouteRecord({
  dst,
  gateway,
  source,
  ...rest
}: RouteRecord): Omit<Route, 'dev' | 'table'> {
  return {
    ...rest,
    dst: Prefix.parse(dst),
    ...(gateway === undefined ? {} : { gateway: IpAddress.parse(gateway) }),
    ...(source === undefined ? {} : { source: IpAddress.parse(source) }),
  }
}
