// `podwire trace`: where a packet goes from here, and where it dies.

import type { Ports } from '../../../lib/host/ports.ts'
import type { Family } from '../../../lib/ip/address.ts'
import type { Answer } from '../command.ts'
import { formatJson } from '../data-formats.ts'
import type { Style } from '../style.ts'
import { endText, parseEnds } from './ends.ts'
import type { Outcome, Step } from './journey.ts'
import { walk } from './walk.ts'

export interface TraceOptions {
  readonly family: Family | undefined
  readonly isJson: boolean
  readonly style: Style
}

/** Exit status 1 when it dies. @throws CommandError for ends that are not known */
export async function trace(
  ports: Ports,
  words: readonly [source: string, dst: string],
  { family, isJson, style }: TraceOptions,
): Promise<Answer> {
  const { from, to } = parseEnds(ports, words, family)
  const { steps, outcome } = await walk(ports, from, to)
  const title = `${endText(from)} → ${endText(to)}`
  const stdout = isJson
    ? formatJson({
        from: endText(from),
        to: endText(to),
        steps: steps.map((step) => ({ ...step })),
        outcome: { ...outcome },
      })
    : `${[style.bold(title), ...stepLines(steps), outcomeText(outcome, style)].join('\n')}\n`
  return { stdout, exitStatus: outcome.end === 'dies' ? 1 : 0 }
}

function stepLines(steps: readonly Step[]): string[] {
  const width = Math.max(0, ...steps.map(({ where }) => where.length))
  return steps.map(({ where, what }, i) => `${String(i + 1).padStart(3)}  ${where.padEnd(width)}  ${what}`)
}

function outcomeText(outcome: Outcome, style: Style): string {
  switch (outcome.end) {
    case 'arrives':
      return `${style.good('arrives')}: ${outcome.why}`
    case 'leaves':
      return `${style.good('leaves')}: ${outcome.why}`
    case 'dies':
      return `${style.bad('dies')}: ${outcome.why}\n  ${style.bold('→')} ${outcome.remedy}`
  }
}
