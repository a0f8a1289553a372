// Connections that the kernel remembers go on as they began: a mapping that is new means nothing to them, and one that
// is gone neither. Those that would miss the pod that has the port now, or reach one that has it no more, are forgotten.

import type { PortConnection } from '../conntrack/conntrack.ts'
import type { IpAddress } from '../ip/address.ts'
import { Prefix } from '../ip/prefix.ts'
import type { Hostport, Protocol } from './hostport.ts'

/** IPPROTO_* (linux/in.h). */
export const IPPROTO: Readonly<Record<Protocol, number>> = { tcp: 6, udp: 17, sctp: 132 }
const LOOPBACK = Prefix.parse('127.0.0.0/8')

/**
 * After ports were added. What was begun to the node's own address before reaches whom it reached then: for UDP a
 * sender that goes on sending keeps it alive. One of TCP or SCTP that was not translated is the node's own, and lives.
 *
 * @param local  the node's addresses
 */
export function isMissing(
  hostports: readonly Hostport[],
  local: readonly IpAddress[],
): (connection: PortConnection) => boolean {
  const isLocal = (address: IpAddress) =>
    local.some((one) => one.equals(address)) || (address.family === 4 && LOOPBACK.contains(address))
  return (connection) => {
    const { destination, answeredBy, protocol } = connection
    const hostport = hostports.find((one) => isTo(one, connection))
    if (hostport === undefined || answeredBy.equals(hostport.address)) return false
    if (hostport.hostIp === undefined && !isLocal(destination)) return false
    return protocol === IPPROTO.udp || !answeredBy.equals(destination)
  }
}

/** After ports were removed: what still goes to the pod. */
export function isLeft(hostports: readonly Hostport[]): (connection: PortConnection) => boolean {
  return (connection) =>
    hostports.some((one) => isTo(one, connection) && connection.answeredBy.equals(one.address))
}

function isTo(
  { protocol, port, hostIp, address }: Hostport,
  { destination, ...to }: PortConnection,
): boolean {
  if (IPPROTO[protocol] !== to.protocol || port !== to.port || address.family !== destination.family)
    return false
  return hostIp === undefined || hostIp.equals(destination)
}

export function portsOf(hostports: readonly Hostport[]): Pick<PortConnection, 'protocol' | 'port'>[] {
  return hostports.map(({ protocol, port }) => ({ protocol: IPPROTO[protocol], port }))
}
