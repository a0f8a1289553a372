// `podwire show`: all about one pod: what is recorded, what the kernel has, and whether CHECK agrees.

import { type Attached, podText } from './attached.ts'
import type { Answer } from './command.ts'
import { type Data, formatJson, formatYaml } from './data-formats.ts'
import { isDifferent, type Row, viewAttached } from './kernel-view.ts'
import { attachedData } from './list.ts'
import { type Checked, type Checking, checkAttached } from './recorded-check.ts'
import { formatAge, formatTable, type Style, visible } from './style.ts'

export const SHOW_FORMATS = ['json', 'yaml'] as const

export interface ShowOptions {
  readonly format: (typeof SHOW_FORMATS)[number] | undefined
  readonly style: Style
}

interface Shown extends Checked {
  readonly rows: readonly Row[]
}

/** Exit status 1 when CHECK finds a difference. */
export async function show(
  checking: Checking,
  pod: readonly Attached[],
  { format, style }: ShowOptions,
): Promise<Answer> {
  const shown: Shown[] = []
  for (const attached of pod) {
    const checked = await checkAttached(checking, attached)
    shown.push({ ...checked, rows: await viewAttached(checking.ports, attached) })
  }
  const nowMs = checking.ports.clock.nowMs()
  const stdout =
    format === 'json'
      ? formatJson(shown.map(shownData))
      : format === 'yaml'
        ? formatYaml(shown.map(shownData))
        : shown.map((one) => shownText(one, { nowMs, style })).join('\n')
  return { stdout, exitStatus: shown.some(({ drifts }) => drifts.length > 0) ? 1 : 0 }
}

function shownText(shown: Shown, { nowMs, style }: { nowMs: number; style: Style }): string {
  const { attached, rows } = shown
  const { containerId, ifname, network, netns, attachments, createdAtMs, state } = attached
  const facts = [
    ['pod', style.bold(podText(attached))],
    ['container', containerId],
    ['interface', `${ifname} in ${netns}`],
    ['network', `${network} (${attachments.map(({ plugin }) => plugin).join(', ')})`],
    ['added', `${formatAge(nowMs - createdAtMs)} ago, ${new Date(createdAtMs).toISOString()}`],
    ['state', state === 'attached' ? style.good(state) : style.bad(state)],
  ]
  return `${linesOf(facts)}\n${rowTable(rows, style)}\n${verdict(shown, style)}`
}

function linesOf(facts: readonly (readonly string[])[]): string {
  return facts.map(([name = '', value = '']) => `${name.padEnd(9)}  ${visible(value, 'colours')}\n`).join('')
}

/** The place is only said where it begins; `!` marks what differs, for eyes without colours, too. */
function rowTable(rows: readonly Row[], style: Style): string {
  const lines = rows.map((row, i) => {
    const { place, what, recorded, found } = row
    const paint = isDifferent(row) ? style.bad : (text: string) => text
    return [
      isDifferent(row) ? paint('!') : ' ',
      rows[i - 1]?.place === place ? ' ' : place,
      what,
      recorded === undefined ? ' ' : recorded,
      paint(found ?? (isDifferent(row) ? 'missing' : ' ')),
    ]
  })
  return formatTable([' ', ...['WHERE', 'WHAT', 'RECORDED', 'IS'].map((title) => style.bold(title))], lines)
}

function verdict({ drifts, unknown }: Checked, style: Style): string {
  return [
    ...(drifts.length === 0 ? [style.good('CHECK: all as ADD made it')] : [style.bad('CHECK:')]),
    ...drifts.map((text) => `  ${visible(text)}`),
    ...unknown.map((text) => `  ${style.warn(`not checked: ${visible(text)}`)}`),
  ]
    .map((line) => `${line}\n`)
    .join('')
}

function shownData({ attached, rows, drifts, unknown }: Shown): Data {
  return {
    ...(attachedData(attached) as Record<string, Data>),
    records: attached.attachments.map(({ plugin, record, isComplete }) => ({
      plugin,
      complete: isComplete,
      record: record as Data,
    })),
    kernel: rows.map((row) => ({
      where: row.place,
      what: row.what,
      recorded: row.recorded ?? null,
      found: row.found ?? null,
      differs: isDifferent(row),
    })),
    drifts: [...drifts],
    notChecked: [...unknown],
  }
}
