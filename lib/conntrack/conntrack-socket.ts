// The real port: ctnetlink over one nfnetlink socket that stays in the namespace it was opened in.
//
// The kernel can delete by a filter, too; but one older than 5.8 takes no notice of the filter, and would forget
// everything. So what is to go is listed, looked at, and deleted one by one.

import { type Family, IpAddress } from '../ip/address.ts'
import type { Attributes } from '../netlink/attributes.ts'
import { Connection, type Trace, type Transport } from '../netlink/connection.ts'
import { NetlinkError } from '../netlink/error.ts'
import { readPayload, request } from '../netlink/request.ts'
import type { Conntrack, PortConnection } from './conntrack.ts'
import {
  type CTA,
  CTA_PROTO,
  CTNETLINK_KINDS,
  FILTER_IP_SRC,
  FILTER_PROTO_DST_PORT,
  IPCTNL_MSG_CT_DELETE,
  IPCTNL_MSG_CT_GET,
  IPCTNL_MSG_CT_NEW,
} from './messages.ts'

type Entry = Attributes<typeof CTA>

/** Entries of which a list of all costs no more than two lists of some. */
const FEW = 4096

const AF_UNSPEC = 0
const AF = { 4: 2, 6: 10 } as const satisfies Record<Family, number>

/** Ports of which lists of their own cost less than one of all. */
const FEW_PORTS = 4

type Port = Pick<PortConnection, 'protocol' | 'port'>

/** As seen from who sends: the source of the first packet, and that of the answer. */
const DIRECTIONS = [
  { tuple: 'CTA_TUPLE_ORIG', flags: 'CTA_FILTER_ORIG_FLAGS', other: 'CTA_FILTER_REPLY_FLAGS' },
  { tuple: 'CTA_TUPLE_REPLY', flags: 'CTA_FILTER_REPLY_FLAGS', other: 'CTA_FILTER_ORIG_FLAGS' },
] as const

interface Found {
  /** AF_INET or AF_INET6. */
  readonly family: number
  readonly entry: Entry
}

export class ConntrackSocket implements Conntrack {
  readonly #connection: Connection

  constructor(open: () => Transport, trace?: Trace) {
    this.#connection = new Connection(open(), { trace, kinds: CTNETLINK_KINDS })
  }

  async flush(addresses: readonly IpAddress[], size: number): Promise<number> {
    return this.#deleteAll(await this.#find(addresses, size))
  }

  async flushPorts(
    ports: readonly Port[],
    size: number,
    isStale: (connection: PortConnection) => boolean,
  ): Promise<number> {
    const found = await this.#findPorts(ports, size)
    return this.#deleteAll(
      found.filter(({ entry }) => {
        const connection = portConnection(entry)
        return connection !== undefined && isOneOf(ports, connection) && isStale(connection)
      }),
    )
  }

  async settle(): Promise<void> {}

  async #deleteAll(found: readonly Found[]): Promise<number> {
    let count = 0
    for (const { family, entry } of found) {
      if (await this.#delete(family, entry)) count += 1
    }
    return count
  }

  async #findPorts(ports: readonly Port[], size: number): Promise<Found[]> {
    if (ports.length === 0) return []
    const operation = `conntrack -L --orig-port-dst ${ports.map(({ port }) => port).join(',')}`
    const needles = ports.map(({ port }) => destinationPort(port))
    if (size <= FEW || ports.length > FEW_PORTS) return this.#dump(AF_UNSPEC, { operation, needles })
    const found: Found[] = []
    for (const { protocol, port } of ports) {
      const filter: Entry = {
        CTA_TUPLE_ORIG: { CTA_TUPLE_PROTO: { CTA_PROTO_NUM: protocol, CTA_PROTO_DST_PORT: port } },
        CTA_FILTER: { CTA_FILTER_ORIG_FLAGS: FILTER_PROTO_DST_PORT, CTA_FILTER_REPLY_FLAGS: 0 },
      }
      for (const family of Object.values(AF)) {
        found.push(...(await this.#dump(family, { operation, needles, filter })))
      }
    }
    return found
  }

  /** Every list walks all of the kernel's hash table, which costs more than a few thousand entries do. */
  async #find(addresses: readonly IpAddress[], size: number): Promise<Found[]> {
    if (addresses.length === 0) return []
    if (size <= FEW) return this.#list(AF_UNSPEC, addresses)
    const ofFamily = Map.groupBy(addresses, ({ family }) => family)
    const v6 = ofFamily.get(6) ?? []
    return [
      ...(await this.#listFiltered(ofFamily.get(4) ?? [])),
      // There Linux compares addresses the wrong way round, and sends all others (6.18; `!ipv6_addr_cmp`).
      ...(v6.length === 0 ? [] : await this.#list(AF[6], v6)),
    ]
  }

  async #listFiltered(addresses: readonly IpAddress[]): Promise<Found[]> {
    const found: Found[] = []
    for (const address of addresses) {
      for (const { tuple, flags, other } of DIRECTIONS) {
        const filter: Entry = {
          [tuple]: { CTA_TUPLE_IP: { CTA_IP_V4_SRC: address.toBytes() } },
          CTA_FILTER: { [flags]: FILTER_IP_SRC, [other]: 0 },
        }
        found.push(...(await this.#list(AF[4], [address], filter)))
      }
    }
    return found
  }

  async #list(family: number, addresses: readonly IpAddress[], filter: Entry = {}): Promise<Found[]> {
    const operation = `conntrack -L ${addresses.join(' ')}`
    const needles = addresses.map((address) => Buffer.from(address.toBytes()))
    const found = await this.#dump(family, { operation, needles, filter })
    return found.filter(({ entry }) => DIRECTIONS.some(({ tuple }) => isFrom(addresses, entry[tuple])))
  }

  /** @param needles  bytes, of which one is in what is looked for: most entries are others', and reading them costs */
  async #dump(
    family: number,
    { operation, needles, filter = {} }: { operation: string; needles: readonly Buffer[]; filter?: Entry },
  ): Promise<Found[]> {
    const messages = await this.#connection.dump(
      request(IPCTNL_MSG_CT_GET, { header: { nfgen_family: family }, attributes: filter, operation }),
    )
    return messages
      .filter(({ payload }) => needles.some((needle) => bufferOf(payload).includes(needle)))
      .map(({ payload }) => readPayload(IPCTNL_MSG_CT_NEW, payload))
      .map(({ header: { nfgen_family }, attributes }) => ({ family: nfgen_family, entry: attributes }))
  }

  /** @returns whether it was there: it may have ended by itself */
  async #delete(family: number, { CTA_TUPLE_ORIG, CTA_ID, CTA_ZONE }: Entry): Promise<boolean> {
    try {
      await this.#connection.request(
        request(IPCTNL_MSG_CT_DELETE, {
          header: { nfgen_family: family },
          attributes: { CTA_TUPLE_ORIG, CTA_ID, CTA_ZONE },
          operation: `conntrack -D id ${CTA_ID}`,
        }),
      )
      return true
    } catch (error) {
      if (error instanceof NetlinkError && error.code === 'ENOENT') return false
      throw error
    }
  }

  close(): void {
    this.#connection.close()
  }
}

function bufferOf(payload: Uint8Array): Buffer {
  return Buffer.from(payload.buffer, payload.byteOffset, payload.byteLength)
}

function isFrom(addresses: readonly IpAddress[], tuple: Entry['CTA_TUPLE_ORIG']): boolean {
  const ip = tuple?.CTA_TUPLE_IP
  const source = ip?.CTA_IP_V4_SRC ?? ip?.CTA_IP_V6_SRC
  return source !== undefined && addresses.some((one) => Buffer.compare(source, one.toBytes()) === 0)
}

/** The attribute's bytes: its length, its type, and the port. */
function destinationPort(port: number): Buffer {
  const [type] = CTA_PROTO.CTA_PROTO_DST_PORT
  return Buffer.from([6, 0, type, 0, port >> 8, port & 255])
}

function isOneOf(ports: readonly Port[], { protocol, port }: PortConnection): boolean {
  return ports.some((one) => one.protocol === protocol && one.port === port)
}

/** @returns undefined for what has no ports */
function portConnection({ CTA_TUPLE_ORIG: orig, CTA_TUPLE_REPLY: reply }: Entry): PortConnection | undefined {
  const { CTA_PROTO_NUM: protocol, CTA_PROTO_DST_PORT: port } = orig?.CTA_TUPLE_PROTO ?? {}
  const destination = orig?.CTA_TUPLE_IP?.CTA_IP_V4_DST ?? orig?.CTA_TUPLE_IP?.CTA_IP_V6_DST
  const answeredBy = reply?.CTA_TUPLE_IP?.CTA_IP_V4_SRC ?? reply?.CTA_TUPLE_IP?.CTA_IP_V6_SRC
  if (protocol === undefined || port === undefined) return undefined
  if (destination === undefined || answeredBy === undefined) return undefined
  return {
    protocol,
    port,
    destination: IpAddress.fromBytes(destination),
    answeredBy: IpAddress.fromBytes(answeredBy),
  }
}
