// Upstream's outcome beside ours: lines that only one of them has, and the rows of the table that allow them.

import type { Difference } from '../differences.ts'
import type { Observation } from './stage.ts'

export interface Discrepancy {
  readonly title: string
  readonly aspect: string
  readonly side: 'upstream' | 'ours'
  readonly line: string
}

/** The order of lines does not count, nor how often one comes. */
export function compareOutcomes(
  title: string,
  { upstream, ours }: Readonly<Record<'upstream' | 'ours', readonly Observation[]>>,
): Discrepancy[] {
  const sides = { upstream: linesByAspect(upstream), ours: linesByAspect(ours) }
  const aspects = new Set([...sides.upstream.keys(), ...sides.ours.keys()])
  return [...aspects].flatMap((aspect) => {
    const [theirs = [], mine = []] = [sides.upstream.get(aspect), sides.ours.get(aspect)]
    return [
      ...theirs
        .filter((line) => !mine.includes(line))
        .map((line) => ({ title, aspect, side: 'upstream' as const, line })),
      ...mine
        .filter((line) => !theirs.includes(line))
        .map((line) => ({ title, aspect, side: 'ours' as const, line })),
    ]
  })
}

/** Aspects of the same name are told apart by their number. */
function linesByAspect(observations: readonly Observation[]): Map<string, readonly string[]> {
  const counts = new Map<string, number>()
  return new Map(
    observations.map(({ aspect, lines }) => {
      const count = (counts.get(aspect) ?? 0) + 1
      counts.set(aspect, count)
      return [count === 1 ? aspect : `${aspect} #${count}`, lines]
    }),
  )
}

/** Rows, and which of their sides have allowed a line. */
export class Allowance {
  readonly #rows: readonly Difference[]
  readonly #used = new Set<string>()

  constructor(rows: readonly Difference[]) {
    this.#rows = rows
  }

  allows({ title, aspect, side, line }: Discrepancy): boolean {
    const allowing = this.#rows.filter((row) => {
      const pattern = row[side]
      return (
        pattern !== undefined &&
        matches(row.cases, title) &&
        matches(row.aspect, aspect) &&
        matches(pattern, line)
      )
    })
    for (const row of allowing) this.#used.add(keyOf(row, side))
    return allowing.length > 0
  }

  /** What no outcome needed. */
  listUnused(): string[] {
    return this.#rows.flatMap((row) =>
      (['upstream', 'ours'] as const)
        .filter((side) => row[side] !== undefined && !this.#used.has(keyOf(row, side)) && !row.sometimes)
        .map((side) => `${side} ${row[side]} (${row.cases}, ${row.aspect})`),
    )
  }
}

function keyOf(row: Difference, side: 'upstream' | 'ours'): string {
  return JSON.stringify([side, row])
}

/** `*` stands for any text; alternatives are in a list. */
function matches(patterns: string | readonly string[], text: string): boolean {
  return [patterns].flat().some((pattern) => {
    const parts = pattern.split('*').map((part) => part.replaceAll(/[\\^$.|?+()[\]{}]/g, '\\$&'))
    return new RegExp(`^${parts.join('[^]*')}$`).test(text)
  })
}
