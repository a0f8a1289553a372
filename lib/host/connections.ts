// What the node remembers of connections is forgotten with the address that had them (lib/conntrack).

import type { Conntrack, PortConnection } from '../conntrack/conntrack.ts'
import type { IpAddress } from '../ip/address.ts'
import type { Namespace } from './kernel.ts'

/** Not there while connection tracking is not loaded; to open a socket for it would load it. */
const CONNTRACK_COUNT = 'netfilter/nf_conntrack_count'
/** A kernel without CONFIG_NF_CT_NETLINK, or in a container that may not: then nobody can look. */
const UNSUPPORTED = ['EINVAL', 'EOPNOTSUPP', 'EPROTONOSUPPORT']

type Tracking = Pick<Namespace, 'conntrack' | 'sysctl'>

export async function forgetConnections(tracking: Tracking, addresses: readonly IpAddress[]): Promise<void> {
  await whereTracked(tracking, (conntrack, size) => conntrack.flush(addresses, size))
}

/** @param isStale  which of those that were begun to one of the ports */
export async function forgetPortConnections(
  tracking: Tracking,
  ports: readonly Pick<PortConnection, 'protocol' | 'port'>[],
  isStale: (connection: PortConnection) => boolean,
): Promise<void> {
  await whereTracked(tracking, (conntrack, size) => conntrack.flushPorts(ports, size, isStale))
}

async function whereTracked(
  tracking: Tracking,
  flush: (conntrack: Conntrack, size: number) => Promise<number>,
): Promise<void> {
  const size = Number(tracking.sysctl.find(CONNTRACK_COUNT) ?? 0)
  if (size === 0) return
  try {
    await flush(tracking.conntrack, size)
  } catch (error) {
    if (!isUnsupported(error)) throw error
  }
}

export function isUnsupported(error: unknown): boolean {
  return error instanceof Error && 'code' in error && UNSUPPORTED.includes(String(error.code))
}
