// The node as it is now, for the page: interfaces, routes and firewall by the kernel, attachments and addresses by the
// stores. Pods' namespaces are not entered: with hundreds of pods that would cost calls their time (pod-story.ts does it
// for the one that is asked for).

import { setImmediate as nextTurn } from 'node:timers/promises'
import type { Namespace } from '../../../lib/host/kernel.ts'
import { ownerText } from '../../../lib/host/owner.ts'
import type { Ports } from '../../../lib/host/ports.ts'
import { listHostportElements } from '../../../lib/hostport/hostport-table.ts'
import type { NftElement } from '../../../lib/nftables/element.ts'
import { listMasquerade } from '../../../lib/nftables/podwire-table.ts'
import type { IfIndex, Link } from '../../../lib/rtnl/link.ts'
import { RT_TABLE_MAIN } from '../../../lib/rtnl/route.ts'
import { type Attached, listAttached } from '../attached.ts'
import { drawPools } from './draw-pools.ts'
import type {
  LinkState,
  Picture,
  PictureHostPort,
  PictureLink,
  PictureMasquerade,
  PictureNode,
  PicturePod,
  PictureWire,
} from './picture.ts'

export interface Taken {
  readonly ports: Ports
  readonly node: Omit<PictureNode, 'forwarding'>
}

export async function takePicture({ ports, node }: Taken): Promise<Picture> {
  const { host } = ports.kernel
  const troubles: string[] = []
  /** A store that is locked, or a kernel without nftables, is no reason not to draw the rest. */
  const read = async <T>(work: () => T | Promise<T>, instead: T): Promise<T> => {
    try {
      await nextTurn() // calls come in between
      return await work()
    } catch (error) {
      troubles.push(error instanceof Error ? error.message : String(error))
      return instead
    }
  }
  const attached = await read(() => listAttached(ports), [])
  const links = await read(() => host.rtnl.listLinks(), [])
  const byName = new Map(links.map((link) => [link.name, link]))
  const byIndex = new Map(links.map((link) => [link.index, link]))
  const wires = new Set(attached.flatMap(({ fields }) => fields.hostIfname ?? []))
  const owners = new Map(attached.map((one) => [ownerText(one), podId(one)]))
  const podOf = (comment = '') => owners.get(comment) ?? ''
  return {
    atMs: ports.clock.nowMs(),
    node: { ...node, forwarding: forwardingOf(host) },
    links: await read(
      () =>
        drawLinks(
          host,
          links.filter(({ name }) => !wires.has(name)),
        ),
      [],
    ),
    pods: attached.map((one) => drawPod(one, { byName, byIndex })),
    pools: await read(() => drawPools(ports, attached, podId), []),
    masquerade: await read(() => drawMasquerade(host, podOf), []),
    hostPorts: await read(() => drawHostPorts(host, podOf), []),
    troubles,
  }
}

/** What names a pod's interface in the page's addresses. */
export function podId({ containerId, ifname }: Pick<Attached, 'containerId' | 'ifname'>): string {
  return `${containerId}/${ifname}`
}

function forwardingOf({ sysctl }: Namespace): PictureNode['forwarding'] {
  const isOn = (key: string) => {
    const value = sysctl.find(key)
    return value === undefined ? null : value === '1'
  }
  return { ipv4: isOn('ipv4/ip_forward'), ipv6: isOn('ipv6/conf/all/forwarding') }
}

async function drawLinks({ rtnl }: Namespace, links: readonly Link[]): Promise<PictureLink[]> {
  const addresses = Map.groupBy(await rtnl.listAddresses(), ({ dev }) => dev)
  const routes = await rtnl.listRoutes({ table: RT_TABLE_MAIN })
  const defaults = Map.groupBy(
    routes.filter(({ dst, dev }) => dst.length === 0 && dev !== undefined),
    ({ dev }) => dev as IfIndex,
  )
  return links.map((link) => ({
    name: link.name,
    kind: link.kind ?? '',
    mac: link.mac ?? '',
    mtu: link.mtu,
    state: stateOf(link),
    addresses: (addresses.get(link.index) ?? [])
      .filter(({ prefix, scope }) => !(prefix.family === 6 && scope === LINK_SCOPE))
      .map(({ prefix }) => String(prefix)),
    defaultVia: (defaults.get(link.index) ?? []).map(({ gateway }) => gateway?.toString() ?? ''),
  }))
}

const LINK_SCOPE = 253

function stateOf({ up, lowerUp }: Link): LinkState {
  if (!up) return 'down'
  return lowerUp ? 'up' : 'no carrier'
}

export function describePod(attached: Attached): Omit<PicturePod, 'wire' | 'troubles'> {
  const { podNamespace, podName, containerId, ifname, network, fields, pod, state, createdAtMs } = attached
  return {
    id: podId(attached),
    namespace: podNamespace,
    name: podName,
    container: containerId,
    ifname,
    network,
    addresses: fields.ips.map(({ address }) => address),
    mac: pod.mac ?? '',
    state,
    createdAtMs,
    plugins: attached.attachments.map(({ plugin }) => plugin),
    bridge: fields.bridge ?? '',
  }
}

interface Links {
  readonly byName: ReadonlyMap<string, Link>
  readonly byIndex: ReadonlyMap<IfIndex, Link>
}

function drawPod(attached: Attached, links: Links): PicturePod {
  const { hostIfname } = attached.fields
  const link = hostIfname === undefined ? undefined : links.byName.get(hostIfname)
  const troubles = hostIfname === undefined ? [] : troublesOf(attached, link, links)
  return {
    ...describePod(attached),
    wire: link === undefined ? null : drawWire(link),
    troubles: [...stateTroubles(attached), ...troubles],
  }
}

function drawWire(link: Link): PictureWire {
  const { name, mac = '', mtu, bridgePort } = link
  return { name, mac, mtu, state: stateOf(link), port: bridgePort?.state ?? '' }
}

function stateTroubles({ state }: Attached): string[] {
  if (state === 'gone') return ['its network namespace is gone']
  return state === 'incomplete' ? ['an ADD is at it, or was killed'] : []
}

function troublesOf({ fields, state }: Attached, link: Link | undefined, { byIndex }: Links): string[] {
  const { hostIfname = '', hostMac, bridge } = fields
  if (state !== 'attached') return []
  if (link === undefined) return [`its wire ${hostIfname} is gone`]
  const master = link.master === undefined ? undefined : byIndex.get(link.master)?.name
  return [
    ...(hostMac !== undefined && link.mac !== hostMac
      ? [`${hostIfname} is another’s: its MAC is ${link.mac}`]
      : []),
    ...(link.up ? [] : [`${hostIfname} is down`]),
    ...(link.up && !link.lowerUp ? ['the pod’s end of the wire is down'] : []),
    ...(bridge !== undefined && master !== bridge ? [`${hostIfname} is not in ${bridge}`] : []),
  ]
}

async function drawMasquerade(
  { nft }: Namespace,
  podOf: (comment?: string) => string,
): Promise<PictureMasquerade[]> {
  const elements = await listMasquerade(nft)
  return elements
    .toSorted((a, b) => a.address.compare(b.address))
    .map(({ address, subnet, comment }) => ({
      address: String(address),
      beyond: subnet?.toString() ?? '',
      pod: podOf(comment),
    }))
}

/** Keys and values of its maps are lists of fields (lib/hostport/hostport-rules.ts). */
async function drawHostPorts(
  { nft }: Namespace,
  podOf: (comment?: string) => string,
): Promise<PictureHostPort[]> {
  const elements = await listHostportElements(nft)
  const ports = elements
    .filter(({ element: { value } }) => value?.length === 2)
    .toSorted((a, b) => portOf(a.element) - portOf(b.element))
  return ports.map(({ element: { key, value, comment } }) => {
    const [hostIp = '', protocol = '', port = ''] = key.length === 3 ? key : ['', ...key]
    const [address = '', podPort = ''] = value ?? []
    return { protocol, port: Number(port), hostIp, address, podPort: Number(podPort), pod: podOf(comment) }
  })
}

function portOf({ key }: NftElement): number {
  return Number(key.at(-1))
}
