// The config of `cni-proxy-arp`.

import type { Request } from '../../lib/cni/request.ts'
import { boolean, decode, type Infer, object } from '../../lib/cni/schema.ts'

const netconfSchema = object({
  proxyArp: boolean({ default: true, doc: 'the node answers ARP requests on the pod’s wire' }),
})

/** @throws CniError 7 naming the field that is wrong */
export function parseNetconf({ netconf }: Request): Infer<typeof netconfSchema> {
  return decode(netconfSchema, netconf)
}
