// What there is, as the kernel and the stores tell it: `ip -j`, `nft -j`, /proc, the lease and attachment databases.
// Nothing here knows what the demo has asked for.

import { existsSync, readdirSync, readFileSync, readlinkSync } from 'node:fs'

import { SqliteLeaseStore } from '../../lib/ipam/lease-store-sqlite.ts'
import { SqliteAttachmentStore } from '../../lib/state/attachments-sqlite.ts'
import { bootId } from '../../lib/state/boot.ts'
import { run } from './machine.ts'
import { LEASES_DIR, STATE_DIR } from './runtime.ts'

export interface LinkView {
  readonly name: string
  readonly mac: string
  readonly mtu: number
  /** With prefix length; those of link scope left out. */
  readonly addresses: readonly string[]
}

export interface HostView {
  readonly name: string
  readonly link: LinkView
  /** As `ip route` writes them: `default via 10.0.0.1`, `10.0.0.0/24 dev eth0`. */
  readonly routes: readonly string[]
}

export interface PortView {
  readonly name: string
  readonly mac: string
  /** What is at the other end of the wire. */
  readonly pod: HostView | undefined
}

export interface BridgeView extends LinkView {
  readonly ports: readonly PortView[]
}

export interface NodeView {
  readonly uplink: LinkView
  readonly bridges: readonly BridgeView[]
  readonly forwarding: { readonly v4: boolean; readonly v6: boolean }
  readonly routes: readonly string[]
  readonly masquerade: readonly string[]
}

export interface LeaseView {
  readonly pod: string
  readonly network: string
  readonly ifname: string
  readonly addresses: readonly string[]
}

interface IpLink {
  readonly ifindex: number
  readonly ifname: string
  readonly address?: string
  readonly mtu: number
  readonly master?: string
  readonly link_index?: number
  readonly linkinfo?: { readonly info_kind?: string }
  readonly addr_info: readonly {
    readonly local: string
    readonly prefixlen: number
    readonly scope: string
  }[]
}

interface IpRoute {
  readonly dst: string
  readonly gateway?: string
  readonly dev: string
}

/** @param pods  names of the namespaces in which the other ends of wires may be */
export function observeNode(pods: readonly string[]): NodeView {
  const links = listLinks()
  const ends = pods.map((name) => ({ name, link: listLinks(name).find(isWire) }))
  const portOf = (port: IpLink): PortView => {
    const end = ends.find(({ link }) => link?.link_index === port.ifindex)
    return { name: port.ifname, mac: port.address ?? '', pod: end && observeHost(end.name) }
  }
  const bridges = links.filter(({ linkinfo }) => linkinfo?.info_kind === 'bridge')
  return {
    uplink: view(links.find(({ ifname }) => ifname === 'eth0')),
    bridges: bridges.map((bridge) => ({
      ...view(bridge),
      ports: links.filter(({ master }) => master === bridge.ifname).map(portOf),
    })),
    forwarding: { v4: isOn('ipv4/ip_forward'), v6: isOn('ipv6/conf/all/forwarding') },
    routes: listRoutes(),
    masquerade: listMasqueraded(),
  }
}

export function observeHost(netns: string): HostView {
  return { name: netns, link: view(listLinks(netns).find(isWire)), routes: listRoutes(netns) }
}

export function listLinkNames(netns?: string): string[] {
  return listLinks(netns).map(({ ifname }) => ifname)
}

/** The keys of all elements in the maps of Podwire's nftables table. */
export function listMasqueraded(): string[] {
  const { nftables } = JSON.parse(run('nft', '-j', 'list', 'ruleset')) as {
    nftables: readonly { map?: { table: string; elem?: readonly [NftKey, unknown][] } }[]
  }
  const elements = nftables.flatMap(({ map }) => (map?.table === 'podwire' ? (map.elem ?? []) : []))
  return elements.map(([key]) => (typeof key === 'string' ? key : key.elem.val))
}

/** Wrapped when the element has a comment. */
type NftKey = string | { readonly elem: { readonly val: string } }

export function listLeases(): LeaseView[] {
  const file = `${LEASES_DIR}/podwire-leases.db`
  if (!existsSync(file)) return []
  const store = SqliteLeaseStore.open(file, { bootId: bootId(readText) })
  const held = store.read((reader) => reader.listHeld())
  store.close()
  const byHolder = Map.groupBy(
    held,
    ({ network, containerId, ifname }) => `${network} ${containerId} ${ifname}`,
  )
  return [...byHolder.values()].flatMap((leases) => {
    const [first] = leases
    if (first === undefined) return []
    const { network, ifname, containerId, podNamespace, podName } = first
    const pod = podName === undefined ? containerId : `${podNamespace}/${podName}`
    return [{ pod, network, ifname, addresses: leases.map(({ address }) => String(address)) }]
  })
}

/** Whose records there are: `web eth0`. */
export function listAttachments(): string[] {
  const file = `${STATE_DIR}/attachments.db`
  if (!existsSync(file)) return []
  const store = SqliteAttachmentStore.open(file, { bootId: bootId(readText) })
  const attachments = store.list()
  store.close()
  return attachments.map(({ containerId, ifname }) => `${containerId} ${ifname}`)
}

export function listNamespaces(): string[] {
  return existsSync('/run/netns') ? readdirSync('/run/netns') : []
}

/** Processes in these network namespaces, as /proc links name them (`net:[4026531840]`); this one is left out. */
export function listProcesses(namespaces: ReadonlySet<string>): string[] {
  const ids = readdirSync('/proc').filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)
  const inside = ids.filter((id) => namespaces.has(namespaceOf(id)))
  return inside.map((id) => `${id} ${readText(`/proc/${id}/comm`)?.trim()}`)
}

/** @param pid  or `self` */
export function namespaceOf(pid: string): string {
  try {
    return readlinkSync(`/proc/${pid}/ns/net`)
  } catch {
    return '' // it has just ended
  }
}

function listLinks(netns?: string): IpLink[] {
  return ipJson<IpLink>(netns, '-d', 'address')
}

/** Without those of link-local addresses, which every link has. */
function listRoutes(netns?: string): string[] {
  const routes = ['-4', '-6'].flatMap((family) => ipJson<IpRoute>(netns, family, 'route'))
  return routes
    .filter(({ dst }) => !dst.startsWith('fe80:'))
    .map(({ dst, gateway, dev }) => `${dst} ${gateway === undefined ? `dev ${dev}` : `via ${gateway}`}`)
}

function ipJson<T>(netns: string | undefined, ...args: string[]): T[] {
  return JSON.parse(run('ip', ...(netns === undefined ? [] : ['-n', netns]), '-j', ...args) || '[]') as T[]
}

function isWire({ linkinfo }: IpLink): boolean {
  return linkinfo?.info_kind === 'veth'
}

function view(link: IpLink | undefined): LinkView {
  if (link === undefined) return { name: '(no link)', mac: '', mtu: 0, addresses: [] }
  const addresses = link.addr_info.filter(({ scope }) => scope !== 'link')
  return {
    name: link.ifname,
    mac: link.address ?? '',
    mtu: link.mtu,
    addresses: addresses.map(({ local, prefixlen }) => `${local}/${prefixlen}`),
  }
}

function isOn(key: string): boolean {
  return readText(`/proc/sys/net/${key}`)?.trim() === '1'
}

function readText(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return undefined
  }
}
