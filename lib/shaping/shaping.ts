// How fast a pod may receive and send. What it receives, the node's end of its wire sends: a token bucket there holds
// it back. What it sends, that end receives, where nothing can wait; so it is sent through an intermediate link
// (drivers/net/ifb.c) that has a bucket, and goes on from there as if nothing had been.

import type { MacAddress } from '../ip/mac.ts'
import { isNotFound, unlessGone } from '../netlink/error.ts'
import type { FilterState } from '../rtnl/filter.ts'
import type { IfIndex, Link } from '../rtnl/link.ts'
import { type QdiscState, type Tbf, type TbfState, tbfState } from '../rtnl/qdisc.ts'
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

/**
 * In this order: until there is a redirect nothing goes a new way, and then everything on it is ready. Each step waits
 * for the one before: where another program has the place, nothing may be put into what is its own.
 */
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
  )
  await redirectAll(rtnl, host.index, index)
}

async function redirectAll(rtnl: Rtnl, dev: IfIndex, to: IfIndex): Promise<void> {
  await rtnl.apply({ change: 'add qdisc', dev, qdisc: { kind: 'ingress' } })
  try {
    await rtnl.apply({ change: 'add redirect', redirect: { dev, to } })
  } catch (error) {
    // Without a filter nothing tells whose it is: only here it is known.
    await rtnl.apply({ change: 'delete qdisc', dev, parent: 'ingress' }).catch(unlessGone)
    throw error
  }
}

/** What is missing is fine; qdiscs, filters and links that others have put in their place stay. */
export async function removeShaping(rtnl: Rtnl, shaping: Shaping): Promise<void> {
  const { ingress } = shaping
  await remove(rtnl, shaping, (qdisc) => ingress !== null && isLike(ingress, qdisc.tbf))
}

/** Of a pod that runs: what has changed is made again. A bucket that somebody has changed is replaced. */
export async function remakeShaping(rtnl: Rtnl, shaping: Shaping): Promise<void> {
  await remove(rtnl, shaping, () => true)
  await makeShaping(rtnl, shaping)
}

type IsOurBucket = (qdisc: QdiscState) => boolean

async function remove(rtnl: Rtnl, { host, ingress, egress }: Shaping, isOurs: IsOurBucket): Promise<void> {
  const detour = egress === null ? undefined : await findDetour(rtnl, egress)
  try {
    const link = await findHost(rtnl, host)
    if (link === undefined) return
    if (egress !== null) await removeRedirect(rtnl, link, detour)
    if (ingress !== null) await removeBucket(rtnl, link, isOurs)
  } catch (error) {
    if (!isNotFound(error)) throw error // it may go with its pod meanwhile
  } finally {
    if (detour !== undefined)
      await rtnl.apply({ change: 'delete link', link: detour.index }).catch(unlessGone)
  }
}

/** Before the link that it leads to: what is sent to one that is gone is dropped. */
async function removeRedirect(rtnl: Rtnl, { index: dev }: Link, detour: Link | undefined): Promise<void> {
  const filters = await rtnl.listFilters(dev)
  const isOurs = ({ to }: FilterState) => to !== undefined && (to === 0 || to === detour?.index)
  if (filters.length > 0 && filters.every(isOurs))
    await rtnl.apply({ change: 'delete qdisc', dev, parent: 'ingress' })
}

async function removeBucket(rtnl: Rtnl, { index: dev }: Link, isOurs: IsOurBucket): Promise<void> {
  const bucket = (await rtnl.listQdiscs(dev)).find(isBucket)
  if (bucket !== undefined && isOurs(bucket))
    await rtnl.apply({ change: 'delete qdisc', dev, parent: 'root' })
}

const isBucket = ({ kind, parent }: QdiscState) => kind === 'tbf' && parent === 'root'

function isLike(made: Tbf, found: TbfState | undefined): boolean {
  const { rateBytesPerSecond, limitBytes, bufferTicks } = tbfState(made)
  return (
    found?.rateBytesPerSecond === rateBytesPerSecond &&
    found.limitBytes === limitBytes &&
    found.bufferTicks === bufferTicks
  )
}

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
