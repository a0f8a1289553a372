// `podwire help`: all commands, or one of them with its options and examples.

import type { About, Command, Commands, Option } from './command.ts'
import { formatTable, type Style } from './style.ts'

export function helpText(commands: Commands, { version, plugins, upstreamNames }: About): string {
  const own = plugins.map(({ name }) => name).join(', ')
  const upstream = Object.keys(upstreamNames).join(', ')
  const width = Math.max(...Object.keys(commands).map(({ length }) => length))
  return [
    `Podwire ${version}: the network of Kubernetes pods.`,
    '',
    ...Object.entries(commands).map(([name, { summary }]) => `  podwire ${name.padEnd(width)}  ${summary}`),
    '',
    'podwire help COMMAND tells more of one. Exit status: 0, 1 when something is wrong or was not done, 2 when called wrongly.',
    '',
    `Called by the name of a plugin (${own}, or upstream's ${upstream})`,
    'it is that plugin, as the CNI specification describes: parameters in the environment, configuration on',
    'standard input.',
    '',
  ].join('\n')
}

export function commandHelp(
  { usage, summary, description, options, examples }: Command,
  style: Style,
): string {
  return [
    `${summary.charAt(0).toUpperCase()}${summary.slice(1)}.`,
    '',
    `${style.bold('Usage')}  podwire ${usage}`,
    ...(description ?? []).flatMap((paragraph) => ['', paragraph]),
    ...(options === undefined ? [] : ['', style.bold('Options'), ...optionLines(options)]),
    ...(examples.length === 0 ? [] : ['', style.bold('Examples'), ...exampleLines(examples)]),
    '',
  ].join('\n')
}

function optionLines(options: Readonly<Record<string, Option>>): string[] {
  const rows = Object.entries(options).map(([name, { short, value, values, what }]) => [
    `  ${short === undefined ? '   ' : `-${short},`} --${name}${valueText(value, values)}`,
    what,
  ])
  return linesOf(rows)
}

function valueText(value: string | undefined, values: readonly string[] | undefined): string {
  const text = values?.join('|') ?? value
  return text === undefined ? '' : ` ${text}`
}

function exampleLines(examples: Command['examples']): string[] {
  return linesOf(examples.map(([line, purpose]) => [`  ${line}`, purpose]))
}

function linesOf(rows: readonly (readonly string[])[]): string[] {
  return formatTable(['', ''], rows).split('\n').slice(1, -1)
}
