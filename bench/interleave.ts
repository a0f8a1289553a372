// Measuring subjects in turn, so that the machine's moods meet all of them.

export interface Subject {
  readonly label: string
  /** @returns how long what is measured took; the rest of it does not count */
  readonly run: () => number
  readonly timesMs: number[]
}

/** Of the first runs, which fill caches, nothing is kept. */
const WARM_UP = 5

export function interleave(subjects: readonly Subject[], runs: number): void {
  for (let run = -WARM_UP; run < runs; run++) {
    for (const { run: once, timesMs } of subjects) {
      const time = once()
      if (run >= 0) timesMs.push(time)
    }
  }
}

/** Nearest rank. */
export function quantile(values: readonly number[], q: number): number {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * q))] ?? Number.NaN
}

export function median({ timesMs }: Subject): number {
  return quantile(timesMs, 0.5)
}

export function describe({ label, timesMs }: Subject): string {
  const [mid, p10, p90] = [0.5, 0.1, 0.9].map((q) => quantile(timesMs, q).toFixed(2))
  return `${label.padEnd(24)} median ${mid} ms   p10 ${p10}   p90 ${p90}   (${timesMs.length} runs)`
}

export function time(work: () => void): number {
  const start = process.hrtime.bigint()
  work()
  return Number(process.hrtime.bigint() - start) / 1e6
}
