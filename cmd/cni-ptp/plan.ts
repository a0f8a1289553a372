// From configuration and addresses to what will be made: pure.
//
// The pod has its address with the length of its subnet, but sends everything to the gateway, which is the node's end
// of its own wire: a route to the gateway, and one to the subnet through it, take the place of the kernel's own.

import { formatIp, type PodIp, parseIp, podAddressing } from '../../lib/attach/addressing.ts'
import type { Leased } from '../../lib/attach/leased.ts'
import { CNI_CODE, CniError } from '../../lib/cni/errors.ts'
import type { ResultIp } from '../../lib/cni/result.ts'
import { type RandomBytes, toHex } from '../../lib/host/random.ts'
import { ADDRESS_BITS, IpAddress } from '../../lib/ip/address.ts'
import { macForAddress, macFromRandom } from '../../lib/ip/mac.ts'
import { Prefix } from '../../lib/ip/prefix.ts'
import type { IfIndex } from '../../lib/rtnl/link.ts'
import { type Route, RT_SCOPE } from '../../lib/rtnl/route.ts'
import type { Change } from '../../lib/rtnl/rtnl.ts'
import type { PodAddressing } from '../../lib/veth/pod-link.ts'
import type { PtpNetconf } from './netconf.ts'
import type { PtpRecord } from './record.ts'

/** What a veth has when nothing is asked for (ETH_DATA_LEN). */
const DEFAULT_MTU = 1500

type RoutedIp = PodIp & { readonly gateway: IpAddress }

/** @throws CniError 6 when the IPAM's result cannot be used */
export function planRecord(netconf: PtpNetconf, { result, section }: Leased, random: RandomBytes): PtpRecord {
  const ips = (result.ips ?? []).map(requireGateway)
  const [first] = ips
  const record = {
    hostIfname: `veth${toHex(random(4))}`,
    hostMac: macFromRandom(random(6)),
    podMac: first === undefined ? macFromRandom(random(6)) : macForAddress(first.prefix.address),
    mtu: netconf.mtu || DEFAULT_MTU,
    ips: ips.map(formatIp),
    routes: result.routes ?? [],
    gateways: [...new Set(ips.map(({ gateway }) => String(alone(gateway))))],
    subnetRoutes: planSubnetRoutes(ips),
    masquerade: netconf.ipMasq
      ? ips.map(({ prefix }) => ({ address: String(prefix.address), subnet: String(prefix.masked()) }))
      : [],
    ipam: section,
  }
  addressingOf(record) // a route that cannot be read is refused now
  return record
}

function requireGateway(ip: ResultIp): RoutedIp {
  const { prefix, gateway } = parseIp(ip)
  if (gateway !== undefined) return { prefix, gateway }
  throw new CniError(
    CNI_CODE.decodingFailure,
    `result of the IPAM plugin: address ${prefix} has no gateway`,
    {
      details: 'a ptp network reaches everything through the gateway of the pod’s subnet',
    },
  )
}

/** Of two addresses with one gateway or in one subnet, the first is the source. */
function planSubnetRoutes(ips: readonly RoutedIp[]): PtpRecord['subnetRoutes'] {
  const routes = ips.flatMap(({ prefix, gateway }) => {
    const src = String(prefix.address)
    const direct = { dst: String(alone(gateway)), ...scopeOf(gateway, RT_SCOPE.link), src }
    const isOne = prefix.length === ADDRESS_BITS[prefix.family]
    return isOne ? [direct] : [direct, { dst: String(prefix.masked()), gw: String(gateway), src }]
  })
  return routes.filter(({ dst }, at) => routes.findIndex((other) => other.dst === dst) === at)
}

/** IPv6 has no scopes. */
function scopeOf({ family }: IpAddress, scope: number): { scope?: number } {
  return family === 4 ? { scope } : {}
}

function alone(address: IpAddress): Prefix {
  return Prefix.of(address, ADDRESS_BITS[address.family])
}

/** What is set inside the pod. */
export function addressingOf(record: Pick<PtpRecord, 'ips' | 'routes' | 'subnetRoutes'>): PodAddressing {
  const { addresses, routes, enableDad } = podAddressing(record, { enableDad: false })
  const own = record.subnetRoutes.map(({ dst, gw, scope, src }): Route => {
    return {
      dst: Prefix.parse(dst),
      source: IpAddress.parse(src),
      ...(gw === undefined ? {} : { gateway: IpAddress.parse(gw) }),
      ...(scope === undefined ? {} : { scope }),
    }
  })
  const others = routes.map((route) => (isBeside(route, record) ? { ...route, onLink: true } : route))
  return { addresses, routes: [...own, ...others], enableDad, noPrefixRoutes: true }
}

/**
 * By a next hop in the pod's subnet that is neither the gateway nor the pod: the kernel takes it for a neighbour by the route
 * of its own to the subnet, which upstream deletes after, and which is never there in ours.
 */
function isBeside({ gateway }: Route, { ips }: Pick<PtpRecord, 'ips'>): boolean {
  if (gateway === undefined || ips.some((ip) => ip.gateway === String(gateway))) return false
  const prefixes = ips.map(({ address }) => Prefix.parse(address))
  const isOwn = prefixes.some(({ address }) => address.equals(gateway))
  return !isOwn && prefixes.some((prefix) => prefix.contains(gateway))
}

/** On the node's end, when it is up: the gateways' addresses, and a route to each of the pod's. */
export function hostChanges(dev: IfIndex, record: PtpRecord): Change[] {
  return [
    ...record.gateways.map(
      (text): Change => ({
        change: 'add address',
        address: { dev, prefix: Prefix.parse(text), noDad: true },
      }),
    ),
    ...hostRoutes(record).map((route): Change => ({ change: 'add route', route: { ...route, dev } })),
  ]
}

export function hostRoutes({ ips }: PtpRecord): Route[] {
  return ips.map((ip) => {
    const { address } = Prefix.parse(ip.address)
    return { dst: alone(address), ...scopeOf(address, RT_SCOPE.host) }
  })
}
