// Plugins that come later in the chain may change attributes of the pod's interface (cni-tuning) and move its routes
// (cni-sbr, cni-vrf). CHECK of the one that made it must not take that for damage.

import type { Request } from '../cni/request.ts'
import type { Ports } from '../host/ports.ts'
import type { Attachment } from '../state/attachments.ts'

/** Of a record: what its plugin has set of the pod's interface, and where it has moved its routes. */
interface Changing {
  readonly routesTo?: readonly number[]
  readonly link?: { readonly set?: { readonly mac?: string; readonly mtu?: number } }
}

export interface ChangedLater {
  readonly mac?: string
  readonly mtu?: number
  /** Routing tables. */
  readonly routesTo?: readonly number[]
}

/** @returns what others of our plugins have set of the request's interface, by their records */
export function changedLater(
  { attachments }: Ports,
  { name: network, containerId, ifname }: Request,
  plugin: string,
): ChangedLater {
  const others = attachments
    .list({ network, containerId })
    .filter((other) => other.ifname === ifname && other.plugin !== plugin)
  return changesIn(others)
}

/** @param attachments  of one interface, without that which made it */
export function changesIn(attachments: readonly Attachment[]): ChangedLater {
  const changes = attachments.map(({ record }): ChangedLater => {
    const { link, routesTo } = record as Changing
    return { ...link?.set, ...(routesTo === undefined ? {} : { routesTo }) }
  })
  return Object.assign({}, ...changes)
}
