// A case is played on a stage, by ours and by upstream's alike; the record of the play is its outcome.

import type { Contestant } from './contestant.ts'
import type { KernelFeature } from './kernel-feature.ts'
import { type Observation, Stage } from './stage.ts'

export interface Case {
  /** Unique; `area/subject does X when Y`. */
  readonly title: string
  play(stage: Stage): Promise<void>
  /** Why it is played by ours alone. */
  readonly oursOnly?: string
  /** Skipped where the kernel has not got it. Its outcome is only held to a committed text where there is one. */
  readonly needs?: KernelFeature
}

/** For tap: why it cannot be played here. */
export function skipOf({ needs }: Case): string | false {
  return needs === undefined || needs.isThere() ? false : `the running kernel is not one ${needs.what}`
}

export interface Outcome {
  readonly observations: readonly Observation[]
  /** What must not be, whatever the expected text says; only judged for ours. */
  readonly faults: readonly string[]
}

export async function play({ play: perform }: Case, contestant: Contestant): Promise<Outcome> {
  const stage = await Stage.open(contestant)
  try {
    await perform(stage)
  } finally {
    await stage.close()
  }
  return { observations: stage.observations, faults: contestant.name === 'podwire' ? stage.faults : [] }
}

/** `ADD pod1`, then its lines indented; an empty observation says so. */
export function formatOutcome({ observations }: Pick<Outcome, 'observations'>): string {
  return observations
    .map(({ aspect, lines }) =>
      [aspect, ...(lines.length === 0 ? ['nothing'] : lines).map((line) => `  ${line}`)].join('\n'),
    )
    .join('\n')
}

export function parseOutcome(text: string): Observation[] {
  const observations: { aspect: string; lines: string[] }[] = []
  for (const line of text.split('\n')) {
    if (line.startsWith('  ')) observations.at(-1)?.lines.push(line.slice(2))
    else if (line !== '') observations.push({ aspect: line, lines: [] })
  }
  return observations.map(({ aspect, lines }) => ({ aspect, lines: lines.join() === 'nothing' ? [] : lines }))
}
