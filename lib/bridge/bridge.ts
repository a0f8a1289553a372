// The bridge: a switch inside the kernel that the host ends of the pods' veth pairs are plugged into
// (net/bridge; ip-link(8) type bridge). With an address it is also the pods' gateway.

import { IpAddress } from '../ip/address.ts'
import type { MacAddress } from '../ip/mac.ts'
import type { Prefix } from '../ip/prefix.ts'
import { isAlreadyExists, unlessGone } from '../netlink/error.ts'
import type { Link } from '../rtnl/link.ts'
import type { Rtnl } from '../rtnl/rtnl.ts'
import type { Sysctl } from '../sysctl/sysctl.ts'
import { BridgeError } from './bridge-error.ts'
import { explainNoVlanFiltering, findVlanObstacle } from './vlan-filtering.ts'

export interface BridgeSpec {
  readonly name: string
  /**
   * Used when the bridge is created. A bridge without a MAC of its own takes the lowest one of its ports, and
   * changes it as pods come and go: their ARP entries for the gateway then point nowhere.
   */
  readonly mac: MacAddress
  /** Used when the bridge is created; the kernel's default when absent. */
  readonly mtu?: number
  readonly promisc: boolean
  /** Keeps VLANs apart. A bridge that is there must do so already: to switch it on would cut off its other ports. */
  readonly vlanFiltering: boolean
  /** Whether the MAC of a bridge that is there was set by somebody, and so stays when ports come and go. */
  readonly hasOwnMac: (bridge: Link) => boolean
}

export interface Node {
  readonly rtnl: Rtnl
  readonly sysctl: Sysctl
}

/** What of a bridge was changed, so that its owner can tell whether somebody else relies on just that. */
export type BridgeChange =
  /** That it is there and up, and takes no router advertisements. */
  | { readonly kind: 'presence' }
  | { readonly kind: 'promisc' }
  /** An address that was put on it. */
  | { readonly kind: 'gateway'; readonly gateway: Prefix }
  /** An address that made room for the gateway's. */
  | { readonly kind: 'rival'; readonly rival: Prefix; readonly gateway: Prefix }

/** Told of each thing that is done to the node, with what takes it back. */
export type OnChange = (what: string, undo: () => void | Promise<void>, change: BridgeChange) => void

const PRESENCE: BridgeChange = { kind: 'presence' }

/**
 * The bridge, up; made when it is not there.
 *
 * @throws BridgeError ENOTBRIDGE when the name is that of another kind of link, ENOTFILTERING when it has no VLANs,
 *   ENOVLANFILTERING when no bridge of this kernel has
 */
export async function ensureBridge(node: Node, spec: BridgeSpec, onChange: OnChange): Promise<Link> {
  const found = await node.rtnl.findLink(spec.name)
  if (found === undefined && (await createBridge(node, spec, onChange))) {
    // Before it is up: a pod must not be able to hand the node routes (CVE-2020-10749).
    refuseRouterAdvertisements(node, spec.name)
    return raise(node.rtnl, await node.rtnl.getLink(spec.name))
  }
  return adoptBridge(node, found ?? (await node.rtnl.getLink(spec.name)), { spec, onChange })
}

/** @returns false when another process was faster */
async function createBridge({ rtnl }: Node, spec: BridgeSpec, onChange: OnChange): Promise<boolean> {
  const { name, mac, mtu, promisc, vlanFiltering } = spec
  try {
    const link = {
      kind: 'bridge',
      name,
      mac,
      ...(mtu === undefined ? {} : { mtu }),
      ...(vlanFiltering ? { vlanFiltering } : {}),
    } as const
    await rtnl.apply({ change: 'create link', link })
  } catch (error) {
    if (isAlreadyExists(error)) return false
    throw vlanFiltering ? explainNoVlanFiltering(name, error) : error
  }
  onChange(`remove bridge ${name}`, () => removeUnused(rtnl, name, mac), PRESENCE)
  if (promisc) {
    onChange(...promiscOff(rtnl, name))
    await rtnl.apply({ change: 'set link', link: name, set: { promisc } })
  }
  return true
}

/** The bridge stays when others have plugged into it by then; who asks for this is another question. */
function promiscOff(rtnl: Rtnl, name: string): Parameters<OnChange> {
  const set = { change: 'set link', link: name, set: { promisc: false } } as const
  return [`set bridge ${name} promisc off`, () => rtnl.apply(set).catch(unlessGone), { kind: 'promisc' }]
}

async function removeUnused(rtnl: Rtnl, name: string, mac: MacAddress): Promise<void> {
  const link = await rtnl.findLink(name)
  if (link?.mac !== mac) return
  const ports = await rtnl.listLinks({ master: link.index })
  if (ports.length === 0) await rtnl.apply({ change: 'delete link', link: link.index }).catch(unlessGone)
}

export function refuseRouterAdvertisements({ sysctl }: Node, name: string, onChange?: OnChange): void {
  const setting = { key: `ipv6/conf/${name}/accept_ra`, value: '0', optional: true }
  const before = sysctl.find(setting.key)
  if (before === undefined || before === setting.value) return
  onChange?.(
    `set ${setting.key} back to ${before}`,
    () => sysctl.set({ ...setting, value: before }),
    PRESENCE,
  )
  sysctl.set(setting)
}

async function raise(rtnl: Rtnl, link: Link): Promise<Link> {
  if (!link.up) await rtnl.apply({ change: 'set link', link: link.index, set: { up: true } })
  return { ...link, up: true }
}

/** A link that goes down loses its IPv6 addresses; this one had them while it was down. */
async function lower(rtnl: Rtnl, link: Link): Promise<void> {
  const before = await rtnl.listAddresses({ dev: link.index, family: 6 })
  await rtnl.apply({ change: 'set link', link: link.index, set: { up: false } })
  for (const { prefix } of before) {
    if (!isLinkLocal(prefix)) await addAddress(rtnl, link, prefix)
  }
}

/** A bridge that somebody else made gets what ours have. */
async function adoptBridge(
  node: Node,
  link: Link,
  { spec, onChange }: { spec: BridgeSpec; onChange: OnChange },
): Promise<Link> {
  const { rtnl } = node
  if (link.kind !== 'bridge') throw notABridge(link)
  const obstacle = spec.vlanFiltering ? findVlanObstacle(link) : undefined
  if (obstacle) throw obstacle
  const set = {
    ...(link.mac === undefined || spec.hasOwnMac(link) ? {} : { mac: link.mac }),
    ...(spec.promisc && !link.promisc ? { promisc: true } : {}),
    ...(link.up ? {} : { up: true }),
  }
  refuseRouterAdvertisements(node, link.name, onChange)
  if (Object.keys(set).length === 0) return link
  if ('promisc' in set) onChange(...promiscOff(rtnl, link.name))
  if (!link.up) onChange(`set bridge ${link.name} down`, () => lower(rtnl, link).catch(unlessGone), PRESENCE)
  await rtnl.apply({ change: 'set link', link: link.index, set })
  return { ...link, up: true, promisc: link.promisc || spec.promisc }
}

function notABridge(link: Link): BridgeError {
  return new BridgeError(
    'ENOTBRIDGE',
    `${JSON.stringify(link.name)} already exists but is not a bridge: it is a ${link.kind ?? 'hardware'} link`,
    { remedy: `choose another name in "bridge", or remove the link: ip link del ${link.name}` },
  )
}

/**
 * Puts the gateways' addresses on the bridge.
 *
 * An address of another subnet stays: a bridge can be the gateway of several. One in the same subnet that differs
 * is somebody's mistake: an error, unless `force`, which for IPv4 removes every other address, as upstream does.
 *
 * @throws BridgeError EADDRCONFLICT
 */
export async function ensureGateways(
  rtnl: Rtnl,
  bridge: Link,
  { gateways, force, onChange }: { gateways: readonly Prefix[]; force: boolean; onChange: OnChange },
): Promise<void> {
  if (gateways.length === 0) return
  const present = (await rtnl.listAddresses({ dev: bridge.index })).map(({ prefix }) => prefix)
  const missing = gateways.filter((gateway) => !present.some((prefix) => prefix.equals(gateway)))
  for (const gateway of missing) {
    for (const rival of present.filter((prefix) => isRival(prefix, gateway, force))) {
      if (gateways.some((wanted) => wanted.equals(rival))) continue
      if (!force) throw addressConflict(bridge.name, gateway, rival)
      await removeAddress(rtnl, bridge, rival)
      onChange(`put ${rival} back on ${bridge.name}`, () => addAddress(rtnl, bridge, rival), {
        kind: 'rival',
        rival,
        gateway,
      })
    }
    await addAddress(rtnl, bridge, gateway)
    onChange(`remove ${gateway} from ${bridge.name}`, () => removeAddress(rtnl, bridge, gateway), {
      kind: 'gateway',
      gateway,
    })
  }
}

function isRival(present: Prefix, wanted: Prefix, force: boolean): boolean {
  if (present.family !== wanted.family || isLinkLocal(present)) return false
  return present.overlaps(wanted) || (force && wanted.family === 4)
}

const LINK_LOCAL_V6 = IpAddress.parse('fe80::')

function isLinkLocal({ address }: Prefix): boolean {
  return address.family === 6 && address.value >> 118n === LINK_LOCAL_V6.value >> 118n
}

function addressConflict(bridge: string, wanted: Prefix, present: Prefix): BridgeError {
  return new BridgeError(
    'EADDRCONFLICT',
    `${JSON.stringify(bridge)} already has an IP address different from ${wanted}: ${present}`,
    {
      remedy: `set "forceAddress", use another bridge, or remove the address: ip addr del ${present} dev ${bridge}`,
    },
  )
}

/** One that another process has added meanwhile is fine. */
async function addAddress(rtnl: Rtnl, bridge: Link, prefix: Prefix): Promise<void> {
  try {
    // A bridge that has no port yet has no carrier: duplicate detection would wait for one, and the gateway with it.
    await rtnl.apply({ change: 'add address', address: { dev: bridge.index, prefix, noDad: true } })
  } catch (error) {
    if (!isAlreadyExists(error)) throw error
  }
}

async function removeAddress(rtnl: Rtnl, bridge: Link, prefix: Prefix): Promise<void> {
  await rtnl.apply({ change: 'delete address', address: { dev: bridge.index, prefix } }).catch(unlessGone)
}
