// The counters on a port, for a Prometheus that cannot read the socket: only if asked for, without encryption or
// passwords, for whoever reaches the address. It tells of no single pod, changes nothing, and bounds what a client may cost.

import { once } from 'node:events'
import type { Server } from 'node:http'
import { answer, type HttpPages } from './http.ts'
import { DaemonError } from './server.ts'

export interface MetricsAddress {
  readonly host: string
  readonly port: number
}

const MAX_CONNECTIONS = 32
const MAX_HEADER_BYTES = 8192
/** For a request to come, and for its answer to be taken. */
const TIMEOUT_MS = 5000

export interface MetricsPortOptions {
  readonly timeoutMs?: number
  readonly maxConnections?: number
}

export class MetricsPort {
  readonly #server: Server

  private constructor(server: Server) {
    this.#server = server
  }

  /** @param address  port 0: one that is free. @throws DaemonError EADDRESS */
  static async open(
    { host, port }: MetricsAddress,
    pages: HttpPages,
    { timeoutMs = TIMEOUT_MS, maxConnections = MAX_CONNECTIONS }: MetricsPortOptions = {},
  ): Promise<MetricsPort> {
    const limits = {
      maxHeaderSize: MAX_HEADER_BYTES,
      headersTimeout: timeoutMs,
      requestTimeout: timeoutMs,
      connectionsCheckingInterval: timeoutMs / 5,
    }
    const { createServer } = process.getBuiltinModule('node:http')
    const server = createServer(limits, (request, response) => void answer(pages, request, response))
    server.maxConnections = maxConnections
    // Also of one that does not read.
    server.on('connection', (socket) => {
      const timer = setTimeout(() => socket.destroy(), 2 * timeoutMs)
      socket.on('close', () => clearTimeout(timer))
    })
    try {
      server.listen({ host, port })
      await once(server, 'listening')
    } catch (cause) {
      throw new DaemonError(
        'EADDRESS',
        `listen on ${host} port ${port}: ${messageOf(cause)}; give another --metrics`,
        { cause },
      )
    }
    return new MetricsPort(server)
  }

  get port(): number {
    const address = this.#server.address()
    return typeof address === 'object' ? (address?.port ?? 0) : 0
  }

  async close(): Promise<void> {
    this.#server.close()
    this.#server.closeAllConnections()
    await once(this.#server, 'close')
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
