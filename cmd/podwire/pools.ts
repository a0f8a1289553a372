// `podwire pools`: how full the ranges are from which pods get their addresses.

import type { Ports } from '../../lib/host/ports.ts'
import { listPoolUsage, type PoolUsage } from '../../lib/ipam/pool-usage.ts'
import { fullPodName } from '../../lib/log/full-pod-name.ts'
import { shortId } from './attached.ts'
import { listDataDirs, requireLeases } from './data-dirs.ts'
import { type Data, formatJson, formatYaml } from './data-formats.ts'
import { formatAge, formatTable, type Style } from './style.ts'

export const POOL_FORMATS = ['wide', 'json', 'yaml'] as const

export interface PoolsOptions {
  readonly network: string | undefined
  /** Beside those that are known. */
  readonly dataDirs: readonly string[]
  readonly format: (typeof POOL_FORMATS)[number] | undefined
  readonly style: Style
}

export interface FoundPool extends PoolUsage {
  readonly dataDir: string
}

export function pools(ports: Ports, { network, dataDirs, format, style }: PoolsOptions): string {
  for (const dataDir of dataDirs) requireLeases(dataDir)
  const all = listPools(ports, dataDirs).filter((pool) => network === undefined || pool.network === network)
  if (format === 'json') return formatJson(all.map(poolData))
  if (format === 'yaml') return formatYaml(all.map(poolData))
  if (all.length === 0) {
    const ofNetwork = network === undefined ? '' : ` of network ${network}`
    return `no address${ofNetwork} was handed out since the node booted\n`
  }
  return poolTable(all, { nowMs: ports.clock.nowMs(), style, isWide: format === 'wide' })
}

export function listPools(ports: Ports, dataDirs: readonly string[] = []): FoundPool[] {
  return listDataDirs(ports, dataDirs).flatMap((dataDir) =>
    ports
      .leases(dataDir)
      .read(listPoolUsage)
      .map((pool) => ({ ...pool, dataDir })),
  )
}

export function poolTable(
  all: readonly FoundPool[],
  { nowMs, style, isWide }: { nowMs: number; style: Style; isWide: boolean },
): string {
  const titles = [
    'NETWORK',
    'RANGE',
    'USED',
    'FREE',
    'TOTAL',
    'FULL',
    'OLDEST',
    ...(isWide ? ['DIRECTORY'] : []),
  ]
  const rows = all.map((pool) => [
    pool.network,
    pool.range,
    String(pool.used),
    formatMany(freeOf(pool)),
    formatMany(pool.total),
    fullness(pool, style),
    oldestText(pool, nowMs),
    ...(isWide ? [pool.dataDir] : []),
  ])
  return formatTable(
    titles.map((title) => style.bold(title)),
    rows,
  )
}

export function freeOf({ used, total }: PoolUsage): bigint {
  return total - BigInt(used)
}

/** From how many percent on somebody should look at it. */
const NEARLY_FULL = 90

export function percentOf({ used, total }: PoolUsage): number {
  return total === 0n ? 100 : Math.round(Number((BigInt(used) * 1000n) / total) / 10)
}

export function isNearlyFull(pool: PoolUsage): boolean {
  return percentOf(pool) >= NEARLY_FULL
}

function fullness(pool: PoolUsage, style: Style): string {
  const text = `${percentOf(pool)}%`
  if (freeOf(pool) <= 0n) return style.bad(text)
  return isNearlyFull(pool) ? style.warn(text) : style.good(text)
}

/** What nobody counts is told by its size: `2^64`. */
function formatMany(count: bigint): string {
  return count < 1_000_000_000n
    ? String(count)
    : `~2^${count.toString(2).length - (isPowerish(count) ? 0 : 1)}`
}

/** Just below a power of two, as ranges without their first addresses are. */
function isPowerish(count: bigint): boolean {
  return count.toString(2).startsWith('1'.repeat(16))
}

function oldestText({ oldest }: PoolUsage, nowMs: number): string {
  if (oldest === undefined) return ''
  const { podName, podNamespace, containerId, address, acquiredAtMs } = oldest
  const holder = podName ? fullPodName(podNamespace, podName) : shortId(containerId)
  return `${formatAge(nowMs - acquiredAtMs)} ${holder} (${address})`
}

export function poolData(pool: FoundPool): Data {
  const { network, range, setIndex, used, total, oldest, dataDir } = pool
  const numbers = { used, free: numberOf(freeOf(pool)), total: numberOf(total) }
  return {
    network,
    range,
    rangeSet: setIndex,
    ...numbers,
    oldest:
      oldest === undefined
        ? null
        : {
            address: String(oldest.address),
            container: oldest.containerId,
            interface: oldest.ifname,
            pod: oldest.podName ? { namespace: oldest.podNamespace ?? '', name: oldest.podName } : null,
            since: new Date(oldest.acquiredAtMs).toISOString(),
          },
    dataDir,
  }
}

/** A text where a number would not be exact. */
function numberOf(count: bigint): number | string {
  return count <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(count) : String(count)
}
