// What the node remembers of connections is forgotten with the address that had them (lib/conntrack).

import type { IpAddress } from '../ip/address.ts'
import type { Namespace } from './kernel.ts'

/** Not there while connection tracking is not loaded; to open a socket for it would load it. */
const CONNTRACK_COUNT = 'netfilter/nf_conntrack_count'
/** A kernel without CONFIG_NF_CT_NETLINK, or in a container that may not: then nobody can look. */
const UNSUPPORTED = ['EINVAL', 'EOPNOTSUPP', 'EPROTONOSUPPORT']

export async function forgetConnections(
  { conntrack, sysctl }: Pick<Namespace, 'conntrack' | 'sysctl'>,
  addresses: readonly IpAddress[],
): Promise<void> {
  const size = Number(sysctl.find(CONNTRACK_COUNT) ?? 0)
  if (size === 0) return
  try {
    await conntrack.flush(addresses, size)
  } catch (error) {
    if (!isUnsupported(error)) throw error
  }
}

export function isUnsupported(error: unknown): boolean {
  return error instanceof Error && 'code' in error && UNSUPPORTED.includes(String(error.code))
}
