// A host port: what is sent to a port of the node goes to a port of a pod.

import type { IpAddress } from '../ip/address.ts'
import type { Prefix } from '../ip/prefix.ts'

/** Those that have ports, and that Kubernetes knows. */
export const PROTOCOLS = ['tcp', 'udp', 'sctp'] as const
export type Protocol = (typeof PROTOCOLS)[number]

/** In one IP family. */
export interface Hostport {
  readonly protocol: Protocol
  /** Of the node. */
  readonly port: number
  /** Of the node's addresses only this; undefined: any of the pod's family. It comes before one of any. */
  readonly hostIp?: IpAddress
  /** The pod's. */
  readonly address: IpAddress
  readonly podPort: number
}

/** Who is seen by the pod under the node's address, when it comes through a host port. */
export interface HostportMasquerade {
  /** The pod's. */
  readonly address: IpAddress
  /**
   * Neighbours, the pod itself among them, whose answers would go past the node, and the node's own loopback address;
   * or `any`: everybody.
   */
  readonly from: Prefix | 'any'
}

export interface Hostports {
  readonly hostports: readonly Hostport[]
  readonly masquerades: readonly HostportMasquerade[]
}

/** `192.0.2.1:8080/tcp`, `8080/udp` */
export function hostportText({ protocol, port, hostIp }: Omit<Hostport, 'address' | 'podPort'>): string {
  const host = hostIp === undefined ? '' : hostIp.family === 6 ? `[${hostIp}]:` : `${hostIp}:`
  return `${host}${port}/${protocol}`
}
