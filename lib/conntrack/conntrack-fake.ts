// The port in memory: connections as their two pairs of addresses, and the port they were begun to.

import { IpAddress } from '../ip/address.ts'
import type { Conntrack, PortConnection } from './conntrack.ts'

const IPPROTO_UDP = 17

/** Texts of addresses. */
export interface FakeConnection {
  /** Of the first packet: from, to. */
  readonly orig: readonly [source: string, destination: string]
  /** Of the answer; the other way round when nothing is translated. */
  readonly reply?: readonly [source: string, destination: string]
  /** IPPROTO_*; UDP when nothing is said. */
  readonly protocol?: number
  /** That the first packet was sent to; 53 when nothing is said. */
  readonly port?: number
  /** 1000 when nothing is said. */
  readonly sourcePort?: number
}

export class ConntrackFake implements Conntrack {
  readonly #onCount: (count: number) => void
  #connections: readonly FakeConnection[] = []

  /** @param onCount  hears how many there are, as nf_conntrack_count tells */
  constructor(onCount: (count: number) => void = () => undefined) {
    this.#onCount = onCount
  }

  add(...connections: readonly FakeConnection[]): void {
    this.#set([...this.#connections, ...connections])
  }

  async flush(addresses: readonly IpAddress[]): Promise<number> {
    const gone = new Set(addresses.map(String))
    const before = this.#connections.length
    this.#set(
      this.#connections.filter(
        ({ orig, reply = [orig[1], orig[0]] }) => !gone.has(orig[0]) && !gone.has(reply[0]),
      ),
    )
    return before - this.#connections.length
  }

  async settle(): Promise<void> {}

  async flushPorts(
    ports: readonly Pick<PortConnection, 'protocol' | 'port'>[],
    _size: number,
    isStale: (connection: PortConnection) => boolean,
  ): Promise<number> {
    const before = this.#connections.length
    this.#set(
      this.#connections.filter(({ orig: [, to], reply = [to], protocol = IPPROTO_UDP, port = 53 }) => {
        const [destination, answeredBy] = [IpAddress.parse(to), IpAddress.parse(reply[0])]
        const isOneOf = ports.some((one) => one.protocol === protocol && one.port === port)
        return !isOneOf || !isStale({ protocol, port, destination, answeredBy })
      }),
    )
    return before - this.#connections.length
  }

  #set(connections: readonly FakeConnection[]): void {
    this.#connections = connections
    this.#onCount(connections.length)
  }

  close(): void {}

  /** Sorted lines: `connection 10.1.0.5 > 192.0.2.2, 192.0.2.2 > 192.0.2.1`. */
  dump(): string {
    return this.#connections
      .map(({ orig, reply = [orig[1], orig[0]] }) => `connection ${orig.join(' > ')}, ${reply.join(' > ')}\n`)
      .sort()
      .join('')
  }
}
