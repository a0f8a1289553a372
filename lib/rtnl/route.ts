// Routes (RTM_*ROUTE, linux/rtnetlink.h).

import { type Family, IpAddress } from '../ip/address.ts'
import { Prefix } from '../ip/prefix.ts'
import { NLM_F_CREATE } from '../netlink/message.ts'
import { type Operation, type Request, readKnown, request } from '../netlink/request.ts'
import { addressFamily, RTM_DELROUTE, RTM_GETROUTE, RTM_NEWROUTE } from './attributes.ts'
import type { IfIndex } from './link.ts'

export const RT_SCOPE = { global: 0, link: 253, host: 254 } as const
/** Any, when deleting. */
const RT_SCOPE_NOWHERE = 255
export const RT_TABLE_MAIN = 254
/** Any, when deleting. */
const RTPROT_UNSPEC = 0
const RTPROT_KERNEL = 2
const RTPROT_BOOT = 3
const RTPROT_RA = 9
const RTN_UNICAST = 1
/** `onlink` of ip-route. */
const RTNH_F_ONLINK = 4

export interface Route {
  /** The default route is 0.0.0.0/0 or ::/0. */
  readonly dst: Prefix
  readonly dev?: IfIndex
  readonly gateway?: IpAddress
  /** Lower is preferred (RTA_PRIORITY; `metric` of ip-route). */
  readonly priority?: number
  /** The main table (254) when absent. */
  readonly table?: number
  /** A value of RT_SCOPE. When absent: link without a gateway, global with one. */
  readonly scope?: number
  readonly mtu?: number
  readonly advmss?: number
  readonly source?: IpAddress
  /** The gateway is a neighbour on the link, whatever other routes say (RTNH_F_ONLINK). */
  readonly onLink?: boolean
  /** Learnt from a router's advertisement (RTPROT_RA). */
  readonly advertised?: boolean
  /** Made by the kernel itself for an address (RTPROT_KERNEL). */
  readonly connected?: boolean
}

export interface RouteState extends Route {
  readonly table: number
  readonly scope: number
  readonly connected: boolean
}

/**
 * Without NLM_F_EXCL a second route to one destination is no error, as upstream's plugins have it, unless it is the
 * very same route (EEXIST). For IPv4 it goes before the first and is used instead of it; for IPv6 it is one more way
 * beside it (ECMP).
 */
export function addRouteRequest(route: Route, operation: Operation): Request {
  return request(RTM_NEWROUTE, {
    flags: NLM_F_CREATE,
    ...routeContent(route, protocolOf(route)),
    operation,
  })
}

function protocolOf({ advertised, connected }: Route): number {
  if (advertised) return RTPROT_RA
  return connected ? RTPROT_KERNEL : RTPROT_BOOT
}

/** The first that is like this, whoever made it: also a route of the kernel's own, as listed. What is absent is any. */
export function deleteRouteRequest(route: Route, operation: Operation): Request {
  const anyScope = route.dst.family === 4 ? { scope: RT_SCOPE_NOWHERE } : {} // IPv6 has no scopes
  return request(RTM_DELROUTE, { ...routeContent({ ...anyScope, ...route }, RTPROT_UNSPEC), operation })
}

function routeContent(route: Route, protocol: number) {
  const table = route.table ?? RT_TABLE_MAIN
  const scope = route.scope ?? (route.gateway || route.dst.family === 6 ? RT_SCOPE.global : RT_SCOPE.link)
  const metrics = {
    ...(route.mtu ? { RTAX_MTU: route.mtu } : {}),
    ...(route.advmss ? { RTAX_ADVMSS: route.advmss } : {}),
  }
  return {
    header: {
      rtm_family: addressFamily[route.dst.family],
      rtm_dst_len: route.dst.length,
      rtm_table: table < 256 ? table : 0,
      rtm_protocol: protocol,
      rtm_scope: scope,
      rtm_type: RTN_UNICAST,
      ...(route.onLink ? { rtm_flags: RTNH_F_ONLINK } : {}),
    },
    attributes: {
      RTA_DST: route.dst.length > 0 ? route.dst.first().toBytes() : undefined,
      RTA_PREFSRC: route.source?.toBytes(),
      RTA_TABLE: table < 256 ? undefined : table,
      RTA_GATEWAY: route.gateway?.toBytes(),
      RTA_PRIORITY: route.priority,
      RTA_OIF: route.dev,
      RTA_METRICS: Object.keys(metrics).length > 0 ? metrics : undefined,
    },
  }
}

export interface RouteFilter {
  readonly family?: Family
  readonly dev?: IfIndex
  readonly table?: number
}

export function listRoutesRequest({ family, dev, table }: RouteFilter): Request {
  return request(RTM_GETROUTE, {
    header: { rtm_family: family === undefined ? 0 : addressFamily[family] },
    attributes: { RTA_OIF: dev, RTA_TABLE: table },
    operation: 'list routes',
  })
}

/** One route for each way of a route with several (RTA_MULTIPATH; IPv6 shows equal routes so, too). */
export function readRoutes(payload: Uint8Array): RouteState[] {
  const route = readRoute(payload)
  const ways = readKnown(RTM_NEWROUTE, payload).attributes.RTA_MULTIPATH
  if (route === undefined || ways === undefined) return route === undefined ? [] : [route]
  return ways.map(({ header, attributes: { RTA_GATEWAY } }) => ({
    ...route,
    dev: header.rtnh_ifindex as IfIndex,
    ...(RTA_GATEWAY === undefined ? {} : { gateway: IpAddress.fromBytes(RTA_GATEWAY) }),
    ...(header.rtnh_flags & RTNH_F_ONLINK ? { onLink: true } : {}),
  }))
}

/** @returns undefined for what is no unicast IP route (local, broadcast, multicast, blackhole) */
export function readRoute(payload: Uint8Array): RouteState | undefined {
  const { header, attributes: a } = readKnown(RTM_NEWROUTE, payload)
  if (header.rtm_type !== RTN_UNICAST) return undefined
  const family =
    header.rtm_family === addressFamily[4] ? 4 : header.rtm_family === addressFamily[6] ? 6 : undefined
  if (family === undefined) return undefined
  const dst = a.RTA_DST ? IpAddress.fromBytes(a.RTA_DST) : IpAddress.of(family, 0n)
  return {
    dst: Prefix.of(dst, header.rtm_dst_len),
    ...(a.RTA_OIF === undefined ? {} : { dev: a.RTA_OIF as IfIndex }),
    ...(a.RTA_GATEWAY === undefined ? {} : { gateway: IpAddress.fromBytes(a.RTA_GATEWAY) }),
    ...(a.RTA_PRIORITY === undefined ? {} : { priority: a.RTA_PRIORITY }),
    ...(a.RTA_PREFSRC === undefined ? {} : { source: IpAddress.fromBytes(a.RTA_PREFSRC) }),
    ...(a.RTA_METRICS?.RTAX_MTU === undefined ? {} : { mtu: a.RTA_METRICS.RTAX_MTU }),
    ...(a.RTA_METRICS?.RTAX_ADVMSS === undefined ? {} : { advmss: a.RTA_METRICS.RTAX_ADVMSS }),
    table: a.RTA_TABLE ?? header.rtm_table,
    scope: header.rtm_scope,
    connected: header.rtm_protocol === RTPROT_KERNEL,
    ...(header.rtm_flags & RTNH_F_ONLINK ? { onLink: true } : {}),
    ...(header.rtm_protocol === RTPROT_RA ? { advertised: true } : {}),
  }
}
