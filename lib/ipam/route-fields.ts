// `routes` in the `ipam` section of a config: passed on in the result, as they are.

import { CNI_CODE, CniError } from '../cni/errors.ts'
import type { ResultRoute } from '../cni/result.ts'
import { type Infer, integer, object, optional, string } from '../cni/schema.ts'
import { IpAddress } from '../ip/address.ts'
import { Prefix } from '../ip/prefix.ts'

/** As netlink has them (linux/rtnetlink.h). */
const U32_MAX = 0xffff_ffff

export const routeSchema = object({
  dst: string({ doc: 'destination, in CIDR notation' }),
  gw: string({ doc: 'next hop; the gateway of the family when absent' }),
  mtu: integer({ min: 0, max: U32_MAX, doc: 'MTU along this route' }),
  advmss: integer({ min: 0, max: U32_MAX, doc: 'maximal segment size to advertise along this route' }),
  priority: integer({ min: 0, max: U32_MAX, doc: 'lower is preferred' }),
  table: optional(integer({ min: 0, max: U32_MAX, doc: 'routing table; the main one when absent, or 0' })),
  scope: optional(integer({ min: 0, max: 255, doc: '0 global, 253 link, 254 host; IPv6 has none' })),
})

type RouteFields = Infer<typeof routeSchema>

/** @throws CniError 7 for one that is none */
export function checkRoutes(routes: readonly RouteFields[]): void {
  for (const { dst, gw } of routes) {
    try {
      Prefix.parse(dst)
      if (gw !== '') IpAddress.parse(gw)
    } catch (cause) {
      throw new CniError(CNI_CODE.invalidNetconf, `ipam.routes: ${(cause as Error).message}`, { cause })
    }
  }
}

export function toResultRoute({ dst, gw, mtu, advmss, priority, table, scope }: RouteFields): ResultRoute {
  return {
    dst,
    ...(gw === '' ? {} : { gw }),
    ...(mtu === 0 ? {} : { mtu }),
    ...(advmss === 0 ? {} : { advmss }),
    ...(priority === 0 ? {} : { priority }),
    ...(table === undefined ? {} : { table }),
    ...(scope === undefined ? {} : { scope }),
  }
}
