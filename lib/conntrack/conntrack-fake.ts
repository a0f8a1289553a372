// The port in memory: connections as their two pairs of addresses.

import type { IpAddress } from '../ip/address.ts'
import type { Conntrack } from './conntrack.ts'

/** Texts of addresses. */
export interface FakeConnection {
  /** Of the first packet: from, to. */
  readonly orig: readonly [source: string, destination: string]
  /** Of the answer; the other way round when nothing is translated. */
  readonly reply?: readonly [source: string, destination: string]
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
