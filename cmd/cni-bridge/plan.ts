// From configuration and addresses to what will be made: pure, so that every rule can be read and tested here.

import { formatIp, type PodIp, parseIp } from '../../lib/attach/addressing.ts'
import type { Result, ResultRoute } from '../../lib/cni/result.ts'
import { type RandomBytes, toHex } from '../../lib/host/random.ts'
import type { Family, IpAddress } from '../../lib/ip/address.ts'
import { macForAddress, macFromRandom } from '../../lib/ip/mac.ts'
import { Prefix } from '../../lib/ip/prefix.ts'
import { RT_TABLE_MAIN } from '../../lib/rtnl/route.ts'
import type { BridgeAttachment } from './attachment.ts'
import type { SettledNetconf } from './mtu.ts'
import type { BridgeNetconf } from './netconf.ts'

const DEFAULT_ROUTE = { 4: '0.0.0.0/0', 6: '::/0' } as const
/** Of a route that names none (IP6_RT_PRIO_USER of linux/ipv6_route.h). */
const DEFAULT_METRIC = { 4: 0, 6: 1024 } as const

/**
 * @param ipam     the IPAM's result; undefined for a link without addresses
 * @param ipamConf the section of the config that it came by
 * @throws CniError 6 when the IPAM's result cannot be used
 */
export function planAttachment(
  netconf: SettledNetconf,
  ipam: { readonly result: Result; readonly section: Readonly<Record<string, unknown>> } | undefined,
  random: RandomBytes,
): BridgeAttachment {
  const ips = (ipam?.result.ips ?? []).map((ip) => withGateway(parseIp(ip), netconf))
  const first = ips[0]?.prefix.address
  return {
    bridge: netconf.bridge,
    promisc: netconf.promiscMode,
    gateways: netconf.isGateway ? gatewayAddresses(ips) : [],
    hostIfname: `veth${toHex(random(4))}`,
    hostMac: macFromRandom(random(6)),
    podMac: netconf.mac ?? (first ? macForAddress(first) : macFromRandom(random(6))),
    mtu: netconf.mtu,
    hairpin: netconf.hairpinMode,
    isolated: netconf.portIsolation,
    up: !netconf.disableContainerInterface,
    enableDad: netconf.enabledad,
    ips: ips.map(formatIp),
    routes: planRoutes(ipam?.result.routes ?? [], ips, netconf),
    masquerade: netconf.ipMasq
      ? ips.map(({ prefix }) => ({ address: String(prefix.address), subnet: String(prefix.masked()) }))
      : [],
    macSpoofCheck: netconf.macspoofchk,
    ipam: ipam?.section ?? null,
    ...(netconf.vlans === undefined ? {} : { vlans: netconf.vlans }),
  }
}

/** The gateway is the IPAM's, or the subnet's first address when needed. */
function withGateway(ip: PodIp, { isGateway }: Pick<BridgeNetconf, 'isGateway'>): PodIp {
  return isGateway && ip.gateway === undefined ? { ...ip, gateway: firstHost(ip.prefix) } : ip
}

/** A subnet of one or two addresses has no address to spare for a gateway (RFC 3021, RFC 6164). */
function firstHost(prefix: Prefix): IpAddress | undefined {
  const spare = prefix.family === 4 ? 31 : 127
  return prefix.length < spare ? prefix.first().plus(1n) : undefined
}

function gatewayAddresses(ips: readonly PodIp[]): string[] {
  const addresses = ips.flatMap(({ prefix, gateway }) =>
    gateway === undefined ? [] : [String(Prefix.of(gateway, prefix.length))],
  )
  return [...new Set(addresses)]
}

/** The IPAM's routes, and with isDefaultGateway a default route for each family that has none. */
function planRoutes(
  routes: readonly ResultRoute[],
  ips: readonly PodIp[],
  { isDefaultGateway }: Pick<BridgeNetconf, 'isDefaultGateway'>,
): ResultRoute[] {
  if (!isDefaultGateway) return [...routes]
  const added = ([4, 6] as const).flatMap((family) => {
    const gateway = firstGateway(ips, family)
    const present = routes.some((route) => isDefaultRoute(route, family))
    return gateway === undefined || present ? [] : [{ dst: DEFAULT_ROUTE[family], gw: String(gateway) }]
  })
  return [...routes, ...added]
}

/**
 * One that names its next hop counts wherever it is, as in upstream's. One that names none counts where a second could
 * not be beside it; by one in another table, or with another metric, the pod was not meant to be without.
 */
function isDefaultRoute({ dst, gw, table, priority }: ResultRoute, family: Family): boolean {
  if (!dst.endsWith('/0') || dst.includes(':') !== (family === 6)) return false
  const metric = DEFAULT_METRIC[family]
  return gw !== undefined || ((table || RT_TABLE_MAIN) === RT_TABLE_MAIN && (priority || metric) === metric)
}

function firstGateway(ips: readonly PodIp[], family: Family): IpAddress | undefined {
  return ips.find(({ prefix, gateway }) => prefix.family === family && gateway !== undefined)?.gateway
}
