// Links of the fake kernel: made, changed and deleted by the rules of net/core/rtnetlink.c, veth and bridge.

import type { MacAddress } from '../ip/mac.ts'
import { leaveDown, riseUp } from './fake-addresses.ts'
import { joinDefaultVlan } from './fake-bridge-vlans.ts'
import { createDummy, createIpvlan, createMacvlan, createVlan, createVrf, isImmovable } from './fake-kinds.ts'
import { portsOf } from './fake-link.ts'
import {
  checkMac,
  checkName,
  checkNameLength,
  checkNew,
  given,
  MAX_MTU,
  MIN_MTU,
  NO_MAC,
  POLICY,
} from './fake-link-checks.ts'
import { FakeRefusal } from './fake-refusal.ts'
import { type FakeLink, type FakeStack, removeWhere } from './fake-stack.ts'
import { forgetTarget, isMissing } from './fake-traffic.ts'
import type { IfIndex, IfName, LinkRef, LinkSettings, NewBridge, NewIfb, NewLink, NewVeth } from './link.ts'

export function createLink(stack: FakeStack, link: NewLink): void {
  checkNameLength(link.name)
  if (stack.findLink(link.name)) throw new FakeRefusal('EEXIST')
  const created = CREATE[link.kind](stack, link as never)
  try {
    if ('master' in link && link.master !== undefined) setMaster(created, link.master)
  } catch (error) {
    removeLink(created)
    throw error
  }
  if (link.up) setUp(created, true)
}

const CREATE = {
  bridge: createBridge,
  veth: createVeth,
  ifb: createIfb,
  macvlan: createMacvlan,
  ipvlan: createIpvlan,
  vlan: createVlan,
  vrf: createVrf,
  dummy: createDummy,
} as const

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

/** In the kernel's order (do_setlink), and like it without taking back what was done before a refusal. */
export function setLink(stack: FakeStack, ref: LinkRef, set: LinkSettings): void {
  if (Buffer.byteLength(set.alias ?? '') > 255)
    throw new FakeRefusal('ERANGE', { text: POLICY, attribute: 'IFLA_IFALIAS' })
  const link = requireLink(stack, ref)
  setPort(link, set)
  if (set.netnsFd !== undefined) moveLink(link, set.netnsFd, set.name)
  if (set.mac !== undefined) setMac(link, set.mac)
  if (set.mtu !== undefined) setMtu(link, set.mtu)
  if (set.name !== undefined) rename(link, set.name)
  if (set.alias !== undefined) link.alias = set.alias
  if (set.master !== undefined) setMaster(link, set.master)
  if (set.promisc !== undefined) link.promisc = set.promisc
  if (set.allmulti !== undefined) link.allmulti = set.allmulti
  if (set.up !== undefined && set.up !== link.up) setUp(link, set.up)
  if (set.txQueueLength !== undefined) link.txQueueLength = set.txQueueLength
  if (set.arpNotify !== undefined)
    stack.parameters.put(`ipv4/conf/${link.name}/arp_notify`, String(Number(set.arpNotify)))
}

/** dev_change_net_namespace; `name` is for where the link's own is taken. */
function moveLink(link: FakeLink, fd: number, name: IfName | undefined): void {
  const { stack } = link
  const target = stack.network.stackBehind(fd)
  if (target === undefined) throw new FakeRefusal('EBADF')
  if (target === stack) return
  if (isImmovable(link)) throw new FakeRefusal('EINVAL', { text: IMMOVABLE })
  if (target.findLink(link.name)) {
    if (name === undefined) throw new FakeRefusal('EEXIST')
    if (target.findLink(name)) throw new FakeRefusal('EEXIST')
  }
  if (link.up) setUp(link, false)
  leaveMaster(link)
  removeWhere(stack.routes, (route) => route.link === link)
  removeWhere(stack.addresses, (address) => address.link === link)
  removeWhere(stack.links, (one) => one === link)
  stack.parameters.removeLink(link.name)
  if (target.findLink(link.name)) link.name = name ?? link.name
  target.adoptLink(link)
}

const IMMOVABLE = 'The interface netns is immutable'

export function requireLink(stack: FakeStack, ref: LinkRef): FakeLink {
  const link = stack.findLink(ref)
  if (link === undefined) throw new FakeRefusal('ENODEV')
  return link
}

function setPort(link: FakeLink, { hairpin, isolated }: LinkSettings): void {
  if (hairpin === undefined && isolated === undefined) return
  if (link.master?.kind !== 'bridge') throw new FakeRefusal('EOPNOTSUPP')
  if (hairpin !== undefined) link.hairpin = hairpin
  if (isolated !== undefined) link.isolated = isolated
}

function setMac(link: FakeLink, mac: MacAddress): void {
  checkMac(mac)
  link.mac = mac
  link.ownMac = true
  if (link.master?.kind === 'bridge') followPorts(link.master)
}

function setMtu(link: FakeLink, mtu: number): void {
  if (mtu < MIN_MTU && link.kind) throw new FakeRefusal('EINVAL', { text: 'mtu less than device minimum' })
  if (mtu > MAX_MTU && link.kind) throw new FakeRefusal('EINVAL', { text: 'mtu greater than device maximum' })
  if (link.parent && mtu > link.parent.mtu) throw new FakeRefusal('EINVAL')
  link.mtu = mtu
  link.ownMtu = true
  if (link.master?.kind === 'bridge') followPorts(link.master)
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
  if (master && master.kind !== 'bridge' && master.kind !== 'vrf') throw new FakeRefusal('EOPNOTSUPP')
  if (master && link.kind === undefined) throw new FakeRefusal('EINVAL')
  if (master?.kind === 'vrf') {
    changeVrf(link, master)
    return
  }
  if (master && link.kind === 'bridge')
    throw new FakeRefusal('ELOOP', { text: 'Can not enslave a bridge to a bridge' })
  leaveMaster(link)
  if (master === undefined) return
  link.master = master
  master.hadPorts = true
  joinDefaultVlan(link)
  followPorts(master)
}

/** The link is set down and up again, so that its routes are made in the other table (vrf_add_slave, cycle_netdev). */
function changeVrf(link: FakeLink, master: FakeLink | undefined): void {
  const { up } = link
  if (up) setUp(link, false)
  link.master = master
  if (up) setUp(link, true)
}

function leaveMaster(link: FakeLink): void {
  const { master } = link
  if (master?.kind === 'vrf') {
    changeVrf(link, undefined)
    return
  }
  Object.assign(link, { master: undefined, hairpin: false, isolated: false })
  if (link.kind !== 'bridge') link.vlans.clear()
  if (master?.kind === 'bridge') followPorts(master)
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

/** With its other end, and with all that lies or hangs on either. */
export function removeLink(link: FakeLink): void {
  for (const end of link.peer ? [link, link.peer] : [link]) {
    const { stack } = end
    for (const upper of stack.network.listLinks().filter(({ parent }) => parent === end)) removeLink(upper)
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
