// The port to the kernel's links, addresses, routes, rules and traffic control of one network namespace. Changes are
// data: they can be planned, printed as the `ip` command that does the same, applied in one batch, and undone.

import type { Family } from '../ip/address.ts'
import type { AddressFilter, LinkAddress, LinkAddressState } from './address.ts'
import type { BridgeVlan, BridgeVlanChange } from './bridge-vlan.ts'
import type { FilterState, Redirect } from './filter.ts'
import type { KernelFeature } from './kernel-feature.ts'
import type { IfIndex, Link, LinkFilter, LinkRef, LinkSettings, NewLink } from './link.ts'
import type { Qdisc, QdiscParent, QdiscState } from './qdisc.ts'
import type { Route, RouteFilter, RouteState } from './route.ts'
import type { RouteQuery, Way } from './route-lookup.ts'
import type { Rule, RuleState } from './rule.ts'

export type Change =
  | { readonly change: 'create link'; readonly link: NewLink }
  | { readonly change: 'set link'; readonly link: LinkRef; readonly set: LinkSettings }
  | { readonly change: 'delete link'; readonly link: LinkRef }
  | { readonly change: 'add address'; readonly address: LinkAddress }
  | { readonly change: 'delete address'; readonly address: LinkAddress }
  | { readonly change: 'add route'; readonly route: Route }
  | { readonly change: 'delete route'; readonly route: Route }
  | { readonly change: 'add rule'; readonly rule: Rule }
  | { readonly change: 'delete rule'; readonly rule: Rule }
  | { readonly change: 'add bridge vlan'; readonly link: IfIndex; readonly vlan: BridgeVlanChange }
  | { readonly change: 'delete bridge vlan'; readonly link: IfIndex; readonly vlan: BridgeVlanChange }
  | { readonly change: 'add qdisc'; readonly dev: IfIndex; readonly qdisc: Qdisc }
  | { readonly change: 'delete qdisc'; readonly dev: IfIndex; readonly parent: QdiscParent }
  | { readonly change: 'add redirect'; readonly redirect: Redirect }

export interface Rtnl {
  /**
   * Applies changes in order, in one datagram. Every one is tried, also after one that failed: the caller undoes.
   *
   * @throws NetlinkError of the first that failed: EEXIST, ENODEV, EPERM, …
   */
  apply(...changes: readonly Change[]): Promise<void>
  /** @throws NetlinkError ENODEV */
  getLink(ref: LinkRef): Promise<Link>
  findLink(ref: LinkRef): Promise<Link | undefined>
  listLinks(filter?: LinkFilter): Promise<Link[]>
  /** @throws NetlinkError ENODEV when `filter.dev` is gone */
  listAddresses(filter?: AddressFilter): Promise<LinkAddressState[]>
  /** Unicast routes of all tables. @throws NetlinkError ENODEV when `filter.dev` is gone */
  listRoutes(filter?: RouteFilter): Promise<RouteState[]>
  /**
   * The way that a packet would take, by all tables and rules.
   *
   * @throws NetlinkError ENETUNREACH, EHOSTUNREACH when there is none; EACCES, EINVAL for a route that refuses it, or
   *   where it may not come from (`rp_filter`)
   */
  lookUpRoute(query: RouteQuery): Promise<Way>
  /** In the order in which they are asked, those that lead to a table. */
  listRules(family: Family): Promise<RuleState[]>
  /** Of a port, or of a bridge itself, one by one; none on a kernel without CONFIG_BRIDGE_VLAN_FILTERING. */
  listBridgeVlans(link: IfIndex): Promise<BridgeVlan[]>
  /** Without what the kernel puts on a link by itself. @throws NetlinkError ENODEV */
  listQdiscs(dev: IfIndex): Promise<QdiscState[]>
  /** Of what a link receives, in its ingress qdisc. @throws NetlinkError ENODEV */
  listFilters(dev: IfIndex): Promise<FilterState[]>
  /** Whether the kernel knows a kind of link, qdisc or action; loads its module, and changes nothing else. */
  hasFeature(feature: KernelFeature): Promise<boolean>
  /**
   * Waits until a link is as wanted, by its notifications; looks once before.
   *
   * @throws NetlinkError ETIMEDOUT after `deadlineMs`, ENODEV when the link goes
   */
  waitForLink(ref: LinkRef, wanted: LinkCondition): Promise<Link>
  close(): void
}

export interface LinkCondition {
  /** For the error: `operstate up`. */
  readonly description: string
  readonly holds: (link: Link) => boolean
  readonly deadlineMs: number
}
