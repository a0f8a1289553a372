// What `cni-sbr` does for one attachment, as plain JSON, and how it comes about.

import { findPodInterface } from '../../lib/attach/prev-result.ts'
import { type PodRecord, podRecord } from '../../lib/attach/recorded-pod.ts'
import { isSameWay, type RouteRecord, toRouteRecord } from '../../lib/attach/route-record.ts'
import { CNI_CODE, CniError } from '../../lib/cni/errors.ts'
import type { Request } from '../../lib/cni/request.ts'
import type { Result, ResultIp } from '../../lib/cni/result.ts'
import type { Namespace } from '../../lib/host/kernel.ts'
import type { Ports } from '../../lib/host/ports.ts'
import { ADDRESS_BITS, IpAddress } from '../../lib/ip/address.ts'
import { Prefix } from '../../lib/ip/prefix.ts'
import type { IfIndex } from '../../lib/rtnl/link.ts'
import { type RouteState, RT_TABLE_MAIN } from '../../lib/rtnl/route.ts'
import type { SbrNetconf } from './netconf.ts'

const FIRST_TABLE = 100
const LINK_LOCAL6 = Prefix.parse('fe80::/10')
const DEFAULT_ROUTE = { 4: '0.0.0.0/0', 6: '::/0' } as const

export interface SbrRecord extends PodRecord {
  /** Of the interface. */
  readonly index: IfIndex
  /** The table that has its routes; other plugins' CHECK looks for them there. */
  readonly routesTo: number
  /** For each address of the interface, 10.1.0.5/32: what is from there is looked up in the table. */
  readonly sources: readonly string[]
  /** In the table: default routes, and those that were the interface's in the main table. */
  readonly routes: readonly RouteRecord[]
  /** Taken from the main table. */
  readonly moved: readonly RouteRecord[]
}

/** @throws CniError 999 when the interface is not there, or has no addresses */
export async function planRecord(
  ports: Ports,
  {
    request,
    pod,
    prevResult,
    netconf,
  }: { request: Request; pod: Namespace; prevResult: Result; netconf: SbrNetconf },
): Promise<SbrRecord> {
  const ips = ipsOf(request, prevResult)
  const link = await pod.rtnl.findLink(request.ifname)
  if (link === undefined)
    throw new CniError(CNI_CODE.internal, `Cannot find network interface ${request.ifname}: Link not found`)
  const present = await pod.rtnl.listRoutes({ dev: link.index })
  const moved = present.filter(isMovable).map(toRouteRecord).sort(directFirst)
  const routes = [...defaultRoutes(ips, netconf), ...moved]
  return {
    ...podRecord(request, pod),
    index: link.index,
    routesTo: netconf.table ?? (await findFreeTable(ports, request, pod)),
    sources: ips.map(({ address }) => alone(Prefix.parse(address).address)),
    routes: routes
      .filter((route, at) => routes.findIndex((other) => isSameWay(other, route)) === at)
      .map((route) => (netconf.addSourceHints ? withSource(route, ips) : route))
      .sort(directFirst),
    moved,
  }
}

/** Gateways must be reached when the routes through them are added. */
function directFirst(a: RouteRecord, b: RouteRecord): number {
  return Number(a.gateway !== undefined) - Number(b.gateway !== undefined)
}

/** Neighbours are found by the link-local route: without it in the main table there is no IPv6 on the interface. */
function isMovable({ table, dst }: RouteState): boolean {
  return table === RT_TABLE_MAIN && !LINK_LOCAL6.contains(dst.address)
}

/** Those of the interface; what does not say whose it is counts as well. */
function ipsOf(request: Request, { ips = [], interfaces = [] }: Result): ResultIp[] {
  if (ips.length === 0) {
    const words = `No IP addresses supplied on interface: ${request.ifname}`
    throw new CniError(CNI_CODE.internal, words, { details: 'prevResult has no ips' })
  }
  const own = findPodInterface(request, { interfaces })
  return ips.filter(({ interface: index }) => {
    const named = index === undefined ? undefined : interfaces[index]
    return named === undefined || named === own || named.name === request.ifname
  })
}

function defaultRoutes(ips: readonly ResultIp[], { gateways }: SbrNetconf): RouteRecord[] {
  return ips.flatMap(({ address, gateway }) => {
    const { family } = Prefix.parse(address)
    const chosen =
      gateways.find((one) => one.family === family) ?? (gateway ? IpAddress.parse(gateway) : undefined)
    return chosen === undefined ? [] : [{ dst: DEFAULT_ROUTE[family], gateway: String(chosen) }]
  })
}

function withSource(route: RouteRecord, ips: readonly ResultIp[]): RouteRecord {
  const { family } = Prefix.parse(route.dst)
  const source = ips.map(({ address }) => Prefix.parse(address).address).find((one) => one.family === family)
  return source === undefined || route.source !== undefined ? route : { ...route, source: String(source) }
}

/** Neither rules nor routes have it, nor another interface of this container that is in the making. */
async function findFreeTable({ attachments }: Ports, request: Request, { rtnl }: Namespace): Promise<number> {
  const rules = [...(await rtnl.listRules(4)), ...(await rtnl.listRules(6))]
  const recorded = attachments
    .list({ plugin: 'cni-sbr', containerId: request.containerId })
    .map(({ record }) => (record as SbrRecord).routesTo)
  const taken = new Set([...rules, ...(await rtnl.listRoutes())].map(({ table }) => table).concat(recorded))
  let table = FIRST_TABLE
  while (taken.has(table)) table++
  return table
}

function alone(address: IpAddress): string {
  return String(Prefix.of(address, ADDRESS_BITS[address.family]))
}
