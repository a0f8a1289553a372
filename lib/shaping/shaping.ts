// How fast a pod may receive and send. What it receives, the node's end of its wire sends: a token bucket there holds
// it back. What it sends, that end receives, where nothing can wait; so it is sent through an intermediate link
// (drivers/net/ifb.c) that has a bucket, and goes on from there as if nothing had been.

import type { MacAddress } from '../ip/mac.ts'
import { isNotFound, unlessGone } from '../netlink/error.ts'
import type { FilterState } from '../rtnl/filter.ts'
import type { IfIndex, Link } from '../rtnl/link.ts'
import { type QdiscState, type Tbf, tbfState } from '../rtnl/qdisc.ts'
import type { Rtnl } from '../rtnl/rtnl.ts'

/** Plain JSON: what is made for one wire. */
export interface Shaping {
  /** The node's end. */
  readonly host: { readonly name: string; readonly index: IfIndex }
  /** Of what the pod receives; null for no limit. */
  readonly ingress: Tbf | null
  /** Of what the pod sends. */
  readonly egress: (Detour & { readonly bucket: Tbf }) | null
}

/** An intermediate link. */
export interface Detour {
  readonly name: string
  readonly mac: MacAddress
  readonly mtu: number
  /** For people, and to know it again. */
  readonly alias: string
}

/** In this order: until there is a redirect nothing goes a new way, and then everything on it is ready. */
export async function makeShaping(rtnl: Rtnl, { host, ingress, egress }: Shaping): Promise<void> {
  if (ingress !== null) await rtnl.apply({ change: 'add qdisc', dev: host.index, qdisc: ingress })
  if (egress === null) return
  const { name, mac, mtu, alias, bucket } = egress
  await rtnl.apply({ change: 'create link', link: { kind: 'ifb', name, mac, mtu } })
  await rtnl.apply({ change: 'set link', link: name, set: { alias } })
  const { index } = await rtnl.getLink(name)
  await rtnl.apply(
    { change: 'add qdisc', dev: index, qdisc: bucket },
    { change: 'set link', link: index, set: { up: true } },
    { change: 'add qdisc', dev: host.index, qdisc: { kind: 'ingress' } },
    { change: 'add redirect', redirect: { dev: host.index, to: index } },
  )
}

/** What is missing is fine; qdiscs and links that others have put in their place stay. */
export async function removeShaping(rtnl: Rtnl, { host, ingress, egress }: Shaping): Promise<void> {
  const detour = egress === null ? undefined : await findDetour(rtnl, egress)
  try {
    const link = await findHost(rtnl, host)
    if (link !== undefined) await releaseHost(rtnl, link, { ingress, egress, detour })
  } finally {
    if (detour !== undefined) await removeDetour(rtnl, detour)
  }
}

async function removeDetour(rtnl: Rtnl, { index }: Link): Promise<void> {
  await rtnl.apply({ change: 'delete link', link: index }).catch(unlessGone)
}

/** The redirect first: what is sent to a link that is gone is dropped. */
async function releaseHost(
  rtnl: Rtnl,
  { index: dev }: Link,
  { ingress, egress, detour }: Pick<Shaping, 'ingress' | 'egress'> & { detour: Link | undefined },
): Promise<void> {
  try {
    const qdiscs = await rtnl.listQdiscs(dev)
    const filters = await rtnl.listFilters(dev)
    const isOurs = filters.every(({ to }) => to !== undefined && (to === 0 || to === detour?.index))
    if (egress !== null && isOurs && qdiscs.some(isIngress))
      await rtnl.apply({ change: 'delete qdisc', dev, parent: 'ingress' })
    if (ingress !== null && qdiscs.some(isBucket))
      await rtnl.apply({ change: 'delete qdisc', dev, parent: 'root' })
  } catch (error) {
    if (!isNotFound(error)) throw error // it may go with its pod meanwhile
  }
}

const isIngress = ({ kind }: QdiscState) => kind === 'ingress'
const isBucket = ({ kind, parent }: QdiscState) => kind === 'tbf' && parent === 'root'

/** Indices are used again, names too: it must be both. */
async function findHost(rtnl: Rtnl, { name, index }: Shaping['host']): Promise<Link | undefined> {
  const link = await rtnl.findLink(index)
  return link?.name === name ? link : undefined
}

async function findDetour(rtnl: Rtnl, { name, mac, alias }: Detour): Promise<Link | undefined> {
  const link = await rtnl.findLink(name)
  return link?.kind === 'ifb' && (link.mac === mac || link.alias === alias) ? link : undefined
}

/** What is not as it was made, in words. */
export async function compareShaping(rtnl: Rtnl, { host, ingress, egress }: Shaping): Promise<string[]> {
  const link = await findHost(rtnl, host)
  if (link === undefined) return [`host interface ${host.name} is gone`]
  const where = `host interface ${host.name}`
  return [
    ...(ingress === null ? [] : compareBucket(where, ingress, await rtnl.listQdiscs(link.index))),
    ...(egress === null ? [] : await compareDetour(rtnl, where, { link, egress })),
  ]
}

async function compareDetour(
  rtnl: Rtnl,
  where: string,
  { link, egress }: { link: Link; egress: NonNullable<Shaping['egress']> },
): Promise<string[]> {
  const detour = await findDetour(rtnl, egress)
  if (detour === undefined) return [`intermediate interface ${egress.name} is gone`]
  const name = `intermediate interface ${egress.name}`
  const to = isSentTo(await rtnl.listFilters(link.index), detour.index)
  return [
    ...(to ? [] : [`${where} does not send what it receives to ${egress.name}`]),
    ...(detour.up ? [] : [`${name} is down`]),
    ...(detour.mtu === egress.mtu ? [] : [`${name} has mtu ${detour.mtu}, expected ${egress.mtu}`]),
    ...compareBucket(name, egress.bucket, await rtnl.listQdiscs(detour.index)),
  ]
}

function isSentTo(filters: readonly FilterState[], index: IfIndex): boolean {
  return filters[0]?.to === index
}

function compareBucket(where: string, expected: Tbf, qdiscs: readonly QdiscState[]): string[] {
  const actual = qdiscs.find(isBucket)?.tbf
  if (actual === undefined) return [`${where} has no limit of its rate`]
  const wanted = tbfState(expected)
  const rows = [
    ['rate', wanted.rateBytesPerSecond, actual.rateBytesPerSecond, 'bytes per second'],
    ['queue', wanted.limitBytes, actual.limitBytes, 'bytes'],
    ['burst', wanted.bufferTicks, actual.bufferTicks, 'ticks of 64 ns'],
  ] as const
  return rows
    .filter(([, expected, actual]) => expected !== actual)
    .map(
      ([what, expected, actual, unit]) => `${where} has a ${what} of ${actual} ${unit}, expected ${expected}`,
    )
}
