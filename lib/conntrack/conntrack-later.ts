// Forgetting connections a moment later, for a process that serves many calls. To list the kernel's table costs 20 ms
// whatever is in it (it has a lock for each of its buckets, 262,144 on a node with memory), and one list serves all
// addresses that were given up within a second. An address that rests for longer before it is used again (coolDown, of
// host-local) has no connections then; one that is used at once is waited for (`settle`).

import type { IpAddress } from '../ip/address.ts'
import type { Conntrack, PortConnection } from './conntrack.ts'

export interface LaterOptions {
  /** Called for what could not be forgotten. */
  readonly onError: (error: unknown, addresses: readonly IpAddress[]) => void
  /** How long the first of them waits for others. */
  readonly pauseMs?: number
}

const PAUSE_MS = 1000

export class ConntrackLater implements Conntrack {
  readonly #conntrack: Conntrack
  readonly #options: LaterOptions
  #waiting = new Map<string, IpAddress>()
  /** Of the lists under way. */
  readonly #listed: ReadonlyMap<string, IpAddress>[] = []
  #size = 0
  #timer: NodeJS.Timeout | undefined
  #lastList: Promise<void> = Promise.resolve()

  constructor(conntrack: Conntrack, options: LaterOptions) {
    this.#conntrack = conntrack
    this.#options = options
  }

  /** @returns 0 at once: nothing is known yet */
  async flush(addresses: readonly IpAddress[], size: number): Promise<number> {
    for (const address of addresses) this.#waiting.set(String(address), address)
    this.#size = size
    if (this.#waiting.size > 0)
      this.#timer ??= setTimeout(() => void this.finish(), this.#options.pauseMs ?? PAUSE_MS)
    return 0
  }

  /** At once: who gets the port next may be waiting for it, and calls with ports are few. */
  flushPorts(
    ports: readonly Pick<PortConnection, 'protocol' | 'port'>[],
    size: number,
    isStale: (connection: PortConnection) => boolean,
  ): Promise<number> {
    return this.#conntrack.flushPorts(ports, size, isStale)
  }

  async settle(addresses: readonly IpAddress[]): Promise<void> {
    const unsettled = [this.#waiting, ...this.#listed]
    if (addresses.some((address) => unsettled.some((map) => map.has(String(address))))) await this.finish()
  }

  /** Forgets now. Resolves when all is forgotten that was asked for until now. */
  finish(): Promise<void> {
    clearTimeout(this.#timer)
    this.#timer = undefined
    if (this.#waiting.size === 0) return this.#lastList
    const waiting = this.#waiting
    this.#waiting = new Map()
    this.#listed.push(waiting)
    this.#lastList = this.#lastList.then(() => this.#forget([...waiting.values()]))
    return this.#lastList
  }

  close(): void {
    clearTimeout(this.#timer)
    this.#conntrack.close()
  }

  async #forget(addresses: readonly IpAddress[]): Promise<void> {
    try {
      await this.#conntrack.flush(addresses, this.#size)
    } catch (error) {
      this.#options.onError(error, addresses)
    }
    this.#listed.shift()
  }
}
