// How full the pools are, for a look every few seconds: counted in pieces, between which others are served, so that
// 50,000 leases hold nobody up.

import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { setImmediate as nextTurn } from 'node:timers/promises'
import type { Ports } from '../host/ports.ts'
import type { Family, IpAddress } from '../ip/address.ts'
import { LEASES_FILE, type LeaseStore } from '../ipam/lease-store.ts'
import { currentPools } from '../ipam/pool-usage.ts'
import { type Addresses, capacityOf } from '../ipam/range.ts'
import { type Span, sizeOf } from '../ipam/span.ts'

/** The ranges of one range set of a network. */
export interface PoolFigure {
  readonly network: string
  readonly setIndex: number
  readonly family: Family
  readonly total: bigint
  readonly used: number
  readonly reserved: bigint
}

/** Leases that are looked at in one turn. */
const PIECE = 2000
/** More would be somebody's mistake, and Prometheus' burden. */
const MAX_DATA_DIRS = 20
const MAX_POOLS = 100

export class PoolFigures {
  readonly #ports: Pick<Ports, 'leases'>
  readonly #dataDirs = new Set<string>()
  #reading: Promise<PoolFigure[]> | undefined

  constructor(ports: Pick<Ports, 'leases'>) {
    this.#ports = ports
  }

  /** Leases of pods are there. */
  addDataDir(dataDir: string): void {
    if (this.#dataDirs.size < MAX_DATA_DIRS) this.#dataDirs.add(dataDir)
  }

  /** Who asks meanwhile gets the same. @throws StoreError */
  read(): Promise<PoolFigure[]> {
    this.#reading ??= this.#read().finally(() => {
      this.#reading = undefined
    })
    return this.#reading
  }

  async #read(): Promise<PoolFigure[]> {
    const figures = new Map<string, PoolFigure>()
    // To open a store would make one.
    for (const dataDir of [...this.#dataDirs].filter((one) => existsSync(join(one, LEASES_FILE)))) {
      const store = this.#ports.leases(dataDir)
      for (const { network, setIndex, range } of store.read(currentPools)) {
        const key = `${network} ${setIndex} ${range.start.family}`
        if (!figures.has(key) && figures.size >= MAX_POOLS) continue
        const used = await countHeld(store, network, range)
        figures.set(key, sum(figures.get(key), figureOf({ network, setIndex, range, used })))
      }
    }
    return [...figures.values()]
  }
}

async function countHeld(store: LeaseStore, network: string, range: Span): Promise<number> {
  const countPiece = (start: IpAddress) =>
    store.read((reader) => {
      const rest = { start, end: range.end }
      const last = reader.findNth(network, rest, PIECE - 1)
      return { held: reader.countHeld(network, { start, end: last ?? range.end }), last }
    })
  let { held, last } = countPiece(range.start)
  while (last !== undefined && last.compare(range.end) < 0) {
    await nextTurn()
    const piece = countPiece(last.plus(1n))
    held += piece.held
    last = piece.last
  }
  return held
}

interface Counted {
  readonly network: string
  readonly setIndex: number
  readonly range: Addresses
  readonly used: number
}

function figureOf({ network, setIndex, range, used }: Counted): PoolFigure {
  const total = capacityOf(range)
  const { family } = range.start
  return { network, setIndex, family, total, used, reserved: sizeOf(range) - total }
}

function sum(known: PoolFigure | undefined, more: PoolFigure): PoolFigure {
  if (known === undefined) return more
  return {
    ...more,
    total: known.total + more.total,
    used: known.used + more.used,
    reserved: known.reserved + more.reserved,
  }
}
