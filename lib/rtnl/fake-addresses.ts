// Addresses of the fake kernel, and the routes that it makes for them by itself (net/ipv4/devinet.c,
// net/ipv4/fib_frontend.c, net/ipv6/addrconf.c). Link-local addresses are left out: nobody asks for them.

import type { IpAddress } from '../ip/address.ts'
import { Prefix } from '../ip/prefix.ts'
import type { LinkAddress, LinkAddressState } from './address.ts'
import { hasCarrier } from './fake-link.ts'
import { FakeRefusal } from './fake-refusal.ts'
import { type FakeAddress, type FakeLink, type FakeRoute, type FakeStack, removeWhere } from './fake-stack.ts'
import { RT_SCOPE, RT_TABLE_MAIN } from './route.ts'

const LOOPBACK4 = Prefix.parse('127.0.0.1/8')
const LOOPBACK6 = Prefix.parse('::1/128')
const MULTICAST6 = Prefix.parse('ff00::/8')
/** IP6_RT_PRIO_ADDRCONF */
const CONNECTED_METRIC6 = 256

export function addAddress(
  stack: FakeStack,
  { dev, prefix, noDad, noPrefixRoute = false }: LinkAddress,
): void {
  const link = stack.findLink(dev)
  if (link === undefined) throw new FakeRefusal('ENODEV', { text: NO_DEVICE[prefix.family] })
  if (prefix.family === 6) checkNew6(link, prefix)
  const others = stack.addresses.filter((other) => other.link === link)
  if (others.some((other) => isTaken(other.prefix, prefix)))
    throw new FakeRefusal('EEXIST', { text: `ipv${prefix.family}: ${TAKEN[prefix.family]}` })
  const isChecked = noDad !== true || prefix.family === 4
  stack.addresses.push({ link, prefix, noDad: !isChecked, noPrefixRoute, scope: RT_SCOPE.global })
  if (link.up) connect(link)
}

const NO_DEVICE = { 4: 'ipv4: Device not found', 6: 'ipv6: Unable to find the interface' } as const
const TAKEN = { 4: 'Address already assigned', 6: 'address already assigned' } as const
const NOT_FOUND = { 4: 'ipv4: Address not found', 6: 'ipv6: address not found' } as const

function checkNew6(link: FakeLink, { address }: Prefix): void {
  if (link.stack.parameters.find(`ipv6/conf/${link.name}/disable_ipv6`) === '1')
    throw new FakeRefusal('EACCES', { text: 'ipv6: IPv6 is disabled on this device' })
  if (MULTICAST6.contains(address))
    throw new FakeRefusal('EADDRNOTAVAIL', {
      text: 'ipv6: Cannot assign multicast address without "IFA_F_MCAUTOJOIN" flag',
    })
  if (address.value === 0n) throw new FakeRefusal('EADDRNOTAVAIL', { text: 'ipv6: Invalid address' })
}

/** One IPv4 address may be there with several lengths, an IPv6 address once. */
function isTaken(there: Prefix, wanted: Prefix): boolean {
  return wanted.family === 4 ? there.equals(wanted) : there.address.equals(wanted.address)
}

export function deleteAddress(stack: FakeStack, { dev, prefix }: LinkAddress): void {
  const link = stack.findLink(dev)
  if (link === undefined) throw new FakeRefusal('ENODEV', { text: NO_DEVICE[prefix.family] })
  const found = stack.addresses.find((address) => address.link === link && address.prefix.equals(prefix))
  if (found === undefined) throw new FakeRefusal('EADDRNOTAVAIL', { text: NOT_FOUND[prefix.family] })
  const isPrimary = primaryOf(link, prefix) === found
  withdraw(stack, (address) => address === found)
  const promotes = stack.parameters.find(`ipv4/conf/${link.name}/promote_secondaries`) === '1'
  if (prefix.family === 4 && isPrimary && !promotes)
    withdraw(stack, (other) => other.link === link && isSameSubnet(other.prefix, prefix))
  if (link.up) connect(link)
}

/** With the routes that the kernel made for them, and those that name them as their source. */
function withdraw(stack: FakeStack, gone: (address: FakeAddress) => boolean): void {
  const leaving = stack.addresses.filter(gone)
  removeWhere(stack.addresses, gone)
  for (const { link, prefix } of leaving) {
    const { family, address } = prefix
    const isStillHere = stack.addresses.some((other) => other.prefix.address.equals(address))
    removeWhere(stack.routes, (route) => {
      if (route.dst.family !== family) return false
      if (route.source !== undefined) return route.source.equals(address) && (route.connected || !isStillHere)
      return route.connected && route.link === link && route.dst.equals(prefix.masked())
    })
  }
}

function isSameSubnet(a: Prefix, b: Prefix): boolean {
  return a.masked().equals(b.masked())
}

/** The first address in a subnet; the others are secondary to it. */
function primaryOf(link: FakeLink, prefix: Prefix): FakeAddress | undefined {
  return link.stack.addresses.find((other) => other.link === link && isSameSubnet(other.prefix, prefix))
}

/** Makes the connected routes that are missing. */
function connect(link: FakeLink): void {
  for (const { prefix } of link.stack.addresses.filter((one) => one.link === link && !one.noPrefixRoute)) {
    const route = connectedRoute(link, prefix)
    const isThere = link.stack.routes.some(
      (other) => other.link === link && other.connected && other.dst.equals(prefix.masked()),
    )
    if (route && !isThere) link.stack.routes.push(route)
  }
}

/** Those of loopback, and of single IPv4 addresses, are in the local table only. */
function connectedRoute(link: FakeLink, prefix: Prefix): FakeRoute | undefined {
  if (link.kind === undefined) return undefined
  const dst = prefix.masked()
  const common = { link, dst, table: link.master?.vrfTable ?? RT_TABLE_MAIN, connected: true }
  if (prefix.family === 6) return { ...common, scope: RT_SCOPE.global, priority: CONNECTED_METRIC6 }
  const source = primaryOf(link, prefix)?.prefix.address ?? prefix.address
  return prefix.length === 32 ? undefined : { ...common, scope: RT_SCOPE.link, source }
}

export function riseUp(link: FakeLink): void {
  if (link.kind === undefined) addLoopbacks(link)
  connect(link)
}

function addLoopbacks(link: FakeLink): void {
  const { addresses, parameters } = link.stack
  const isThere = (prefix: Prefix) => addresses.some((a) => a.link === link && a.prefix.equals(prefix))
  const own =
    parameters.find(`ipv6/conf/${link.name}/disable_ipv6`) === '1' ? [LOOPBACK4] : [LOOPBACK4, LOOPBACK6]
  for (const prefix of own) {
    if (!isThere(prefix))
      addresses.push({ link, prefix, noDad: false, noPrefixRoute: false, scope: RT_SCOPE.host })
  }
}

/** Routes go. IPv4 addresses stay, IPv6 addresses only with keep_addr_on_down. */
export function leaveDown(link: FakeLink): void {
  const { stack, name } = link
  removeWhere(stack.routes, (route) => route.link === link)
  if (stack.parameters.find(`ipv6/conf/${name}/keep_addr_on_down`) === '1') return
  removeWhere(stack.addresses, (address) => address.link === link && address.prefix.family === 6)
}

/** disable_ipv6 was written. */
export function dropAddresses6(link: FakeLink): void {
  withdraw(link.stack, (address) => address.link === link && address.prefix.family === 6)
  removeWhere(link.stack.routes, (route) => route.link === link && route.dst.family === 6)
}

export function describeAddress({
  link,
  prefix,
  noDad,
  noPrefixRoute,
  scope,
}: FakeAddress): LinkAddressState {
  const waitsForCarrier = prefix.family === 6 && !noDad && link.kind !== undefined && !hasCarrier(link)
  return {
    dev: link.index,
    prefix,
    noDad,
    ...(noPrefixRoute ? { noPrefixRoute } : {}),
    scope,
    permanent: true,
    tentative: waitsForCarrier,
    dadFailed: false,
  }
}

export function isLocalAddress(stack: FakeStack, address: IpAddress): boolean {
  return stack.addresses.some(({ prefix }) => prefix.address.equals(address))
}
