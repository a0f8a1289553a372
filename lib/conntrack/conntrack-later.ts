// Forgetting connections a moment later, for a process that serves many calls: a list of the kernel's table costs some
// milliseconds whatever is in it (it has a lock for each of its buckets, 262,144 on a node with memory), and one list
// serves all addresses that were given up meanwhile. The first begins in the next turn of the event loop, one that comes
// while others are being forgotten waits a tenth of a second: an address that rests for that long before it is used
// again (coolDown, of host-local) has no connections then.

import type { IpAddress } from '../ip/address.ts'
import type { Conntrack, PortConnection } from './conntrack.ts'

export interface LaterOptions {
  /** Called for what could not be forgotten. */
  readonly onError: (error: unknown, addresses: readonly IpAddress[]) => void
  /** Time between two lists. */
  readonly pauseMs?: number
}

const PAUSE_MS = 100

export class ConntrackLater implements Conntrack {
  readonly #conntrack: Conntrack
  readonly #options: LaterOptions
  readonly #waiting = new Map<string, IpAddress>()
  #size = 0
  #isBusy = false
  #idle: Promise<void> = Promise.resolve()

  constructor(conntrack: Conntrack, options: LaterOptions) {
    this.#conntrack = conntrack
    this.#options = options
  }

  /** @returns 0 at once: nothing is known yet */
  async flush(addresses: readonly IpAddress[], size: number): Promise<number> {
    for (const address of addresses) this.#waiting.set(String(address), address)
    this.#size = size
    if (!this.#isBusy) this.#idle = this.#work()
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

  /** Resolves when all is forgotten that was asked for until now. */
  get idle(): Promise<void> {
    return this.#idle
  }

  close(): void {
    this.#conntrack.close()
  }

  async #work(): Promise<void> {
    this.#isBusy = true
    while (this.#waiting.size > 0) {
      await nextTurn()
      const addresses = [...this.#waiting.values()]
      this.#waiting.clear()
      try {
        await this.#conntrack.flush(addresses, this.#size)
      } catch (error) {
        this.#options.onError(error, addresses)
      }
      if (this.#waiting.size > 0) await pause(this.#options.pauseMs ?? PAUSE_MS)
    }
    this.#isBusy = false
  }
}

function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}

/** Others have the processor meanwhile, and what they give up goes with the next list. */
function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}
