// Prometheus' text format, version 0.0.4 (https://prometheus.io/docs/instrumenting/exposition_formats/). Written here and
// not by prom-client: that looks up a set of labels by a text that it makes of them, ten times in each call.

export interface MetricSpec {
  readonly type: 'counter' | 'gauge' | 'histogram'
  readonly help: string
  /** Their names; a sample has a value for each, in this order. */
  readonly labels: readonly string[]
}

export interface Sample {
  readonly labels: readonly string[]
  readonly value: number | HistogramData
}

export interface HistogramData {
  /** Upper bounds in seconds, in order; one more bucket, without a bound, comes last. */
  readonly bounds: readonly number[]
  /** How many are in each bucket, and not in one before it. */
  readonly counts: readonly number[]
  readonly sum: number
}

/** A metric without samples is named all the same. */
export function formatExposition<Name extends string>(
  specs: Readonly<Record<Name, MetricSpec>>,
  samples: Readonly<Record<Name, readonly Sample[]>>,
): string {
  const lines = Object.entries<MetricSpec>(specs).flatMap(([name, { type, help, labels }]) => [
    `# HELP ${name} ${escapeText(help)}`,
    `# TYPE ${name} ${type}`,
    ...samples[name as Name].flatMap((sample) => sampleLines(name, labels, sample)),
  ])
  return `${lines.join('\n')}\n`
}

function sampleLines(name: string, names: readonly string[], { labels, value }: Sample): string[] {
  const pairs = names.map((label, i) => `${label}="${escapeLabel(labels[i] ?? '')}"`)
  if (typeof value === 'number') return [`${name}${braced(pairs)} ${value}`]
  const { bounds, counts, sum } = value
  const total = counts.reduce((all, count) => all + count, 0)
  let below = 0
  const buckets = bounds.map((bound, i) => {
    below += counts[i] ?? 0
    return `${name}_bucket${braced([...pairs, `le="${bound}"`])} ${below}`
  })
  return [
    ...buckets,
    `${name}_bucket${braced([...pairs, 'le="+Inf"'])} ${total}`,
    `${name}_sum${braced(pairs)} ${sum}`,
    `${name}_count${braced(pairs)} ${total}`,
  ]
}

function braced(pairs: readonly string[]): string {
  return pairs.length === 0 ? '' : `{${pairs.join(',')}}`
}

function escapeText(text: string): string {
  return text.replaceAll('\\', '\\\\').replaceAll('\n', '\\n')
}

function escapeLabel(text: string): string {
  return escapeText(text).replaceAll('"', '\\"')
}
