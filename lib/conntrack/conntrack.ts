// The port to the connections that the kernel remembers in one network namespace. `ConntrackSocket` is the kernel's,
// `ConntrackFake` keeps them in memory; one contract suite holds for both (conntrack.contract.ts).
//
// What is remembered of an address outlives the pod that had it: a UDP sender that goes on sending reaches the next
// pod under the old translation, or nobody.

import type { IpAddress } from '../ip/address.ts'

/** One that was begun to a port. */
export interface PortConnection {
  /** IPPROTO_*: 6 is TCP. */
  readonly protocol: number
  /** Where its first packet was sent. */
  readonly destination: IpAddress
  readonly port: number
  /** Who answers: not the destination, when that was translated. */
  readonly answeredBy: IpAddress
}

export interface Conntrack {
  /**
   * Forgets every connection that one of the addresses began, or answers, translated or not.
   *
   * @param size  about how many connections there are, of all addresses: what it costs to list them goes by that
   * @returns how many there were
   * @throws NetlinkError EINVAL, EOPNOTSUPP where the kernel has no CONFIG_NF_CT_NETLINK; EPERM
   */
  flush(addresses: readonly IpAddress[], size: number): Promise<number>
  /**
   * Forgets connections that were begun to one of the ports.
   *
   * @param size  as above
   * @param isStale  which of them
   * @returns how many there were
   */
  flushPorts(
    ports: readonly Pick<PortConnection, 'protocol' | 'port'>[],
    size: number,
    isStale: (connection: PortConnection) => boolean,
  ): Promise<number>
  /** Resolves when nothing is put off about the addresses: somebody else is to have one of them. */
  settle(addresses: readonly IpAddress[]): Promise<void>
  close(): void
}
