// What `cni-firewall` makes for one attachment, as plain JSON.

import { CNI_CODE, CniError } from '../../lib/cni/errors.ts'
import type { Result } from '../../lib/cni/result.ts'
import type { Firewalled, IngressPolicy } from '../../lib/firewall/firewall.ts'
import { IpAddress } from '../../lib/ip/address.ts'
import { Prefix } from '../../lib/ip/prefix.ts'
import type { FirewallNetconf } from './netconf.ts'

/** The name under which attachments are recorded. */
export const PLUGIN = 'cni-firewall'

export interface FirewallRecord {
  readonly addresses: readonly string[]
  readonly policy: IngressPolicy
  /** The link on the node that the pod is behind; null when the result names none. */
  readonly bridge: string | null
  readonly adminChain: string
}

/**
 * All addresses of the result, as upstream has it, and its first link, which a bridge plugin says to be the bridge.
 *
 * @throws CniError 7 when a policy needs a bridge and the result has none: the words are upstream's
 */
export function planRecord({ policy, adminChain }: FirewallNetconf, result: Result): FirewallRecord {
  const [first] = result.interfaces ?? []
  if (policy !== 'open' && first === undefined) {
    const words = `interface needs to be set for ingress policy "${policy}", make sure to chain "firewall" plugin with "bridge"`
    throw new CniError(CNI_CODE.invalidNetconf, words)
  }
  if (policy !== 'open' && first?.name === '')
    throw new CniError(CNI_CODE.invalidNetconf, 'got empty bridge name')
  const isOnNode = first !== undefined && (first.sandbox ?? '') === ''
  return {
    addresses: (result.ips ?? []).map(({ address }) => String(Prefix.parse(address).address)),
    policy,
    bridge: isOnNode ? first.name : null,
    adminChain,
  }
}

export function firewalledOf({ addresses, policy, bridge, adminChain }: FirewallRecord): Firewalled {
  return {
    addresses: addresses.map((address) => IpAddress.parse(address)),
    policy,
    bridge: bridge ?? undefined,
    adminChain,
  }
}
