// The commands of `podwire` itself: finds the one that is called, reads its words, and tells what came of it.

import { type ParseArgsOptionsConfig, parseArgs } from 'node:util'
import { type About, type Command, type Commands, type Flags, type Outcome, UsageError } from './command.ts'
import { INSTALLING } from './commands-installing.ts'
import { LOOKING } from './commands-looking.ts'
import { MENDING } from './commands-mending.ts'
import { commandHelp, helpText } from './help.ts'
import { type Kept, PLAIN, styleFor, visible } from './style.ts'

const LISTED = 'podwire help lists them'

const COMMANDS: Commands = {
  ...LOOKING,
  ...MENDING,
  ...INSTALLING,
  completion: {
    usage: 'completion bash|zsh|fish',
    summary: 'print what makes a shell complete these commands',
    operands: [1, 1],
    examples: [
      ['source <(podwire completion bash)', 'for this shell'],
      ['podwire completion bash >/etc/bash_completion.d/podwire', 'for all to come'],
      ['podwire completion fish >~/.config/fish/completions/podwire.fish', ''],
    ],
    run: async ({ operands: [shell = ''] }) => {
      const { completion } = await import('./completion.ts')
      return completion(shell, COMMANDS)
    },
  },
  version: {
    usage: 'version',
    summary: 'print the version',
    operands: [0, 0],
    examples: [],
    run: async ({ about }) => `${about.version}\n`,
  },
  help: {
    usage: 'help [COMMAND]',
    summary: 'print a list of the commands, or all about one',
    operands: [0, 1],
    completes: 'command',
    examples: [['podwire help list', 'the same as podwire list --help']],
    run: async ({ operands: [name], about, style }) => {
      if (name === undefined) return helpText(COMMANDS, about)
      const command = findCommand(name)
      if (command === undefined) throw new UsageError(`no command "${name}"`, LISTED)
      return commandHelp(command, { style, columns: about.columns })
    },
  },
}

const ALIASES: Readonly<Record<string, string>> = {
  '--help': 'help',
  '-h': 'help',
  '--version': 'version',
  '-v': 'version',
}

/** @param words  what follows the program's name */
export async function run(words: readonly string[], about: About): Promise<Outcome> {
  const { exitStatus, stdout, stderr } = await call(words, about)
  const colours: Kept[] = styleFor(about) === PLAIN ? [] : ['colours']
  return { exitStatus, stdout: visible(stdout, 'lines', ...colours), stderr: visible(stderr, 'lines') }
}

async function call(words: readonly string[], about: About): Promise<Outcome> {
  const [word = '', ...rest] = words
  const name = ALIASES[word] ?? word
  const command = findCommand(name)
  if (command === undefined)
    return misused(word === '' ? helpText(COMMANDS, about) : `no command "${word}"\n  ${LISTED}\n`)
  const style = styleFor(about)
  const given = readArguments(command, rest)
  if (given === 'help')
    return { exitStatus: 0, stdout: commandHelp(command, { style, columns: about.columns }), stderr: '' }
  if (typeof given === 'string')
    return misused(`podwire ${name}: ${given}\nusage: podwire ${command.usage}\n`)
  try {
    const answer = await command.run({ ...given, about, style })
    return { exitStatus: 0, stderr: '', ...(typeof answer === 'string' ? { stdout: answer } : answer) }
  } catch (error) {
    if (!(error instanceof Error && 'code' in error)) throw error
    const remedy = remedyOf(error)
    const advice = remedy === '' ? '' : `  ${remedy}\n`
    const exitStatus = error instanceof UsageError ? 2 : 1
    return { exitStatus, stdout: '', stderr: `podwire ${name}: ${error.message}\n${advice}` }
  }
}

function remedyOf(error: Error & { code: unknown; remedy?: unknown }): string {
  if (typeof error.remedy === 'string') return error.remedy
  const isDenied = error.code === 'EACCES' || error.code === 'EPERM'
  return isDenied && process.geteuid?.() !== 0 ? 'run it as root' : ''
}

function findCommand(name: string): Command | undefined {
  return Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined
}

/** @returns a text when they are not the command's: what is wrong, or that the help is asked for */
function readArguments(
  command: Command,
  args: readonly string[],
): { operands: string[]; flags: Flags } | string {
  const options: ParseArgsOptionsConfig = {
    help: { type: 'boolean', short: 'h' },
    ...(command.options as ParseArgsOptionsConfig | undefined),
  }
  try {
    const { values, positionals } = parseArgs({ args: [...args], options, allowPositionals: true })
    if (values['help'] === true) return 'help'
    const [least, most] = command.operands
    if (positionals.length < least) return 'an argument is missing'
    if (positionals.length > most) return `"${positionals[most]}" is one argument too many`
    return findBadValue(command, values as Flags) ?? { operands: positionals, flags: values as Flags }
  } catch (error) {
    if (error instanceof TypeError) return badOption(error)
    throw error
  }
}

/** In our words: those of `parseArgs` are two lines of advice. */
function badOption({ message }: TypeError): string {
  const [, option = ''] = /'(?:-\w, )?(--?[\w-]+)/.exec(message) ?? []
  if (message.startsWith('Unknown')) return `there is no option ${option}`
  return message.includes('does not take') ? `${option} takes no value` : `${option} needs a value`
}

function findBadValue({ options = {} }: Command, flags: Flags): string | undefined {
  for (const [name, value] of Object.entries(flags)) {
    const values = options[name]?.values
    if (values !== undefined && typeof value === 'string' && !values.includes(value)) {
      return `--${name} is one of ${values.join(', ')}, not "${value}"`
    }
  }
  return undefined
}

function misused(text: string): Outcome {
  return { exitStatus: 2, stdout: '', stderr: text }
}
