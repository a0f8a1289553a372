// From the IPAM's result to what is set inside the pod: addresses, and routes with their next hops. Pure.

import { CNI_CODE, CniError } from '../cni/errors.ts'
import type { ResultIp, ResultRoute } from '../cni/result.ts'
import { IpAddress } from '../ip/address.ts'
import { Prefix } from '../ip/prefix.ts'
import { type Route, RT_SCOPE } from '../rtnl/route.ts'
import type { PodAddressing } from '../veth/pod-link.ts'

/** Of a record: the addresses and routes of the pod's interface. */
export interface AddressRecord {
  readonly ips: readonly Pick<ResultIp, 'address' | 'gateway'>[]
  readonly routes: readonly ResultRoute[]
}

/** One address of the pod, parsed, with its gateway. */
export interface PodIp {
  readonly prefix: Prefix
  readonly gateway: IpAddress | undefined
}

/** @throws CniError 6 when the IPAM's result cannot be used */
export function parseIp(ip: ResultIp): PodIp {
  try {
    return { prefix: Prefix.parse(ip.address), gateway: ip.gateway ? IpAddress.parse(ip.gateway) : undefined }
  } catch (cause) {
    throw undecodable(`address ${JSON.stringify(ip.address)}`, cause)
  }
}

/** As it is recorded and told. */
export function formatIp({ prefix, gateway }: PodIp): Pick<ResultIp, 'address' | 'gateway'> {
  return { address: String(prefix), ...(gateway === undefined ? {} : { gateway: String(gateway) }) }
}

/**
 * What is set inside the pod. A route without a gateway goes through the first gateway of its family.
 *
 * @throws CniError 6 when a route of the IPAM's cannot be read
 */
export function podAddressing(
  { ips, routes }: AddressRecord,
  { enableDad }: { enableDad: boolean },
): PodAddressing {
  const gateways = ips.flatMap(({ gateway }) => (gateway ? [IpAddress.parse(gateway)] : []))
  return {
    addresses: ips.map(({ address }) => Prefix.parse(address)),
    routes: routes.map((route) => kernelRoute(route, gateways)),
    enableDad,
  }
}

function kernelRoute(route: ResultRoute, gateways: readonly IpAddress[]): Route {
  try {
    const dst = Prefix.parse(route.dst)
    const own = route.gw ? IpAddress.parse(route.gw) : undefined
    const scope = dst.family === 6 ? undefined : route.scope // IPv6 has no scopes
    // A route of link scope has no next hop.
    const fallback =
      scope === RT_SCOPE.link ? undefined : gateways.find(({ family }) => family === dst.family)
    const gateway = own ?? fallback
    return {
      dst,
      ...(gateway === undefined ? {} : { gateway }),
      ...(route.priority ? { priority: route.priority } : {}),
      ...(route.table ? { table: route.table } : {}), // 0 is the main one (RT_TABLE_UNSPEC)
      ...(scope === undefined ? {} : { scope }),
      ...(route.mtu ? { mtu: route.mtu } : {}),
      ...(route.advmss ? { advmss: route.advmss } : {}),
    }
  } catch (cause) {
    throw undecodable(`route ${JSON.stringify(route.dst)}`, cause)
  }
}

function undecodable(what: string, cause: unknown): CniError {
  const why = cause instanceof Error ? cause.message : String(cause)
  return new CniError(CNI_CODE.decodingFailure, `result of the IPAM plugin: ${what}: ${why}`, { cause })
}
