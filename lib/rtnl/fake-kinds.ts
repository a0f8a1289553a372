// The fake kernel's links that lie on others, and other small kinds (drivers/net/macvlan.c, ipvlan, vrf.c, dummy.c,
// net/8021q). A kernel without a kind is `missing` it.

import { checkNew, given } from './fake-link-checks.ts'
import { FakeRefusal } from './fake-refusal.ts'
import type { FakeLink, FakeStack } from './fake-stack.ts'
import { isMissing } from './fake-traffic.ts'
import type { NewDummy } from './kinds/dummy.ts'
import type { NewIpvlan } from './kinds/ipvlan.ts'
import type { NewMacvlan } from './kinds/macvlan.ts'
import type { StackedLink } from './kinds/stacked.ts'
import type { NewVlan } from './kinds/vlan.ts'
import type { NewVrf } from './kinds/vrf.ts'
import type { NewLink } from './link.ts'

export function createMacvlan(stack: FakeStack, link: NewMacvlan): FakeLink {
  const { target, parent, mtu } = placeOf(stack, link)
  const others = stack.network
    .listLinks()
    .filter((other) => other.kind === 'macvlan' && other.parent === parent)
  const isExclusive = link.mode === 'passthru' || others.some(({ macvlanMode }) => macvlanMode === 'passthru')
  if (isExclusive && others.length > 0) throw new FakeRefusal('EINVAL')
  if (parent.master?.kind === 'bridge') throw new FakeRefusal('EBUSY')
  const mac = link.mode === 'passthru' ? { mac: link.mac ?? parent.mac } : given(link)
  return target.addLink(link.name, { kind: 'macvlan', parent, macvlanMode: link.mode, ...mac, mtu })
}

export function createIpvlan(stack: FakeStack, link: NewIpvlan): FakeLink {
  const { target, parent, mtu } = placeOf(stack, link)
  return target.addLink(link.name, { kind: 'ipvlan', parent, ipvlanMode: link.mode, mac: parent.mac, mtu })
}

export function createVlan(stack: FakeStack, link: NewVlan): FakeLink {
  const { target, parent, mtu } = placeOf(stack, link)
  const isThere = stack.network
    .listLinks()
    .some((other) => other.kind === 'vlan' && other.parent === parent && other.vlanId === link.vlanId)
  if (isThere) throw new FakeRefusal('EEXIST', { text: 'VLAN device already exists' })
  return target.addLink(link.name, {
    kind: 'vlan',
    parent,
    vlanId: link.vlanId,
    mac: link.mac ?? parent.mac,
    mtu,
  })
}

export function createVrf(stack: FakeStack, link: NewVrf): FakeLink {
  requireKind(stack, link)
  checkNew(link)
  return stack.addLink(link.name, { kind: 'vrf', vrfTable: link.table })
}

export function createDummy(stack: FakeStack, link: NewDummy): FakeLink {
  requireKind(stack, link)
  checkNew(link)
  return stack.addLink(link.name, { kind: 'dummy', ...given(link) })
}

/** Of those here, the loopback, and bridges and VRFs, whose ports would stay behind. */
export function isImmovable({ kind }: FakeLink): boolean {
  return kind === undefined || kind === 'bridge' || kind === 'vrf'
}

function requireKind(stack: FakeStack, { kind }: Pick<NewLink, 'kind'>): void {
  if (isMissing(stack, `link ${kind}`)) throw new FakeRefusal('EOPNOTSUPP', { text: 'Unknown device type' })
}

/** Where it is born, on which link, and how much it carries: no more than that one. */
function placeOf(stack: FakeStack, link: StackedLink & Pick<NewLink, 'kind'>) {
  requireKind(stack, link)
  const target = link.netnsFd === undefined ? stack : stack.network.stackBehind(link.netnsFd)
  if (target === undefined) throw new FakeRefusal('EBADF')
  checkNew(link)
  if (target.findLink(link.name)) throw new FakeRefusal('EEXIST')
  const parent = stack.findLink(link.parent)
  if (parent === undefined) throw new FakeRefusal('ENODEV')
  if (link.mtu !== undefined && link.mtu > parent.mtu) throw new FakeRefusal('EINVAL')
  return { target, parent, mtu: link.mtu ?? parent.mtu }
}
