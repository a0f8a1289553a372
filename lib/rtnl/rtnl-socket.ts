// The real port: rtnetlink(7) over one socket that stays in the namespace it was opened in.

import type { Family } from '../ip/address.ts'
import { Connection, type Trace, type Transport } from '../netlink/connection.ts'
import { isNotFound, NetlinkError } from '../netlink/error.ts'
import type { SocketOptions } from '../netlink/socket.ts'
import { type AddressFilter, type LinkAddressState, listAddressesRequest, readAddress } from './address.ts'
import { ifinfomsg, RTNL_KINDS, RTNLGRP_LINK } from './attributes.ts'
import { type BridgeVlan, listBridgeVlansRequest, readBridgeVlans } from './bridge-vlan.ts'
import { toRequest } from './change-request.ts'
import { type FilterState, listFiltersRequest, readFilter } from './filter.ts'
import { formatChange, formatRef } from './format.ts'
import { isKnownKind, type KernelFeature, probeRequest } from './kernel-feature.ts'
import {
  getLinkRequest,
  type IfIndex,
  type Link,
  type LinkFilter,
  type LinkRef,
  listLinksRequest,
  readLink,
} from './link.ts'
import type { LinkDeletion } from './link-deletion.ts'
import { listQdiscsRequest, type QdiscState, readQdisc } from './qdisc.ts'
import { listRoutesRequest, type RouteFilter, type RouteState, readRoutes } from './route.ts'
import { lookUpRouteRequest, type RouteQuery, readWay, type Way } from './route-lookup.ts'
import type { Change, LinkCondition, Rtnl } from './rtnl.ts'
import { listRulesRequest, type RuleState, readRule } from './rule.ts'

/** Opens a socket in the port's namespace. */
export type OpenTransport = (options?: SocketOptions) => Transport

const ETIMEDOUT = 110
const ENODEV = 19

export interface RtnlOptions {
  readonly trace?: Trace | undefined
  /** How links are deleted, where it must not keep the event loop waiting. */
  readonly deletion?: LinkDeletion | undefined
}

export class RtnlSocket implements Rtnl {
  readonly #open: OpenTransport
  readonly #trace: Trace | undefined
  readonly #deletion: LinkDeletion | undefined
  readonly #connection: Connection

  constructor(open: OpenTransport, { trace, deletion }: RtnlOptions = {}) {
    this.#open = open
    this.#trace = trace
    this.#deletion = deletion
    this.#connection = new Connection(open(), { trace, kinds: RTNL_KINDS, gathers: true })
  }

  async apply(...changes: readonly Change[]): Promise<void> {
    const [first] = changes
    if (this.#deletion && changes.length === 1 && first?.change === 'delete link') {
      const index = typeof first.link === 'number' ? first.link : (await this.getLink(first.link)).index
      return this.#deletion.delete(index, formatChange(first))
    }
    await this.#connection.batch(changes.map(toRequest))
  }

  async getLink(ref: LinkRef): Promise<Link> {
    const request = getLinkRequest(ref, () => `ip link show ${formatRef(ref)}`)
    const { payload } = await this.#connection.get(request)
    return readLink(payload)
  }

  async findLink(ref: LinkRef): Promise<Link | undefined> {
    try {
      return await this.getLink(ref)
    } catch (error) {
      if (isNotFound(error)) return undefined
      throw error
    }
  }

  async listLinks(filter: LinkFilter = {}): Promise<Link[]> {
    const messages = await this.#connection.dump(listLinksRequest(filter))
    return messages.map((message) => readLink(message.payload)).filter((link) => matchesLink(link, filter))
  }

  async listAddresses(filter: AddressFilter = {}): Promise<LinkAddressState[]> {
    const messages = await this.#connection.dump(listAddressesRequest(filter))
    const addresses = messages.map((message) => readAddress(message.payload)).filter((a) => a !== undefined)
    return addresses.filter((address) => filter.dev === undefined || address.dev === filter.dev)
  }

  async listRoutes(filter: RouteFilter = {}): Promise<RouteState[]> {
    const messages = await this.#connection.dump(listRoutesRequest(filter)).catch((error: unknown) => {
      // A table begins to exist with its first route; asked by family, a missing one is an error (inet_dump_fib).
      if (filter.table !== undefined && error instanceof NetlinkError && error.code === 'ENOENT') return []
      throw error
    })
    const routes = messages.flatMap((message) => readRoutes(message.payload))
    return routes.filter((route) => matchesRoute(route, filter))
  }

  async lookUpRoute(query: RouteQuery): Promise<Way> {
    const { payload } = await this.#connection.get(lookUpRouteRequest(query))
    return readWay(payload, query)
  }

  async listRules(family: Family): Promise<RuleState[]> {
    const messages = await this.#connection.dump(listRulesRequest(family))
    return messages.map((message) => readRule(message.payload)).filter((rule) => rule !== undefined)
  }

  async listBridgeVlans(link: IfIndex): Promise<BridgeVlan[]> {
    const messages = await this.#connection.dump(listBridgeVlansRequest())
    return messages
      .map(({ payload }) => readBridgeVlans(payload))
      .flatMap((one) => (one.link === link ? one.vlans : []))
  }

  async listQdiscs(dev: IfIndex): Promise<QdiscState[]> {
    await this.getLink(dev) // a dump is of all links, and would be empty
    const messages = await this.#connection.dump(listQdiscsRequest())
    return messages
      .map(({ payload }) => readQdisc(payload))
      .filter((qdisc) => qdisc?.dev === dev) as QdiscState[]
  }

  async listFilters(dev: IfIndex): Promise<FilterState[]> {
    await this.getLink(dev)
    const messages = await this.#connection.dump(listFiltersRequest(dev))
    return messages.map(({ payload }) => readFilter(payload)).filter((filter) => filter !== undefined)
  }

  async hasFeature(feature: KernelFeature): Promise<boolean> {
    try {
      await this.#connection.request(probeRequest(feature))
      return true
    } catch (error) {
      const isKnown = error instanceof NetlinkError ? isKnownKind(feature, error) : undefined
      if (isKnown === undefined) throw error
      return isKnown
    }
  }

  async waitForLink(ref: LinkRef, wanted: LinkCondition): Promise<Link> {
    const link = await this.getLink(ref)
    return wanted.holds(link) ? link : this.#awaitLink(link, wanted)
  }

  close(): void {
    this.#connection.close()
    this.#deletion?.close()
  }

  /**
   * Subscribes first and looks again then, so that no change falls between.
   *
   * A notification only says when to look: those of a bridge port (AF_BRIDGE) tell less than a link's own, their
   * RTM_DELLINK means that the port left its bridge, and some are lost when there are too many.
   */
  async #awaitLink({ index, name }: Link, wanted: LinkCondition): Promise<Link> {
    const { promise, resolve, reject } = Promise.withResolvers<Link>()
    const operation = `wait for ${wanted.description} of dev ${name}`
    const fail = (errno: number, cause?: unknown) => reject(new NetlinkError(operation, { errno }, { cause }))
    const look = () =>
      this.getLink(index).then(
        (now) => wanted.holds(now) && resolve(now),
        (error: unknown) => (isNotFound(error) ? fail(ENODEV, error) : reject(error)),
      )
    const events = new Connection(this.#open({ groups: [RTNLGRP_LINK] }), {
      trace: this.#trace,
      kinds: RTNL_KINDS,
      onEvent: (message) => ifinfomsg.read(message.payload).ifi_index === index && look(),
      onLoss: look,
    })
    // A last look: a notification that was lost must not make a failure of what has happened.
    const expire = () => look().then(() => fail(ETIMEDOUT))
    const timer = setTimeout(expire, wanted.deadlineMs)
    look()
    try {
      return await promise
    } finally {
      clearTimeout(timer)
      events.close()
    }
  }
}

/** Older kernels ignore a dump's filter, so what they send is filtered again. */
function matchesLink(link: Link, filter: LinkFilter): boolean {
  return (
    (filter.master === undefined || link.master === filter.master) &&
    (filter.kind === undefined || link.kind === filter.kind)
  )
}

function matchesRoute(route: RouteState, filter: RouteFilter): boolean {
  return (
    (filter.dev === undefined || route.dev === filter.dev) &&
    (filter.table === undefined || route.table === filter.table)
  )
}
