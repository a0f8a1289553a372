// A link of the fake kernel, and how it looks from outside: what the kernel reports about carriers and states
// follows from a few facts (net/core/link_watch.c default_operstate, drivers/net/veth.c, net/bridge/br_stp_if.c).

import { DEFAULT_PVID } from './fake-bridge-vlans.ts'
import type { FakeLink } from './fake-stack.ts'
import type { Link } from './link.ts'

export function portsOf(bridge: FakeLink): FakeLink[] {
  return bridge.stack.links.filter((link) => link.master === bridge)
}

export function hasCarrier(link: FakeLink): boolean {
  if (link.kind === 'veth') return link.up && link.peer?.up === true
  if (link.parent) return link.parent.up && hasCarrier(link.parent)
  if (link.kind === 'bridge') return isUntouched(link) || portsOf(link).some(isForwarding)
  return true
}

/** A bridge looks at its ports when it gets its first one, or a MAC; until then it has a carrier. */
function isUntouched(bridge: FakeLink): boolean {
  return !bridge.hadPorts && !bridge.ownMac
}

function isForwarding(port: FakeLink): boolean {
  return hasCarrier(port) && port.master?.up === true
}

function operstate(link: FakeLink): Link['operstate'] {
  if (!link.up) return 'DOWN'
  if (hasCarrier(link))
    return link.kind === 'veth' || link.parent || (link.kind === 'bridge' && !isUntouched(link))
      ? 'UP'
      : 'UNKNOWN'
  if (link.parent) return 'LOWERLAYERDOWN'
  // The kernel looks the other end's index up among its own links, even when that end is in another namespace.
  const lower = link.peer && link.stack.findLink(link.peer.index)
  return lower && lower !== link && !hasCarrier(lower) ? 'LOWERLAYERDOWN' : 'DOWN'
}

export function describeLink(link: FakeLink): Link {
  const { stack, peer, master } = link
  return {
    index: link.index,
    name: link.name,
    mac: link.mac,
    mtu: link.mtu,
    up: link.up,
    lowerUp: link.up && hasCarrier(link),
    operstate: operstate(link),
    promisc: link.promisc,
    ...(link.allmulti ? { allmulti: true } : {}),
    txQueueLength: link.txQueueLength,
    ...describeKind(link),
    ...(link.kind === undefined ? {} : { kind: link.kind }),
    ...(master === undefined
      ? {}
      : { master: master.index, ...(master.kind === 'bridge' ? { bridgePort: describePort(link) } : {}) }),
    ...(peer === undefined ? {} : { peerIndex: peer.index }),
    ...(peer === undefined || peer.stack === stack ? {} : { peerNetnsid: stack.netnsidOf(peer.stack) }),
    ...(link.alias === '' ? {} : { alias: link.alias }),
    ...(link.kind === 'bridge' ? { vlanFiltering: link.vlanFiltering } : {}),
    ...(link.kind === 'bridge' && stack.network.features.bridgeVlanFiltering
      ? { vlanDefaultPvid: DEFAULT_PVID }
      : {}),
  }
}

function describePort(link: FakeLink): NonNullable<Link['bridgePort']> {
  const { hairpin, isolated } = link
  return { state: isForwarding(link) ? 'forwarding' : 'disabled', hairpin, isolated }
}

function describeKind({ stack, parent, macvlanMode, ipvlanMode, vlanId, vrfTable }: FakeLink): Partial<Link> {
  return {
    ...(parent === undefined ? {} : { parentIndex: parent.index }),
    ...(parent === undefined || parent.stack === stack
      ? {}
      : { parentNetnsid: stack.netnsidOf(parent.stack) }),
    ...(macvlanMode === undefined ? {} : { macvlanMode }),
    ...(ipvlanMode === undefined ? {} : { ipvlanMode }),
    ...(vlanId === undefined ? {} : { vlanId }),
    ...(vrfTable === undefined ? {} : { vrfTable }),
  }
}
