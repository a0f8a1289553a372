// The network config of `cni-firewall`: fields, defaults and contradictions.

import { CNI_CODE, CniError } from '../../lib/cni/errors.ts'
import { decode, object, string } from '../../lib/cni/schema.ts'
import { INGRESS_POLICIES, type IngressPolicy } from '../../lib/firewall/firewall.ts'
import { isReservedChain } from '../../lib/firewall/firewall-rules.ts'

const BACKENDS = ['', 'iptables', 'firewalld', 'nftables']
const TRUSTED = 'trusted'
/** As iptables takes them. */
const CHAIN_NAME = /^[A-Za-z_][\w.-]{0,27}$/

export const netconfSchema = object({
  backend: string({
    doc: '"", "iptables", "firewalld" or "nftables": accepted as upstream does; it is always nftables',
  }),
  ingressPolicy: string({
    doc: '"open", "same-bridge": not from other bridges whose pods are not open; "isolated": nor from its own',
  }),
  iptablesAdminChainName: string({
    default: 'CNI-ADMIN',
    doc: 'chain of the table inet podwire that comes first and is yours',
  }),
  firewalldZone: string({
    default: TRUSTED,
    doc: 'only "trusted": pods pass firewalld as what is in that zone does',
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
