// The verbs of `ipam-static`. Nothing is kept: what ADD says is in the config.

import { CHECK_FAILED } from '../../lib/attach/drift.ts'
import { requirePrevResult } from '../../lib/attach/prev-result.ts'
import { CniError } from '../../lib/cni/errors.ts'
import type { Request } from '../../lib/cni/request.ts'
import type { Result, ResultIp } from '../../lib/cni/result.ts'
import { IpAddress } from '../../lib/ip/address.ts'
import { Prefix } from '../../lib/ip/prefix.ts'
import { toResultRoute } from '../../lib/ipam/route-fields.ts'
import { parseNetconf, type StaticAddress } from './netconf.ts'

export async function add(request: Request): Promise<Result> {
  const { addresses, routes, dns } = parseNetconf(request)
  return {
    ips: addresses.map(({ prefix, gateway }) => ({
      address: String(prefix),
      ...(gateway === undefined ? {} : { gateway: String(gateway) }),
    })),
    routes: routes.map(toResultRoute),
    dns,
  }
}

/** The pod must still have what the config says. Upstream does not mind when an address is missing. */
export async function check(request: Request): Promise<void> {
  const { addresses } = parseNetconf(request)
  const { ips = [] } = requirePrevResult(request)
  const lost = addresses.find((address) => !ips.some((ip) => isSame(address, ip)))
  if (lost === undefined) return
  const { address } = lost.prefix
  throw new CniError(CHECK_FAILED, `static: Failed to match addr ${address} on interface ${request.ifname}`, {
    details: `prevResult has no address ${lost.prefix}${lost.gateway ? ` with gateway ${lost.gateway}` : ''}`,
  })
}

function isSame({ prefix, gateway }: StaticAddress, ip: ResultIp): boolean {
  try {
    if (!Prefix.parse(ip.address).address.equals(prefix.address)) return false
    return gateway === undefined || (ip.gateway !== undefined && IpAddress.parse(ip.gateway).equals(gateway))
  } catch {
    return false // what is no address is not this one
  }
}

/** An ADD works when the config can be read: addresses may come from the runtime. */
export async function status(request: Request): Promise<void> {
  parseNetconf(request)
}
