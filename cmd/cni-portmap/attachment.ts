// What `cni-portmap` makes for one attachment, as plain JSON.

import type { Hostports, Protocol } from '../../lib/hostport/hostport.ts'
import { IpAddress } from '../../lib/ip/address.ts'
import { Prefix } from '../../lib/ip/prefix.ts'

/** The name under which attachments are recorded. */
export const PLUGIN = 'cni-portmap'

export interface PortmapRecord {
  readonly hostports: readonly {
    readonly protocol: Protocol
    readonly port: number
    readonly hostIp?: string
    readonly address: string
    readonly podPort: number
  }[]
  /** `from`: a prefix, or `any`. */
  readonly masquerades: readonly { readonly address: string; readonly from: string }[]
  /** The link to the pod, over which 127.0.0.1 may send; null when it need not. */
  readonly localnet: string | null
}

export function toRecord({ hostports, masquerades }: Hostports, localnet: string | null): PortmapRecord {
  return {
    hostports: hostports.map(({ hostIp, address, ...one }) => ({
      ...one,
      ...(hostIp === undefined ? {} : { hostIp: String(hostIp) }),
      address: String(address),
    })),
    masquerades: masquerades.map(({ address, from }) => ({ address: String(address), from: String(from) })),
    localnet,
  }
}

export function hostportsOf({ hostports, masquerades }: PortmapRecord): Hostports {
  return {
    hostports: hostports.map(({ hostIp, address, ...one }) => ({
      ...one,
      ...(hostIp === undefined ? {} : { hostIp: IpAddress.parse(hostIp) }),
      address: IpAddress.parse(address),
    })),
    masquerades: masquerades.map(({ address, from }) => ({
      address: IpAddress.parse(address),
      from: from === 'any' ? from : Prefix.parse(from),
    })),
  }
}
