// The config of `cni-ptp`.

import { isSelf } from '../../lib/attach/ipam.ts'
import { CNI_CODE, CniError } from '../../lib/cni/errors.ts'
import type { Request } from '../../lib/cni/request.ts'
import { type Dns, dnsSchema } from '../../lib/cni/result.ts'
import {
  boolean,
  checkedLater,
  decode,
  findField,
  integer,
  isObject,
  object,
  string,
} from '../../lib/cni/schema.ts'
import { PLUGIN } from './record.ts'

const MAX_MTU = 65535
const MASQUERADE_BACKENDS = ['', 'iptables', 'nftables']

export const netconfSchema = object({
  ipMasq: boolean({ doc: 'let traffic that leaves the pod’s subnet appear under the node’s address' }),
  ipMasqBackend: checkedLater(string({ doc: 'accepted as upstream does; it is always nftables' }), {
    values: MASQUERADE_BACKENDS,
  }),
  mtu: integer({ min: 0, max: MAX_MTU, doc: 'MTU of the pod’s wire; 0: 1500' }),
  dns: dnsSchema,
  ipam: object({ type: string({ doc: 'the IPAM plugin' }) }),
})

export interface PtpNetconf {
  readonly ipMasq: boolean
  readonly mtu: number
  readonly ipam: string
  /** Undefined where the IPAM's stands. */
  readonly dns: Dns | undefined
}

/** @throws CniError 7 */
export function parseNetconf(request: Request): PtpNetconf {
  const { ipMasq, ipMasqBackend, mtu, dns, ipam } = decode(netconfSchema, request.netconf)
  if (!MASQUERADE_BACKENDS.includes(ipMasqBackend))
    throw invalid(`unknown ipmasq backend ${JSON.stringify(ipMasqBackend)}`)
  if (ipam.type === '') throw invalid('no plugin name provided', 'ipam.type: a ptp network needs addresses')
  if (isSelf(ipam.type, PLUGIN)) throw invalid(`ipam.type: ${JSON.stringify(ipam.type)} is no IPAM plugin`)
  return { ipMasq, mtu, ipam: ipam.type, dns: isDnsSaid(request) ? dns : undefined }
}

/** An empty list says that there is nothing, and counts; so upstream. */
function isDnsSaid({ netconf }: Request): boolean {
  const dns = findField(netconf, 'dns')
  if (!isObject(dns)) return false
  const lists = ['nameservers', 'search', 'options'].map((name) => findField(dns, name))
  return lists.some(Array.isArray) || (findField(dns, 'domain') ?? '') !== ''
}

function invalid(message: string, details = ''): CniError {
  return new CniError(CNI_CODE.invalidNetconf, message, { details })
}
