// What `cni-sbr` does for one attachment, as plain JSON, and how it comes about.

import { findPodInterface } from '../../lib/attach/prev-result.ts'
import { type PodRecord, podRecord } from '../../lib/attach/recorded-pod.ts'
import { type RouteRecord, toRouteRecord } from '../../lib/attach/route-record.ts'
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
  readonly ways: readonly SourceWay[]
  /** Taken from the main table. */
  readonly moved: readonly RouteRecord[]
  /** Where they are now: other plugins' CHECK looks there for the interface's routes. */
  readonly routesTo: readonly number[]
}

/** Of one address of the interface: 10.1.0.5/32. What is from there is looked up in the table. */
export interface SourceWay {
  readonly source: string
  readonly table: number
  /** Its default route, and what the interface had in the main table; none in a table that the config names. */
  readonly routes: readonly RouteRecord[]
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
  const common = { ...podRecord(request, pod), index: link.index }
  const { table: named } = netconf
  if (named !== undefined)
    return { ...common, ways: ips.map((ip) => wayTo(ip, named)), moved: [], routesTo: [] }
  const present = await pod.rtnl.listRoutes({ dev: link.index })
  const moved = present.filter(isMovable).map(toRouteRecord).sort(directFirst)
  const tables = await chooseTables(ports, request, { pod, count: ips.length })
  const ways = ips.map((ip, at) => planWay(ip, { table: tables[at] ?? FIRST_TABLE, moved, netconf }))
  return { ...common, ways, moved, routesTo: tables }
}

/** A table that the config names has the routes that others have put there, such as the IPAM's: none is touched. */
function wayTo(ip: ResultIp, table: number): SourceWay {
  return { source: alone(Prefix.parse(ip.address).address), table, routes: [] }
}

export function tablesOf({ ways }: Pick<SbrRecord, 'ways'>): number[] {
  return ways.map(({ table }) => table)
}

/** Each address has a table, since each may have a gateway of its own. */
function planWay(
  ip: ResultIp,
  { table, moved, netconf }: { table: number; moved: readonly RouteRecord[]; netconf: SbrNetconf },
): SourceWay {
  const { address } = Prefix.parse(ip.address)
  const { family } = address
  const chosen =
    netconf.gateways.find((one) => one.family === family) ??
    (ip.gateway ? IpAddress.parse(ip.gateway) : undefined)
  const own = chosen === undefined ? [] : [{ dst: DEFAULT_ROUTE[family], gateway: String(chosen) }]
  const others = moved.filter(({ dst }) => {
    return Prefix.parse(dst).family === family && !own.some((route) => route.dst === dst)
  })
  const source = String(address)
  const hint = (route: RouteRecord) => (netconf.addSourceHints ? { source, ...route } : route)
  return { source: alone(address), table, routes: [...others, ...own].map(hint).sort(directFirst) }
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

/** Neither rules nor routes have them, nor another interface of this container that is in the making. */
async function chooseTables(
  { attachments }: Ports,
  { containerId }: Request,
  { pod: { rtnl }, count }: { pod: Namespace; count: number },
): Promise<number[]> {
  const rules = [...(await rtnl.listRules(4)), ...(await rtnl.listRules(6))]
  const routes = await rtnl.listRoutes()
  const recorded = attachments
    .list({ plugin: 'cni-sbr', containerId })
    .flatMap(({ record }) => tablesOf(record as SbrRecord))
  const taken = new Set([...rules, ...routes].map(({ table }) => table).concat(recorded))
  const free: number[] = []
  for (let table = FIRST_TABLE; free.length < count; table++) if (!taken.has(table)) free.push(table)
  return free
}

function alone(address: IpAddress): string {
  return String(Prefix.of(address, ADDRESS_BITS[address.family]))
}
