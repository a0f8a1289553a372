// Pools of addresses as squares: one for each address, as long as there are not too many.

import type { Ports } from '../../../lib/host/ports.ts'
import type { IpAddress } from '../../../lib/ip/address.ts'
import type { Holder, Lease, LeaseReader } from '../../../lib/ipam/lease-store.ts'
import { listPoolUsage, type PoolUsage } from '../../../lib/ipam/pool-usage.ts'
import { type Addresses, isReserved, parsePoolKey } from '../../../lib/ipam/range.ts'
import { formatSpan, sizeOf, spanContains } from '../../../lib/ipam/span.ts'
import type { Attached } from '../attached.ts'
import { dataDirsOf } from '../data-dirs.ts'
import type { PicturePool, Square } from './picture.ts'

const MAX_SQUARES = 1024
/** Of a range that is not drawn whole: a /24's worth. */
const MIN_SQUARES = 256

/** @param nameOf  by which a pod's interface is known on the page */
export function drawPools(
  { leases }: Ports,
  attached: readonly Attached[],
  nameOf: (attached: Attached) => string,
): PicturePool[] {
  const pods = new Map(attached.map((one) => [holderText(one.network, one), nameOf(one)]))
  return dataDirsOf(attached.flatMap(({ attachments }) => attachments)).flatMap((dataDir) =>
    leases(dataDir).read((reader) => drawPoolsOf(reader, pods)),
  )
}

function holderText(network: string, { containerId, ifname }: Holder): string {
  return `${network} ${containerId} ${ifname}`
}

/** @param pods  by `<network> <container> <interface>` */
export function drawPoolsOf(reader: LeaseReader, pods: ReadonlyMap<string, string>): PicturePool[] {
  // The one made last counts: it comes first, and stays when it is put in last.
  const keys = new Map(
    reader
      .listPools()
      .reverse()
      .map(({ network, key }) => [`${network} ${formatSpan(parsePoolKey(key))}`, key]),
  )
  const usages = listPoolUsage(reader)
  const networks = new Set(usages.map(({ network }) => network))
  const held = new Map([...networks].map((network) => [network, reader.listHeld(network)]))
  return usages.map((usage) => {
    const key = keys.get(`${usage.network} ${usage.range}`) ?? usage.range
    return drawPool(reader, usage, { key, pods, leases: held.get(usage.network) ?? [] })
  })
}

interface Drawing {
  readonly key: string
  readonly pods: ReadonlyMap<string, string>
  /** Held in the pool's network. */
  readonly leases: readonly Lease[]
}

function drawPool(reader: LeaseReader, usage: PoolUsage, { key, pods, leases }: Drawing): PicturePool {
  const { network, range, used, total } = usage
  const addresses = parsePoolKey(key)
  const held = leases.filter(({ address }) => spanContains(addresses, address))
  const pool = reader.findPool(network, key)
  const released = pool === undefined ? [] : reader.listFree(pool.id, MAX_SQUARES)
  const grid = gridOf(addresses, [...held.map(({ address }) => address), ...released])
  const squares = fillSquares(grid, { addresses, held, released, pods })
  const drawn = grid.perSquare * BigInt(grid.count)
  const size = sizeOf(addresses)
  return {
    network,
    range,
    used,
    total: String(total),
    perSquare: String(grid.perSquare),
    squares,
    rest: String(size > drawn ? size - drawn : 0n),
  }
}

interface Grid {
  readonly start: IpAddress
  readonly perSquare: bigint
  readonly count: number
}

/** All of the range, else as far as it was used, else that in larger squares. */
function gridOf({ start, end }: Addresses, used: readonly IpAddress[]): Grid {
  const size = sizeOf({ start, end })
  if (size <= MAX_SQUARES) return { start, perSquare: 1n, count: Number(size) }
  const [last = 0n] = used.map(({ value }) => value - start.value).sort((a, b) => (a < b ? 1 : -1))
  let shown = BigInt(MIN_SQUARES)
  while (shown <= last) shown *= 2n
  const perSquare = shown <= MAX_SQUARES ? 1n : shown / BigInt(MAX_SQUARES)
  const whole = shown > size ? size : shown
  return { start, perSquare, count: Number((whole + perSquare - 1n) / perSquare) }
}

interface Filling {
  readonly addresses: Addresses
  readonly held: readonly Lease[]
  readonly released: readonly IpAddress[]
  readonly pods: ReadonlyMap<string, string>
}

function fillSquares(
  { start, perSquare, count }: Grid,
  { addresses, held, released, pods }: Filling,
): Square[] {
  const indexOf = ({ value }: IpAddress) => Number((value - start.value) / perSquare)
  const heldAt = Map.groupBy(held, ({ address }) => indexOf(address))
  const releasedAt = Map.groupBy(released, indexOf)
  return Array.from({ length: count }, (_, i) => {
    const first = start.plus(BigInt(i) * perSquare)
    const holders = heldAt.get(i) ?? []
    const [lease] = holders
    const pod = lease && pods.get(holderText(lease.network, lease))
    return {
      first: String(first),
      held: holders.length,
      released: releasedAt.get(i)?.length ?? 0,
      reserved: perSquare === 1n && isReserved(addresses, first),
      ...(perSquare === 1n && pod !== undefined ? { pod } : {}),
    }
  })
}
