// Peers with names, one in each namespace, that call each other.

import { type ChildProcessByStdio, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import type { Readable, Writable } from 'node:stream'
import { fileURLToPath } from 'node:url'
import type { Namespace } from './node.ts'
import { LEASH } from './process.ts'

const PROGRAM = fileURLToPath(import.meta.resolve('./named-peer.ts'))

export interface Call {
  readonly address: string
  readonly port?: number
  readonly protocol?: 'tcp' | 'udp'
  /** The caller's own port, of UDP; any when it is not said. */
  readonly from?: number
}

class Peer {
  readonly #child: ChildProcessByStdio<Writable, Readable, null>
  readonly #lines: AsyncIterator<string>

  private constructor(child: ChildProcessByStdio<Writable, Readable, null>) {
    this.#child = child
    this.#lines = createInterface(child.stdout)[Symbol.asyncIterator]()
  }

  static async start({ name, label }: Namespace): Promise<Peer> {
    const [leash, ...words] = [...LEASH, 'ip', 'netns', 'exec', name, process.execPath, PROGRAM, label]
    const peer = new Peer(spawn(leash, words, { stdio: ['pipe', 'pipe', 'inherit'] }))
    await peer.#lines.next()
    return peer
  }

  async call({ address, port = 8080, protocol = 'tcp', from = 0 }: Call): Promise<string> {
    this.#child.stdin.write(`${JSON.stringify([address, port, protocol, from])}\n`)
    const { value } = await this.#lines.next()
    return String(value)
  }

  async end(): Promise<void> {
    const closed = once(this.#child, 'close')
    this.#child.stdin.end()
    await closed
  }
}

export class NamedPeers {
  readonly #peers = new Map<string, Peer>()

  /** Each serves TCP and UDP at port 8080, and calls itself by the label of its namespace. */
  static async start(namespaces: readonly Namespace[]): Promise<NamedPeers> {
    const peers = new NamedPeers()
    const started = await Promise.all(namespaces.map((one) => Peer.start(one)))
    for (const [i, { name }] of namespaces.entries()) {
      const peer = started[i]
      if (peer !== undefined) peers.#peers.set(name, peer)
    }
    return peers
  }

  /** @returns who answers and which address is seen there, or why there is no answer */
  async call({ name, label }: Namespace, call: Call): Promise<string> {
    const peer = this.#peers.get(name)
    if (peer === undefined) throw new Error(`no peer in ${label}`)
    return peer.call(call)
  }

  async end(): Promise<void> {
    for (const peer of this.#peers.values()) await peer.end()
  }
}
