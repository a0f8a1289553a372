// What a firewall does for a pod (docs/adr/0021-firewall.md).

import type { IpAddress } from '../ip/address.ts'

/**
 * Who may send to the pod from behind a bridge of the node: `open` everybody; `same-bridge` those on its own and on
 * bridges without such pods; `isolated` of these only the latter.
 */
export const INGRESS_POLICIES = ['open', 'same-bridge', 'isolated'] as const
export type IngressPolicy = (typeof INGRESS_POLICIES)[number]

export interface Firewalled {
  readonly addresses: readonly IpAddress[]
  readonly policy: IngressPolicy
  /** The pod's; undefined only with `open`. */
  readonly bridge: string | undefined
  /** The chain that is the administrator's own. */
  readonly adminChain: string
}
