// The fake kernel's network stack of one namespace: its links, addresses and routes. Changes are made by fake-links.ts,
// fake-addresses.ts, fake-routes.ts and fake-traffic.ts.

import type { constants } from 'node:os'
import type { MacAddress } from '../ip/mac.ts'
import type { Prefix } from '../ip/prefix.ts'
import type { BridgeVlan } from './bridge-vlan.ts'
import { firstRules } from './fake-rules.ts'
import type { KernelFeature } from './kernel-feature.ts'
import type { IpvlanMode } from './kinds/ipvlan.ts'
import type { MacvlanMode } from './kinds/macvlan.ts'
import type { IfIndex, IfName, LinkRef, NewLink } from './link.ts'
import type { Qdisc, QdiscParent } from './qdisc.ts'
import type { Route } from './route.ts'
import type { RuleState } from './rule.ts'

export interface FakeLink {
  stack: FakeStack
  index: IfIndex
  name: IfName
  /** Absent for loopback. */
  readonly kind?: NewLink['kind']
  mac: MacAddress
  mtu: number
  up: boolean
  promisc: boolean
  allmulti: boolean
  txQueueLength: number
  /** The link that it lies on. */
  readonly parent?: FakeLink
  readonly macvlanMode?: MacvlanMode
  readonly ipvlanMode?: IpvlanMode
  readonly vlanId?: number
  readonly vrfTable?: number
  alias: string
  master: FakeLink | undefined
  peer: FakeLink | undefined
  hairpin: boolean
  isolated: boolean
  /** Of a bridge. */
  readonly vlanFiltering: boolean
  /** Of a bridge or a port of one, by their ids. */
  readonly vlans: Map<number, Omit<BridgeVlan, 'vid' | 'vidEnd'>>
  readonly qdiscs: Map<QdiscParent, Qdisc>
  /** Of the ingress qdisc: where what it receives goes. Undefined when that link is gone. */
  readonly redirects: (FakeLink | undefined)[]
  hadPorts: boolean
  /** A bridge follows the lowest MAC and MTU of its ports until it is given its own. */
  ownMac: boolean
  ownMtu: boolean
}

export interface FakeAddress {
  readonly link: FakeLink
  readonly prefix: Prefix
  readonly noDad: boolean
  readonly noPrefixRoute: boolean
  /** 0 global, 254 host. */
  readonly scope: number
}

export interface FakeRoute extends Omit<Route, 'dev'> {
  readonly link: FakeLink
  readonly table: number
  readonly scope: number
  readonly connected: boolean
}

/** The sysctls of links, which come and go with them. */
export interface LinkParameters {
  addLink(name: IfName): void
  renameLink(name: IfName, to: IfName): void
  removeLink(name: IfName): void
  /** @returns undefined where there is no such parameter */
  find(key: string): string | undefined
  /** As another part of the kernel does it: nobody is asked. */
  put(key: string, value: string): void
}

/** What the running kernel can do. */
export interface KernelFeatures {
  /** CONFIG_BRIDGE_VLAN_FILTERING */
  readonly bridgeVlanFiltering: boolean
  /** Kinds of links, qdiscs and actions that it was built without. */
  readonly missing?: readonly KernelFeature[]
}

/**
 * For tests: asked before the kernel does anything, with what it is to do in the words of `ip`, `nft` or `sysctl`.
 *
 * @returns the name of the errno to refuse it with; undefined lets it be done
 */
export type Refuse = (operation: string) => keyof typeof constants.errno | undefined

/** All namespaces of one fake kernel. */
export class FakeNetwork {
  readonly features: KernelFeatures
  readonly refuse: Refuse
  readonly #byFd = new Map<number, FakeStack>()
  readonly #all: FakeStack[] = []
  readonly #watchers = new Set<() => void>()
  #lastFd = 100

  constructor(features: KernelFeatures, refuse: Refuse = () => undefined) {
    this.features = features
    this.refuse = refuse
  }

  /** @returns its number */
  enroll(stack: FakeStack): number {
    return this.#all.push(stack)
  }

  /** Of all namespaces. */
  listLinks(): FakeLink[] {
    return this.#all.flatMap(({ links }) => links)
  }

  /** A descriptor for the namespace: numbers are not used again. */
  openFd(stack: FakeStack): number {
    this.#byFd.set(++this.#lastFd, stack)
    return this.#lastFd
  }

  closeFd(fd: number): void {
    this.#byFd.delete(fd)
  }

  stackBehind(fd: number): FakeStack | undefined {
    return this.#byFd.get(fd)
  }

  /** @returns how to stop */
  watch(watcher: () => void): () => void {
    this.#watchers.add(watcher)
    return () => this.#watchers.delete(watcher)
  }

  changed(): void {
    for (const watcher of [...this.#watchers]) watcher()
  }
}

/** What a link has from its making. */
export type GivenToLink = Partial<
  Pick<
    FakeLink,
    'kind' | 'mac' | 'mtu' | 'vlanFiltering' | 'parent' | 'macvlanMode' | 'ipvlanMode' | 'vlanId' | 'vrfTable'
  >
>

export class FakeStack {
  readonly network: FakeNetwork
  /** For dumps: the path of the namespace. */
  readonly label: string
  readonly parameters: LinkParameters
  readonly number: number
  readonly links: FakeLink[] = []
  readonly addresses: FakeAddress[] = []
  /** Among routes to one destination with one metric, the first is used. */
  readonly routes: FakeRoute[] = []
  /** Of each family in the order in which they are asked. */
  readonly rules: RuleState[] = firstRules()
  readonly #netnsids: FakeStack[] = []
  #lastIndex = 0

  constructor(network: FakeNetwork, label: string, parameters: LinkParameters) {
    this.network = network
    this.label = label
    this.parameters = parameters
    this.number = network.enroll(this)
    this.addLink('lo', { mac: '00:00:00:00:00:00' as MacAddress, mtu: 65536 })
  }

  findLink(ref: LinkRef): FakeLink | undefined {
    return this.links.find((link) => (typeof ref === 'number' ? link.index === ref : link.name === ref))
  }

  addLink(name: IfName, given: GivenToLink): FakeLink {
    const index = ++this.#lastIndex as IfIndex
    const link: FakeLink = {
      stack: this,
      index,
      name,
      mac: macOf(this.number, index),
      mtu: 1500,
      up: false,
      promisc: false,
      allmulti: false,
      txQueueLength: 1000,
      alias: '',
      master: undefined,
      peer: undefined,
      hairpin: false,
      isolated: false,
      vlanFiltering: false,
      vlans: new Map(),
      qdiscs: new Map(),
      redirects: [],
      hadPorts: false,
      ownMac: given.mac !== undefined,
      ownMtu: false,
      ...given,
    }
    this.links.push(link)
    this.parameters.addLink(name)
    return link
  }

  /** A link that comes from another namespace keeps its index where that is free. */
  adoptLink(link: FakeLink): void {
    const isTaken = this.links.some(({ index }) => index === link.index)
    link.stack = this
    if (isTaken) link.index = (this.#lastIndex + 1) as IfIndex
    this.#lastIndex = Math.max(this.#lastIndex, link.index)
    this.links.push(link)
    this.parameters.addLink(link.name)
  }

  /** The number by which this namespace knows another one (ip netns list-id), given when first asked for. */
  netnsidOf(other: FakeStack): number {
    const known = this.#netnsids.indexOf(other)
    return known >= 0 ? known : this.#netnsids.push(other) - 1
  }
}

/** The kernel's are random; these can be read, and are the same in every run. */
function macOf(stack: number, index: number): MacAddress {
  const octet = (value: number) => (value & 0xff).toString(16).padStart(2, '0')
  return ['0e', '00', octet(stack >> 8), octet(stack), octet(index >> 8), octet(index)].join(
    ':',
  ) as MacAddress
}

/** Takes out of a list what is like this. @returns whether there was any */
export function removeWhere<T>(list: T[], matches: (item: T) => boolean): boolean {
  const kept = list.filter((item) => !matches(item))
  const removed = kept.length < list.length
  list.splice(0, list.length, ...kept)
  return removed
}
