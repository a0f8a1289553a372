// Deleting links without waiting for the kernel's last word. RTM_DELLINK returns only after all of the kernel's readers
// have let go of the link (rcu_barrier in netdev_run_todo, 15 to 20 ms); the link itself is gone from every table after
// about one, and the kernel announces that (RTM_DELLINK on the link group). So the request waits on another thread, and
// the call goes on with the announcement. Links of one moment are put in one group and deleted by one message: the
// wait is the same for one and for a hundred.

import { ByteWriter } from '../netlink/byte-writer.ts'
import { Connection, type Trace, type Transport } from '../netlink/connection.ts'
import { NetlinkError } from '../netlink/error.ts'
import { type Message, NLM_F_ACK, NLM_F_REQUEST, writeMessage } from '../netlink/message.ts'
import type { Request } from '../netlink/request.ts'
import type { SocketOptions } from '../netlink/socket.ts'
import { ifinfomsg, RTM_DELLINK, RTNL_KINDS, RTNLGRP_LINK } from './attributes.ts'
import { deleteGroupRequest, deleteLinkRequest, type IfIndex, joinGroupRequest } from './link.ts'

/** @returns the errno of the message with this sequence number, 0 for success */
export type Exchange = (datagram: Uint8Array, seq: number) => Promise<number>

export interface LinkDeletionOptions {
  /** Opens a socket in the links' namespace. */
  readonly open: (options: SocketOptions) => Transport
  readonly exchange: Exchange
  readonly trace?: Trace | undefined
  /** How many requests wait at a time; what comes meanwhile waits for one of them, and goes together. */
  readonly threads: number
}

interface Pending {
  readonly index: IfIndex
  readonly operation: string
  resolve(): void
  reject(error: Error): void
}

interface Refusal {
  readonly errno: number
  readonly cause?: unknown
}

/** Nobody else's, most likely; a group is a number that any program may use. */
const FIRST_GROUP = 0x70770000
const GROUPS = 0x8000
const AF_UNSPEC = 0
/** A port that leaves its bridge is announced by an RTM_DELLINK too, of AF_BRIDGE, a moment before. */
const GONE = { type: RTM_DELLINK.type, family: AF_UNSPEC }
const EIO = 5

export class LinkDeletion {
  readonly #options: LinkDeletionOptions
  readonly #events: Connection
  readonly #waiting: Pending[] = []
  /** Two calls may be about one link. */
  readonly #sent = new Map<IfIndex, Set<Pending>>()
  #inFlight = 0
  #group = 0

  constructor(options: LinkDeletionOptions) {
    this.#options = options
    this.#events = new Connection(options.open({ groups: [RTNLGRP_LINK], only: GONE }), {
      trace: options.trace,
      kinds: RTNL_KINDS,
      onEvent: (message) => this.#hear(message),
    })
  }

  /**
   * Resolves when the link is gone.
   *
   * @throws NetlinkError ENODEV when it was already. Among links that go together that does not show: then it resolves
   */
  delete(index: IfIndex, operation: string): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    this.#waiting.push({ index, operation, resolve, reject })
    this.#flush()
    return promise
  }

  close(): void {
    this.#events.close()
  }

  #flush(): void {
    if (this.#waiting.length === 0 || this.#inFlight >= this.#options.threads) return
    this.#inFlight++
    const batch = this.#waiting.splice(0)
    for (const one of batch) this.#expect(one)
    this.#send(batch).finally(() => {
      this.#inFlight--
      this.#flush()
    })
  }

  async #send(batch: readonly Pending[]): Promise<void> {
    const { datagram, seq } = batch.length === 1 ? deleteOne(batch) : deleteGroup(batch, this.#nextGroup())
    const error = await this.#exchange(datagram, seq)
    // A group goes whole or not at all: one link that cannot be deleted (EOPNOTSUPP) does not keep the others.
    if (error !== undefined && batch.length > 1) for (const one of batch) await this.#send([one])
    // Who has not heard an announcement (it may have been lost) hears this.
    else for (const one of batch) this.#settle(one, error)
  }

  /** @returns undefined when it was done; the socket may not be had either (EMFILE) */
  async #exchange(datagram: Uint8Array, seq: number): Promise<Refusal | undefined> {
    try {
      const errno = await this.#options.exchange(datagram, seq)
      return errno === 0 ? undefined : { errno }
    } catch (cause) {
      return { errno: (cause as { errno?: number }).errno ?? EIO, cause }
    }
  }

  #expect(pending: Pending): void {
    const { index } = pending
    this.#sent.set(index, (this.#sent.get(index) ?? new Set()).add(pending))
  }

  #nextGroup(): number {
    this.#group = (this.#group + 1) % GROUPS
    return FIRST_GROUP + this.#group
  }

  #hear({ payload }: Message): void {
    const { ifi_index } = ifinfomsg.read(payload)
    for (const pending of this.#sent.get(ifi_index as IfIndex) ?? []) this.#settle(pending, undefined)
  }

  #settle(pending: Pending, refusal: Refusal | undefined): void {
    const { index, operation, resolve, reject } = pending
    const same = this.#sent.get(index)
    if (same?.delete(pending) !== true) return
    if (same.size === 0) this.#sent.delete(index)
    if (refusal === undefined) resolve()
    else reject(new NetlinkError(operation, refusal, { cause: refusal.cause }))
  }
}

interface Datagram {
  readonly datagram: Uint8Array
  /** Of the last message, whose acknowledgement ends it. */
  readonly seq: number
}

function deleteOne(batch: readonly Pending[]): Datagram {
  return encode(batch.map(({ index, operation }) => deleteLinkRequest(index, operation)))
}

/** A link that is gone meanwhile cannot be put into the group, and the others go all the same. */
function deleteGroup(batch: readonly Pending[], group: number): Datagram {
  return encode([
    ...batch.map(({ index, operation }) => joinGroupRequest(index, group, operation)),
    deleteGroupRequest(group, `ip link del group ${group}`),
  ])
}

function encode(requests: readonly Request[]): Datagram {
  const writer = new ByteWriter()
  for (const [i, { kind, flags, payload }] of requests.entries()) {
    const ack = i === requests.length - 1 ? NLM_F_ACK : 0
    writeMessage(writer, { type: kind.type, flags: flags | NLM_F_REQUEST | ack, seq: i + 1, payload })
  }
  return { datagram: writer.finish(), seq: requests.length }
}
