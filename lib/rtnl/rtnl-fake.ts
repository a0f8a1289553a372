// The fake port: rtnetlink over an in-memory stack that keeps state and refuses what the kernel refuses. The same
// suite holds for it and for the real one (rtnl.contract.ts).

import { constants } from 'node:os'
import type { Family } from '../ip/address.ts'
import { NetlinkError } from '../netlink/error.ts'
import type { AddressFilter, LinkAddressState } from './address.ts'
import type { BridgeVlan } from './bridge-vlan.ts'
import { toRequest } from './change-request.ts'
import { addAddress, deleteAddress, describeAddress } from './fake-addresses.ts'
import { addBridgeVlan, deleteBridgeVlan, describeVlans } from './fake-bridge-vlans.ts'
import { describeLink } from './fake-link.ts'
import { createLink, deleteLink, requireLink, setLink } from './fake-links.ts'
import { FakeRefusal } from './fake-refusal.ts'
import { addRoute, deleteRoute, describeRoute, lookUpRoute } from './fake-routes.ts'
import { addRule, deleteRule } from './fake-rules.ts'
import type { FakeStack } from './fake-stack.ts'
import {
  addQdisc,
  addRedirect,
  deleteQdisc,
  describeFilters,
  describeQdiscs,
  isMissing,
} from './fake-traffic.ts'
import type { FilterState } from './filter.ts'
import { formatRef } from './format.ts'
import type { KernelFeature } from './kernel-feature.ts'
import type { IfIndex, Link, LinkFilter, LinkRef } from './link.ts'
import type { QdiscState } from './qdisc.ts'
import type { RouteFilter, RouteState } from './route.ts'
import { lookUpRouteRequest, type RouteQuery, type Way } from './route-lookup.ts'
import type { Change, LinkCondition, Rtnl } from './rtnl.ts'
import type { RuleState } from './rule.ts'

export class RtnlFake implements Rtnl {
  readonly #stack: FakeStack
  #closed = false

  constructor(stack: FakeStack) {
    this.#stack = stack
  }

  async apply(...changes: readonly Change[]): Promise<void> {
    // What cannot be said to the kernel is refused here too.
    const requests = changes.map(toRequest)
    const errors: unknown[] = []
    for (const [i, change] of changes.entries()) {
      try {
        this.#answer(requests[i]?.operation ?? '', () => run(this.#stack, change))
      } catch (error) {
        errors.push(error)
      }
    }
    this.#stack.network.changed()
    if (errors.length > 0) throw errors[0]
  }

  async getLink(ref: LinkRef): Promise<Link> {
    return this.#answer(`ip link show ${formatRef(ref)}`, () => describeLink(requireLink(this.#stack, ref)))
  }

  async findLink(ref: LinkRef): Promise<Link | undefined> {
    const link = this.#answer(`ip link show ${formatRef(ref)}`, () => this.#stack.findLink(ref))
    return link && describeLink(link)
  }

  async listLinks({ kind, master }: LinkFilter = {}): Promise<Link[]> {
    const links = this.#answer('list links', () => this.#stack.links.map(describeLink))
    return links.filter(
      (link) =>
        (kind === undefined || link.kind === kind) && (master === undefined || link.master === master),
    )
  }

  async listAddresses({ dev, family }: AddressFilter = {}): Promise<LinkAddressState[]> {
    return this.#answer('list addresses', () => {
      if (dev !== undefined) requireLink(this.#stack, dev)
      return this.#stack.addresses
        .map(describeAddress)
        .filter(
          (a) => (dev === undefined || a.dev === dev) && (family === undefined || a.prefix.family === family),
        )
    })
  }

  async listRoutes({ dev, family, table }: RouteFilter = {}): Promise<RouteState[]> {
    return this.#answer('list routes', () => {
      if (dev !== undefined) requireLink(this.#stack, dev)
      return this.#stack.routes
        .map(describeRoute)
        .filter(
          (r) => (dev === undefined || r.dev === dev) && (family === undefined || r.dst.family === family),
        )
        .filter((r) => table === undefined || r.table === table)
    })
  }

  async lookUpRoute(query: RouteQuery): Promise<Way> {
    return this.#answer(lookUpRouteRequest(query).operation, () => lookUpRoute(this.#stack, query))
  }

  async listRules(family: Family): Promise<RuleState[]> {
    return this.#answer('list rules', () => this.#stack.rules.filter((rule) => rule.family === family))
  }

  async listBridgeVlans(index: IfIndex): Promise<BridgeVlan[]> {
    const link = this.#answer('list bridge vlans', () => this.#stack.findLink(index))
    return link === undefined ? [] : describeVlans(link)
  }

  async listQdiscs(dev: IfIndex): Promise<QdiscState[]> {
    return this.#answer('tc qdisc show', () => describeQdiscs(requireLink(this.#stack, dev)))
  }

  async listFilters(dev: IfIndex): Promise<FilterState[]> {
    const operation = `tc filter show dev #${dev} ingress`
    return this.#answer(operation, () => describeFilters(requireLink(this.#stack, dev)))
  }

  async hasFeature(feature: KernelFeature): Promise<boolean> {
    return this.#answer(`look for ${feature}`, () => !isMissing(this.#stack, feature))
  }

  async waitForLink(ref: LinkRef, wanted: LinkCondition): Promise<Link> {
    const first = await this.getLink(ref)
    if (wanted.holds(first)) return first
    const operation = `wait for ${wanted.description} of dev ${first.name}`
    const { promise, resolve, reject } = Promise.withResolvers<Link>()
    const fail = (errno: number) => reject(new NetlinkError(operation, { errno }))
    const look = () => {
      const link = this.#stack.findLink(first.index)
      if (link === undefined) fail(constants.errno.ENODEV)
      else if (wanted.holds(describeLink(link))) resolve(describeLink(link))
    }
    const stop = this.#stack.network.watch(look)
    const timer = setTimeout(() => fail(constants.errno.ETIMEDOUT), wanted.deadlineMs)
    try {
      look()
      return await promise
    } finally {
      clearTimeout(timer)
      stop()
    }
  }

  close(): void {
    this.#closed = true
  }

  #answer<T>(operation: string, work: () => T): T {
    try {
      if (this.#closed) throw new FakeRefusal('ENOTCONN')
      const injected = this.#stack.network.refuse(operation)
      if (injected !== undefined) throw new FakeRefusal(injected)
      return work()
    } catch (error) {
      if (error instanceof FakeRefusal) throw new NetlinkError(operation, error.refusal)
      throw error
    }
  }
}

function run(stack: FakeStack, change: Change): void {
  switch (change.change) {
    case 'create link':
      createLink(stack, change.link)
      break
    case 'set link':
      setLink(stack, change.link, change.set)
      break
    case 'delete link':
      deleteLink(stack, change.link)
      break
    case 'add address':
      addAddress(stack, change.address)
      break
    case 'delete address':
      deleteAddress(stack, change.address)
      break
    case 'add route':
      addRoute(stack, change.route)
      break
    case 'delete route':
      deleteRoute(stack, change.route)
      break
    case 'add rule':
      addRule(stack, change.rule)
      break
    case 'delete rule':
      deleteRule(stack, change.rule)
      break
    case 'add bridge vlan':
      addBridgeVlan(stack, change.link, change.vlan)
      break
    case 'delete bridge vlan':
      deleteBridgeVlan(stack, change.link, change.vlan)
      break
    case 'add qdisc':
      addQdisc(requireLink(stack, change.dev), change.qdisc)
      break
    case 'delete qdisc':
      deleteQdisc(requireLink(stack, change.dev), change.parent)
      break
    case 'add redirect':
      addRedirect(requireLink(stack, change.redirect.dev), change.redirect.to)
      break
  }
}
