// `podwire completion`: scripts by which shells complete commands, options, their values, and names of pods. All of it is
// in the script but for the pods, which `podwire list -o name` tells when asked.

import { type Command, type Commands, type Option, UsageError } from './command.ts'
import { PLUGIN_NAMES } from './registry.ts'

const SHELLS: Readonly<Record<string, (commands: Commands) => string>> = { bash, zsh, fish }

/** @throws UsageError for a shell that is not known */
export function completion(shell: string, commands: Commands): string {
  const write = Object.hasOwn(SHELLS, shell) ? SHELLS[shell] : undefined
  if (write === undefined)
    throw new UsageError(`no completion for "${shell}"`, 'bash, zsh and fish are known')
  return write(commands)
}

const SPECIAL_OPERANDS: Readonly<Record<string, readonly string[]>> = {
  completion: Object.keys(SHELLS),
  explain: PLUGIN_NAMES,
}

interface Words {
  readonly name: string
  readonly command: Command
}

function wordsOf(commands: Commands): Words[] {
  return Object.entries(commands).map(([name, command]) => ({ name, command }))
}

function optionsOf({ options = {} }: Command): [string, Option][] {
  return [
    ...Object.entries(options),
    ['help', { type: 'boolean', short: 'h', what: 'all about this command' }],
  ]
}

/** What can stand in the place of an operand, as a command line of the shell, or words. */
function operandsOf({ name, command }: Words, commands: Commands): readonly string[] {
  return command.completes === 'command' ? Object.keys(commands) : (SPECIAL_OPERANDS[name] ?? [])
}

function bash(commands: Commands): string {
  const cases = wordsOf(commands).map(({ name, command }) => {
    const values = optionsOf(command).flatMap(([option, { short, values: among, type }]) => {
      if (type === 'boolean') return []
      const names = [`--${option}`, ...(short === undefined ? [] : [`-${short}`])].join('|')
      const words = among === undefined ? 'compgen -f -- "$cur"' : `compgen -W '${among.join(' ')}' -- "$cur"`
      return [`        ${names}) COMPREPLY=($(${words})); return ;;`]
    })
    const flags = optionsOf(command).map(([option]) => `--${option}`)
    return [
      `    ${name})`,
      ...(values.length === 0 ? [] : ['      case $prev in', ...values, '      esac']),
      `      if [[ $cur == -* ]]; then COMPREPLY=($(compgen -W '${flags.join(' ')}' -- "$cur")); return; fi`,
      `      ${bashOperands({ name, command }, commands)} ;;`,
    ].join('\n')
  })
  return `# bash completion of podwire: source <(podwire completion bash)
_podwire() {
  local cur=\${COMP_WORDS[COMP_CWORD]} prev=\${COMP_WORDS[COMP_CWORD-1]}
  COMPREPLY=()
  if [ "$COMP_CWORD" -eq 1 ]; then
    COMPREPLY=($(compgen -W '${Object.keys(commands).join(' ')}' -- "$cur"))
    return
  fi
  case \${COMP_WORDS[1]} in
${cases.join('\n')}
  esac
}
# Not by compgen -W, which runs what is in $(…): whoever starts pods names them.
_podwire_pods() {
  local name
  while IFS= read -r name; do
    [[ $name == "$cur"* ]] && { printf -v name %q "$name"; COMPREPLY+=("$name"); }
  done < <(podwire list -o name 2>/dev/null)
}
complete -F _podwire podwire
`
}

function bashOperands(words: Words, commands: Commands): string {
  switch (words.command.completes) {
    case 'pod':
      return '_podwire_pods'
    case 'directory':
      return 'compopt -o filenames; COMPREPLY=($(compgen -d -- "$cur"))'
    default:
      return `COMPREPLY=($(compgen -W '${operandsOf(words, commands).join(' ')}' -- "$cur"))`
  }
}

function zsh(commands: Commands): string {
  const described = wordsOf(commands).map(({ name, command }) => `    ${quote(`${name}:${command.summary}`)}`)
  const cases = wordsOf(commands).map((words) => {
    const specs = optionsOf(words.command).flatMap(([option, spec]) => zshOption(option, spec))
    return `    ${words.name}) _arguments ${[...specs, quote(`*:${zshOperands(words, commands)}`)].join(' ')} ;;`
  })
  return `#compdef podwire
# zsh completion of podwire: podwire completion zsh >"\${fpath[1]}/_podwire"
_podwire_pods() { local -a pods; pods=(\${(f)"$(podwire list -o name 2>/dev/null)"}); compadd -a pods }
_podwire() {
  local -a commands
  commands=(
${described.join('\n')}
  )
  if (( CURRENT == 2 )); then _describe command commands; return; fi
  local command=$words[2]
  shift words; (( CURRENT-- ))
  case $command in
${cases.join('\n')}
  esac
}
if [ "$funcstack[1]" = _podwire ]; then _podwire "$@"; else compdef _podwire podwire; fi
`
}

function zshOption(name: string, { short, type, value = 'value', values, what, multiple }: Option): string[] {
  const argument =
    type === 'boolean' ? '' : `:${value}:${values === undefined ? '_files' : `(${values.join(' ')})`}`
  const again = multiple ? '*' : ''
  const text = `[${what.replaceAll(/[[\]]/g, '')}]${argument.replace('[NAMESPACE/]', '')}`
  return [
    quote(`${again}--${name}${text}`),
    ...(short === undefined ? [] : [quote(`${again}-${short}${text}`)]),
  ]
}

function zshOperands(words: Words, commands: Commands): string {
  switch (words.command.completes) {
    case 'pod':
      return 'pod:_podwire_pods'
    case 'directory':
      return 'directory:_files -/'
    default:
      return `word:(${operandsOf(words, commands).join(' ')})`
  }
}

function fish(commands: Commands): string {
  const lines = wordsOf(commands).flatMap((words) => {
    const { name, command } = words
    const seen = `-n ${quote(`__fish_seen_subcommand_from ${name}`)}`
    return [
      `complete -c podwire -n __fish_use_subcommand -f -a ${name} -d ${quote(command.summary)}`,
      ...optionsOf(command).map(
        ([option, spec]) => `complete -c podwire ${seen} ${fishOption(option, spec)}`,
      ),
      ...fishOperands(words, commands).map((operands) => `complete -c podwire ${seen} ${operands}`),
    ]
  })
  return `# fish completion of podwire: podwire completion fish | source\n${lines.join('\n')}\n`
}

function fishOption(name: string, { short, type, values, what }: Option): string {
  return [
    `-l ${name}`,
    ...(short === undefined ? [] : [`-s ${short}`]),
    ...(type === 'boolean' ? [] : values === undefined ? ['-r'] : [`-x -a ${quote(values.join(' '))}`]),
    `-d ${quote(what)}`,
  ].join(' ')
}

function fishOperands(words: Words, commands: Commands): string[] {
  switch (words.command.completes) {
    case 'pod':
      return [`-f -a ${quote('(podwire list -o name 2>/dev/null)')}`]
    case 'directory':
      return [`-f -a ${quote('(__fish_complete_directories)')}`]
    default:
      return operandsOf(words, commands).length === 0
        ? ['-f']
        : [`-f -a ${quote(operandsOf(words, commands).join(' '))}`]
  }
}

/** For every one of the shells. */
function quote(text: string): string {
  return `'${text.replaceAll("'", '’')}'`
}
