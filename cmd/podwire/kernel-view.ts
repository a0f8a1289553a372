// One attachment as it is recorded, beside what the kernel has: rows of a table. That they differ is for the eye; what
// decides is CHECK.

import type { Namespace } from '../../lib/host/kernel.ts'
import { ownerText } from '../../lib/host/owner.ts'
import type { Ports } from '../../lib/host/ports.ts'
import { type Hostport, hostportText } from '../../lib/hostport/hostport.ts'
import { findHostportOwner } from '../../lib/hostport/hostport-table.ts'
import { IpAddress } from '../../lib/ip/address.ts'
import { Prefix } from '../../lib/ip/prefix.ts'
import { listMasquerade } from '../../lib/nftables/podwire-table.ts'
import { formatRoute } from '../../lib/rtnl/format.ts'
import type { Link } from '../../lib/rtnl/link.ts'
import type { Attached } from './attached.ts'
import { hasLeases, leaseDirOf } from './data-dirs.ts'
import { recordFields } from './record-fields.ts'

export interface Row {
  /** `node: bridge cni0` */
  readonly place: string
  readonly what: string
  /** Undefined where nothing is recorded. */
  readonly recorded: string | undefined
  /** Undefined where it is not there. */
  readonly found: string | undefined
}

export function isDifferent({ recorded, found }: Row): boolean {
  return recorded !== undefined && recorded !== found
}

export async function viewAttached(ports: Ports, attached: Attached): Promise<Row[]> {
  const { host } = ports.kernel
  return [
    ...(await bridgeRows(host, attached)),
    ...(await hostEndRows(host, attached)),
    ...(await podRows(ports, attached)),
    ...(await masqueradeRows(host, attached)),
    ...(await hostportRows(host, attached)),
    ...leaseRows(ports, attached),
  ]
}

async function bridgeRows({ rtnl }: Namespace, { fields }: Attached): Promise<Row[]> {
  const { bridge, gateways } = fields
  if (bridge === undefined) return []
  const place = `node: bridge ${bridge}`
  const link = await rtnl.findLink(bridge)
  if (link === undefined) return [{ place, what: 'link', recorded: 'there', found: undefined }]
  const mtu: Row = { place, what: 'mtu', recorded: undefined, found: String(link.mtu) }
  return [...upRow(place, link), mtu, ...(await addressRows({ rtnl }, link, { place, recorded: gateways }))]
}

async function hostEndRows({ rtnl }: Namespace, { fields }: Attached): Promise<Row[]> {
  const { hostIfname, hostMac, mtu, bridge, gateways, hairpin, isolated } = fields
  if (hostIfname === undefined) return []
  const place = `node: ${hostIfname}`
  const link = await rtnl.findLink(hostIfname)
  if (link === undefined) return [{ place, what: 'link', recorded: 'there', found: undefined }]
  const master = link.master === undefined ? undefined : (await rtnl.findLink(link.master))?.name
  const port = link.bridgePort
  return [
    ...upRow(place, link),
    { place, what: 'mac', recorded: hostMac, found: link.mac },
    { place, what: 'mtu', recorded: mtu?.toString(), found: String(link.mtu) },
    ...(bridge === undefined
      ? await addressRows({ rtnl }, link, { place, recorded: gateways })
      : [{ place, what: 'master', recorded: bridge, found: master }]),
    ...(hairpin === undefined ? [] : [flag(place, 'hairpin', hairpin, port?.hairpin)]),
    ...(isolated === undefined ? [] : [flag(place, 'isolated', isolated, port?.isolated)]),
    ...(port === undefined ? [] : [{ place, what: 'port', recorded: undefined, found: port.state }]),
    { place, what: 'alias', recorded: undefined, found: link.alias },
  ]
}

function flag(place: string, what: string, recorded: boolean, found: boolean | undefined): Row {
  return { place, what, recorded: onOff(recorded), found: found === undefined ? undefined : onOff(found) }
}

function onOff(value: boolean): string {
  return value ? 'on' : 'off'
}

function upRow(place: string, { up, operstate }: Link): Row[] {
  return [
    { place, what: 'state', recorded: 'up', found: up ? 'up' : 'down' },
    { place, what: 'operstate', recorded: undefined, found: operstate },
  ]
}

async function podRows(ports: Ports, attached: Attached): Promise<Row[]> {
  const { ifname, netns, fields, state } = attached
  if (state === 'gone') return [{ place: 'pod', what: 'namespace', recorded: netns, found: undefined }]
  const pod = ports.kernel.openNamespace(netns)
  try {
    const place = `pod: ${ifname}`
    const link = await pod.rtnl.findLink(ifname)
    if (link === undefined) return [{ place, what: 'link', recorded: 'there', found: undefined }]
    const recorded = fields.ips.map(({ address }) => address)
    return [
      ...upRow(place, link),
      { place, what: 'mac', recorded: attached.pod.mac, found: link.mac },
      { place, what: 'mtu', recorded: attached.pod.mtu?.toString(), found: String(link.mtu) },
      ...(await addressRows(pod, link, { place, recorded })),
      ...(await routeRows(pod, link, attached)),
    ]
  } finally {
    pod.close()
  }
}

async function addressRows(
  { rtnl }: Pick<Namespace, 'rtnl'>,
  link: Link,
  { place, recorded }: { place: string; recorded: readonly string[] },
): Promise<Row[]> {
  const present = (await rtnl.listAddresses({ dev: link.index })).map(({ prefix }) => String(prefix))
  return pairUp(place, 'address', { recorded, present })
}

function pairUp(
  place: string,
  what: string,
  { recorded, present }: { recorded: readonly string[]; present: readonly string[] },
): Row[] {
  return [
    ...recorded.map((one) => ({
      place,
      what,
      recorded: one,
      found: present.includes(one) ? one : undefined,
    })),
    ...present
      .filter((one) => !recorded.includes(one))
      .map((found) => ({ place, what, recorded: undefined, found })),
  ]
}

/** A route without a next hop of its own goes through its family's gateway, as ADD sets it. */
async function routeRows({ rtnl }: Namespace, link: Link, { fields }: Attached): Promise<Row[]> {
  const place = `pod: ${link.name}`
  const present = (await rtnl.listRoutes({ dev: link.index })).map(({ dst, gateway }) =>
    formatRoute({ dst, ...(gateway === undefined ? {} : { gateway }) }),
  )
  const recorded = fields.routes.map(({ dst, gw }) => {
    const gateway = gw ?? fields.ips.find((ip) => ip.gateway?.includes(':') === dst.includes(':'))?.gateway
    const text = Prefix.parse(dst).length === 0 ? 'default' : String(Prefix.parse(dst).masked())
    return gateway === undefined ? text : `${text} via ${gateway}`
  })
  return pairUp(place, 'route', { recorded, present })
}

async function masqueradeRows({ nft }: Namespace, { fields }: Attached): Promise<Row[]> {
  if (fields.masquerade.length === 0) return []
  const elements = await listMasquerade(nft)
  return fields.masquerade.map(({ address, subnet }) => {
    const element = elements.find((one) => String(one.address) === address)
    const beyond = (text: string | undefined) => `${address} beyond ${text ?? 'an unknown subnet'}`
    return {
      place: 'node: nftables',
      what: 'masquerade',
      recorded: beyond(String(Prefix.parse(subnet).masked())),
      found: element === undefined ? undefined : beyond(element.subnet?.toString()),
    }
  })
}

/** Of the plugin later in the chain that maps ports. One may be another's by now. */
async function hostportRows({ nft }: Namespace, attached: Attached): Promise<Row[]> {
  const owner = ownerText(attached)
  const recorded = attached.attachments.flatMap(({ record }) => recordFields(record).hostports)
  return Promise.all(
    recorded.map(async ({ hostIp, address, ...ports }) => {
      const hostport: Hostport = {
        ...ports,
        ...(hostIp === undefined ? {} : { hostIp: IpAddress.parse(hostIp) }),
        address: IpAddress.parse(address),
      }
      const found = await findHostportOwner(nft, hostport)
      const to = hostport.address.family === 6 ? `[${address}]` : address
      const text = `${hostportText(hostport)} to ${to}:${ports.podPort}`
      return {
        place: 'node: nftables',
        what: 'host port',
        recorded: text,
        found: found === owner ? text : found === undefined ? undefined : `of ${found}`,
      }
    }),
  )
}

/** What the lease store says of it, where it is ours. */
function leaseRows(ports: Ports, { attachments, fields, network, containerId, ifname }: Attached): Row[] {
  return attachments
    .flatMap(({ record }) => leaseDirOf(record))
    .filter(hasLeases)
    .slice(0, 1)
    .flatMap((dataDir) => {
      const held = ports
        .leases(dataDir)
        .read((reader) => reader.listByHolder(network, { containerId, ifname }))
      const present = held.map(({ address }) => String(address))
      const recorded = fields.ips.map(({ address }) => address.split('/')[0] ?? '')
      return pairUp(`leases in ${dataDir}`, 'address', { recorded, present })
    })
}
