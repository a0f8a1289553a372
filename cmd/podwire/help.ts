// `podwire help`: all commands, or one of them with its options and examples.

import type { About, Command, Commands, Option } from './command.ts'
import { type Style, wrap } from './style.ts'

const MAX_WIDTH = 80
const USAGE = 'Usage  '
/** Of what stands before a text that explains it. */
const MAX_TERM_WIDTH = 26

export function helpText(commands: Commands, { version, plugins, upstreamNames, columns }: About): string {
  const width = Math.min(columns, MAX_WIDTH)
  const own = plugins.map(({ name }) => name).join(', ')
  const upstream = Object.keys(upstreamNames).join(', ')
  return [
    `Podwire ${version}: the network of Kubernetes pods.`,
    '',
    ...explained(
      Object.entries(commands).map(([name, { summary }]) => [`podwire ${name}`, summary]),
      width,
    ),
    '',
    ...wrap(
      'podwire help COMMAND tells more of one. Exit status: 0, 1 when something is wrong or was not done, 2 when called wrongly.',
      width,
    ),
    '',
    'Called by the name of a plugin it is that plugin:',
    ...hanging('  ', own, width),
    'or, by the name that upstream has for it,',
    ...hanging('  ', upstream, width),
    ...wrap(
      'as the CNI specification describes: parameters in the environment, configuration on standard input.',
      width,
    ),
    '',
  ].join('\n')
}

interface Form {
  readonly style: Style
  /** How wide the terminal is; Infinity where there is none. */
  readonly columns: number
}

export function commandHelp(
  { usage, summary, description = [], options = {}, examples }: Command,
  { style, columns }: Form,
): string {
  const width = Math.min(columns, MAX_WIDTH)
  const [firstUse = '', ...moreUse] = usageLines(usage, width - USAGE.length)
  const rows = Object.entries(options).map(
    ([name, option]) => [optionTerm(name, option), option.what] as const,
  )
  return [
    ...wrap(`${summary.charAt(0).toUpperCase()}${summary.slice(1)}.`, width),
    '',
    `${style.bold(USAGE.trimEnd())}  ${firstUse}`,
    ...moreUse.map((line) => ' '.repeat(USAGE.length) + line),
    ...description.flatMap((paragraph) => ['', ...wrap(paragraph, width)]),
    ...(rows.length === 0 ? [] : ['', style.bold('Options'), ...explained(rows, width)]),
    ...(examples.length === 0 ? [] : ['', style.bold('Examples'), ...exampleLines(examples, style)]),
    '',
  ].join('\n')
}

/** What is in brackets stays in one line. */
function usageLines(usage: string, width: number): string[] {
  const groups = usage.replaceAll(/\[(?:[^[\]]|\[[^\]]*\])*\]/g, (group) => group.replaceAll(' ', '\u00a0'))
  return wrap(`podwire ${groups}`, width).map((line) => line.replaceAll('\u00a0', ' '))
}

function optionTerm(name: string, { short, value, values }: Option): string {
  const text = values?.join('|') ?? value
  return `${short === undefined ? '   ' : `-${short},`} --${name}${text === undefined ? '' : ` ${text}`}`
}

function exampleLines(examples: Command['examples'], style: Style): string[] {
  return examples.flatMap(([line, purpose], i) => [
    ...(i === 0 ? [] : ['']),
    ...(purpose === '' ? [] : [style.dim(`  # ${purpose}`)]),
    `  ${line}`,
  ])
}

/** Two columns. A term that is too long for its own has a line of its own. */
function explained(rows: readonly (readonly [term: string, text: string])[], width: number): string[] {
  const termWidth = Math.min(MAX_TERM_WIDTH, Math.max(...rows.map(([term]) => term.length)))
  const indent = ' '.repeat(termWidth + 4)
  return rows.flatMap(([term, text]) => {
    const [first = '', ...more] = hanging(indent, text, width)
    if (term.length > termWidth) return [`  ${term}`, first, ...more]
    return [`  ${term.padEnd(termWidth)}  ${first.trimStart()}`, ...more]
  })
}

function hanging(indent: string, text: string, width: number): string[] {
  return wrap(text, width - indent.length).map((line) => indent + line)
}
