// `podwire doctor`: everything that is known to go wrong on nodes is looked at, with evidence and remedy.

import type { Answer } from '../command.ts'
import { type Data, formatJson } from '../data-formats.ts'
import { formatCount, type Style, wrap } from '../style.ts'
import { ATTACHMENTS } from './attachments.ts'
import { type Examination, type Finding, type Level, type Patient, trouble } from './examination.ts'
import { INSTALLATION } from './installation.ts'
import { KERNEL } from './kernel.ts'
import { LINKS } from './links.ts'
import { STORES } from './stores.ts'
import { TRAFFIC } from './traffic.ts'

export const EXAMINATIONS: readonly Examination[] = [
  ...KERNEL,
  ...TRAFFIC,
  ...LINKS,
  ...STORES,
  ...ATTACHMENTS,
  ...INSTALLATION,
]

export interface DoctorOptions {
  readonly isJson: boolean
  /** Only what is wrong. */
  readonly isQuiet: boolean
  readonly isTerminal: boolean
  readonly columns: number
  readonly style: Style
  readonly progress: (text: string) => void
}

interface Report {
  readonly title: string
  readonly findings: readonly Finding[]
}

const EXIT_STATUS: Readonly<Record<Level, number>> = { ok: 0, warning: 1, trouble: 2 }

/** Exit status 0 when all is well, 1 for warnings, 2 for trouble. */
export async function doctor(patient: Patient, options: DoctorOptions): Promise<Answer> {
  const reports: Report[] = []
  for (const examination of EXAMINATIONS) {
    options.progress(examination.title)
    reports.push({ title: examination.title, findings: await examine(examination, patient) })
  }
  const levels = reports.flatMap(({ findings }) => findings.map(({ level }) => EXIT_STATUS[level]))
  return {
    stdout: options.isJson ? formatJson(reports.map(reportData)) : reportText(reports, options),
    exitStatus: Math.max(0, ...levels),
  }
}

/** What keeps one from being made is told, and does not keep the others from it. */
async function examine(examination: Examination, patient: Patient): Promise<readonly Finding[]> {
  try {
    return await examination.examine(patient)
  } catch (error) {
    if (!(error instanceof Error)) throw error
    const { remedy } = error as { remedy?: unknown }
    return [trouble(`could not be looked at: ${error.message}`, typeof remedy === 'string' ? remedy : '')]
  }
}

const SIGNS: Readonly<Record<Level, string>> = { ok: '✓', warning: '!', trouble: '✗' }

function reportText(
  reports: readonly Report[],
  { isQuiet, isTerminal, columns, style }: DoctorOptions,
): string {
  const width = Math.max(...reports.map(({ title }) => title.length))
  const paint = { ok: style.good, warning: style.warn, trouble: style.bad }
  const lines = reports.flatMap(({ title, findings }) =>
    findings
      .filter(({ level }) => !isQuiet || level !== 'ok')
      .flatMap(({ level, evidence, remedy = '' }) => {
        const sign = isTerminal ? paint[level](SIGNS[level]) : level.padEnd('warning'.length)
        const indent = ' '.repeat((isTerminal ? 1 : 'warning'.length) + 2 + width + 2)
        const [first = '', ...more] = wrap(evidence, columns - indent.length)
        return [
          `${sign}  ${title.padEnd(width)}  ${first}`,
          ...more.map((line) => `${indent}${line}`),
          // In one piece: it is to be copied.
          ...(remedy === '' ? [] : [`${indent}${style.bold('→')} ${remedy}`]),
        ]
      }),
  )
  return `${[...lines, summary(reports, style)].join('\n')}\n`
}

function summary(reports: readonly Report[], style: Style): string {
  const count = (level: Level) =>
    reports.flatMap(({ findings }) => findings).filter((one) => one.level === level).length
  const [warnings, troubles] = [count('warning'), count('trouble')]
  if (warnings + troubles === 0)
    return style.good(`${formatCount(reports.length, 'examination')}, all is well`)
  const parts = [
    ...(troubles === 0 ? [] : [style.bold(style.bad(formatCount(troubles, 'trouble')))]),
    ...(warnings === 0 ? [] : [style.warn(formatCount(warnings, 'warning'))]),
  ]
  return `${formatCount(reports.length, 'examination')}: ${parts.join(', ')}`
}

function reportData({ title, findings }: Report): Data {
  return {
    title,
    findings: findings.map(({ level, evidence, remedy = '' }) => ({ level, evidence, remedy })),
  }
}
