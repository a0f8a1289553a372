// The network config of `cni-firewall`: fields, defaults and contradictions.

import { CNI_CODE, CniError } from '../../lib/cni/errors.ts'
import { checkedLater, decode, object, string } from '../../lib/cni/schema.ts'
import { INGRESS_POLICIES, type IngressPolicy } from '../../lib/firewall/firewall.ts'
import { isReservedChain } from '../../lib/firewall/firewall-rules.ts'

const BACKENDS = ['', 'iptables', 'firewalld', 'nftables']
const TRUSTED = 'trusted'
/** As iptables takes them. */
const CHAIN_NAME = /^[A-Za-z_][\w.-]{0,27}$/

export const netconfSchema = object({
  backend: checkedLater(string({ doc: 'accepted as upstream does; it is always nftables' }), {
    values: BACKENDS,
  }),
  ingressPolicy: checkedLater(string({ doc: 'who may reach the pod from behind a bridge' }), {
    values: INGRESS_POLICIES,
  }),
  iptablesAdminChainName: string({
    default: 'CNI-ADMIN',
    doc: 'chain of the table inet podwire that comes first and is yours',
  }),
  firewalldZone: string({
    default: TRUSTED,
    doc: 'zone of firewalld that the pod passes as; only "trusted" is',
  }),
})

export interface FirewallNetconf {
  readonly policy: IngressPolicy
  readonly adminChain: string
}

/** @throws CniError 7 for wrong values, 2 for a zone that would restrict pods */
export function parseNetconf(netconf: Readonly<Record<string, unknown>>): FirewallNetconf {
  const { backend, ingressPolicy, iptablesAdminChainName, firewalldZone } = decode(netconfSchema, netconf)
  if (!BACKENDS.includes(backend)) throw invalid(`unrecognized backend ${JSON.stringify(backend)}`)
  const adminChain = iptablesAdminChainName === '' ? 'CNI-ADMIN' : iptablesAdminChainName
  if (!CHAIN_NAME.test(adminChain) || isReservedChain(adminChain))
    throw invalid(`iptablesAdminChainName: ${JSON.stringify(adminChain)} is no name for a chain here`)
  if (backend === 'firewalld' && firewalldZone !== TRUSTED && firewalldZone !== '') {
    throw new CniError(
      CNI_CODE.unsupportedField,
      `firewalldZone ${JSON.stringify(firewalldZone)} is not supported: pods pass firewalld as zone "trusted" does`,
      { details: `restrict pods in chain ${adminChain} of table inet podwire` },
    )
  }
  return { policy: parsePolicy(ingressPolicy), adminChain }
}

function parsePolicy(text: string): IngressPolicy {
  if (text === '') return 'open'
  const policy = INGRESS_POLICIES.find((one) => one === text)
  if (policy === undefined) throw invalid(`unknown ingress policy: ${JSON.stringify(text)}`)
  return policy
}

function invalid(message: string): CniError {
  return new CniError(CNI_CODE.invalidNetconf, message)
}
