// Links of the fake kernel: made, changed and deleted by the rules of net/core/rtnetlink.c, veth and bridge.

import { type MacAddress, macToBytes } from '../ip/mac.ts'
import { leaveDown, riseUp } from './fake-addresses.ts'
import { joinDefaultVlan } from './fake-bridge-vlans.ts'
import { portsOf } from './fake-link.ts'
import { FakeRefusal } from './fake-refusal.ts'
import { type FakeLink, type FakeStack, removeWhere } from './fake-stack.ts'
import { forgetTarget, isMissing } from './fake-traffic.ts'
import type { IfIndex, IfName, LinkRef, LinkSettings, NewBridge, NewIfb, NewLink, NewVeth } from './link.ts'

const MIN_MTU = 68
const MAX_MTU = 65535
const POLICY = 'Attribute failed policy validation'
const NO_MAC = '00:00:00:00:00:00' as MacAddress

export function createLink(stack: FakeStack, link: NewLink): void {
  checkNameLength(link.name)
  if (stack.findLink(link.name)) throw new FakeRefusal('EEXIST')
  const created = CREATE[link.kind](stack, link as never)
  try {
    if (link.master !== undefined) setMaster(created, link.master)
  } catch (error) {
    removeLink(created)
    throw error
  }
  if (link.up) setUp(created, true)
}

const CREATE = { bridge: createBridge, veth: createVeth, ifb: createIfb } as const

function createBridge(stack: FakeStack, { name, mac, mtu, vlanFiltering }: NewBridge): FakeLink {
  checkNew({ name, mac, mtu })
  if (vlanFiltering !== undefined && !stack.network.features.bridgeVlanFiltering)
    throw new FakeRefusal('EOPNOTSUPP')
  const bridge = stack.addLink(name, {
    kind: 'bridge',
    vlanFiltering: vlanFiltering === true,
    ...given({ mac, mtu }),
  })
  joinDefaultVlan(bridge)
  return bridge
}

function createVeth(stack: FakeStack, { name, mac, mtu, peer }: NewVeth): FakeLink {
  const peerStack = peer.netnsFd === undefined ? stack : stack.network.stackBehind(peer.netnsFd)
  if (peerStack === undefined) throw new FakeRefusal('EBADF')
  checkNameLength(peer.name)
  checkNew({ name, mac, mtu })
  checkNew(peer)
  if (peerStack.findLink(peer.name) || (peerStack === stack && peer.name === name))
    throw new FakeRefusal('EEXIST')
  const far = peerStack.addLink(peer.name, { kind: 'veth', ...given({ mac: peer.mac, mtu: peer.mtu }) })
  const near = stack.addLink(name, { kind: 'veth', ...given({ mac, mtu }) })
  far.peer = near
  near.peer = far
  return near
}

function createIfb(stack: FakeStack, { name, mac, mtu }: NewIfb): FakeLink {
  if (isMissing(stack, 'link ifb')) throw new FakeRefusal('EOPNOTSUPP', { text: 'Unknown device type' })
  checkNew({ name, mac, mtu })
  return stack.addLink(name, { kind: 'ifb', ...given({ mac, mtu }) })
}

interface Basics {
  readonly name: IfName
  readonly mac?: MacAddress | undefined
  readonly mtu?: number | undefined
}

function given({ mac, mtu }: Omit<Basics, 'name'>): { mac?: MacAddress; mtu?: number } {
  return { ...(mac === undefined ? {} : { mac }), ...(mtu === undefined ? {} : { mtu }) }
}

function checkNew({ name, mac, mtu }: Basics): void {
  checkName(name)
  if (mac !== undefined) checkMac(mac)
  if (mtu !== undefined && (mtu < MIN_MTU || mtu > MAX_MTU)) throw new FakeRefusal('EINVAL')
}

function checkNameLength(name: IfName): void {
  if (Buffer.byteLength(name) > 15)
    throw new FakeRefusal('ERANGE', { text: POLICY, attribute: 'IFLA_IFNAME' })
}

/** dev_valid_name */
function checkName(name: IfName): void {
  if (name === '' || name === '.' || name === '..' || /[/:\s]/.test(name)) throw new FakeRefusal('EINVAL')
}

function checkMac(mac: MacAddress): void {
  const isMulticast = ((macToBytes(mac)[0] ?? 0) & 1) === 1
  if (isMulticast || mac === NO_MAC) throw new FakeRefusal('EADDRNOTAVAIL')
}

/** In the kernel's order (do_setlink), and like it without taking back what was done before a refusal. */
export function setLink(stack: FakeStack, ref: LinkRef, set: LinkSettings): void {
  if (Buffer.byteLength(set.alias ?? '') > 255)
    throw new FakeRefusal('ERANGE', { text: POLICY, attribute: 'IFLA_IFALIAS' })
  const link = requireLink(stack, ref)
  setPort(link, set)
  if (set.mac !== undefined) setMac(link, set.mac)
  if (set.mtu !== undefined) setMtu(link, set.mtu)
  if (set.name !== undefined) rename(link, set.name)
  if (set.alias !== undefined) link.alias = set.alias
  if (set.master !== undefined) setMaster(link, set.master)
  if (set.promisc !== undefined) link.promisc = set.promisc
  if (set.up !== undefined && set.up !== link.up) setUp(link, set.up)
}

export function requireLink(stack: FakeStack, ref: LinkRef): FakeLink {
  const link = stack.findLink(ref)
  if (link === undefined) throw new FakeRefusal('ENODEV')
  return link
}

function setPort(link: FakeLink, { hairpin, isolated }: LinkSettings): void {
  if (hairpin === undefined && isolated === undefined) return
  if (link.master === undefined) throw new FakeRefusal('EOPNOTSUPP')
  if (hairpin !== undefined) link.hairpin = hairpin
  if (isolated !== undefined) link.isolated = isolated
}

function setMac(link: FakeLink, mac: MacAddress): void {
  checkMac(mac)
  link.mac = mac
  link.ownMac = true
  if (link.master) followPorts(link.master)
}

function setMtu(link: FakeLink, mtu: number): void {
  if (mtu < MIN_MTU && link.kind) throw new FakeRefusal('EINVAL', { text: 'mtu less than device minimum' })
  if (mtu > MAX_MTU && link.kind) throw new FakeRefusal('EINVAL', { text: 'mtu greater than device maximum' })
  link.mtu = mtu
  link.ownMtu = true
  if (link.master) followPorts(link.master)
}

function rename(link: FakeLink, name: IfName): void {
  checkNameLength(name)
  checkName(name)
  if (name === link.name) return
  if (link.stack.findLink(name)) throw new FakeRefusal('EEXIST')
  link.stack.parameters.renameLink(link.name, name)
  link.name = name
}

function setMaster(link: FakeLink, index: IfIndex | 0): void {
  if (index === link.master?.index) return
  const master = index === 0 ? undefined : link.stack.findLink(index)
  if (index !== 0 && master === undefined) throw new FakeRefusal('EINVAL')
  if (master && master.kind !== 'bridge') throw new FakeRefusal('EOPNOTSUPP')
  if (master && link.kind === undefined) throw new FakeRefusal('EINVAL')
  if (master && link.kind === 'bridge')
    throw new FakeRefusal('ELOOP', { text: 'Can not enslave a bridge to a bridge' })
  leaveMaster(link)
  if (master === undefined) return
  link.master = master
  master.hadPorts = true
  joinDefaultVlan(link)
  followPorts(master)
}

function leaveMaster(link: FakeLink): void {
  const { master } = link
  Object.assign(link, { master: undefined, hairpin: false, isolated: false })
  if (link.kind !== 'bridge') link.vlans.clear()
  if (master) followPorts(master)
}

/** br_stp_recalculate_bridge_id, br_mtu_auto_adjust */
function followPorts(bridge: FakeLink): void {
  const ports = portsOf(bridge)
  if (!bridge.ownMac) bridge.mac = ports.map(({ mac }) => mac).sort()[0] ?? NO_MAC
  if (!bridge.ownMtu) bridge.mtu = ports.length === 0 ? 1500 : Math.min(...ports.map(({ mtu }) => mtu))
}

function setUp(link: FakeLink, up: boolean): void {
  link.up = up
  if (up) riseUp(link)
  else leaveDown(link)
}

export function deleteLink(stack: FakeStack, ref: LinkRef): void {
  const link = requireLink(stack, ref)
  if (link.kind === undefined) throw new FakeRefusal('EOPNOTSUPP')
  removeLink(link)
}

/** With its other end, and with all that hangs on either. */
export function removeLink(link: FakeLink): void {
  for (const end of link.peer ? [link, link.peer] : [link]) {
    const { stack } = end
    leaveMaster(end)
    for (const port of portsOf(end)) leaveMaster(port)
    removeWhere(stack.routes, (route) => route.link === end)
    removeWhere(stack.addresses, (address) => address.link === end)
    removeWhere(stack.links, (one) => one === end)
    forgetTarget(end)
    stack.parameters.removeLink(end.name)
  }
}

/** The end of a namespace: its links go, and the other ends of its pairs with them. */
export function removeAllLinks(stack: FakeStack): void {
  for (let link = stack.links[1]; link !== undefined; link = stack.links[1]) removeLink(link)
}
