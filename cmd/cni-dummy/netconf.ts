// The config of `cni-dummy`, and what it comes to.

import type { SingleLink } from '../../lib/attach/single-link.ts'
import { requireIpamType, saidDns } from '../../lib/attach/stacked-fields.ts'
import { CNI_CODE, CniError } from '../../lib/cni/errors.ts'
import type { Request } from '../../lib/cni/request.ts'
import { dnsSchema } from '../../lib/cni/result.ts'
import { decode, object, string } from '../../lib/cni/schema.ts'
import type { Ports } from '../../lib/host/ports.ts'
import { macForAddress, macFromRandom } from '../../lib/ip/mac.ts'
import { Prefix } from '../../lib/ip/prefix.ts'

export const PLUGIN = 'cni-dummy'

export const netconfSchema = object({
  dns: dnsSchema,
  ipam: object({ type: string({ doc: 'the IPAM plugin' }) }),
})

export function parse({ random }: Ports, request: Request): SingleLink {
  const { ipam, dns } = decode(netconfSchema, request.netconf)
  if (ipam.type === '')
    throw new CniError(CNI_CODE.invalidNetconf, 'dummy interface requires an IPAM configuration')
  return {
    ipam: requireIpamType(ipam.type, PLUGIN),
    dns: saidDns(dns),
    async plan(_, leased) {
      const address = leased?.result.ips?.[0]?.address
      const mac =
        address === undefined ? macFromRandom(random(6)) : macForAddress(Prefix.parse(address).address)
      return { spec: { kind: 'dummy', mac } }
    },
  }
}
