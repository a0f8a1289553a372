// Completion, by the shells themselves where they are there.

import { spawnSync } from 'node:child_process'
import { test } from 'tap'

import type { Commands } from './command.ts'
import { completion } from './completion.ts'

const run = async () => ''
const COMMANDS: Commands = {
  list: {
    usage: 'list',
    summary: "what's attached",
    options: {
      output: { type: 'string', short: 'o', values: ['json', 'yaml'], what: 'as data' },
      network: { type: 'string', value: 'NAME', what: 'of this network' },
    },
    operands: [0, 0],
    examples: [],
    run,
  },
  show: { usage: 'show POD', summary: 'one', operands: [1, 1], completes: 'pod', examples: [], run },
  explain: { usage: 'explain', summary: 'fields', operands: [0, 2], examples: [], run },
  help: { usage: 'help', summary: 'this', operands: [0, 1], completes: 'command', examples: [], run },
  completion: { usage: 'completion', summary: 'this', operands: [1, 1], examples: [], run },
}

/** What bash offers for the last of the words. `podwire list -o name` tells of four pods. */
function complete(...words: readonly string[]): string[] {
  const script = `${completion('bash', COMMANDS)}
podwire() { [ "$*" = 'list -o name' ] && printf '%s\\n' default/web default/api 'x/$(echo run >&2)' 'x/\`id\`;a b'; }
COMP_WORDS=(podwire ${words.map((word) => `'${word}'`).join(' ')})
COMP_CWORD=${words.length}
_podwire
printf '%s\\n' "\${COMPREPLY[@]}"`
  const { stdout: text, stderr } = spawnSync('bash', ['--norc', '-c', script], { encoding: 'utf8' })
  if (stderr !== '') throw new Error(stderr)
  return text.split('\n').filter((word) => word !== '')
}

const ROWS: readonly [words: string[], offered: string[]][] = [
  [[''], ['list', 'show', 'explain', 'help', 'completion']],
  [['l'], ['list']],
  [
    ['list', '-'],
    ['--output', '--network', '--help'],
  ],
  [
    ['list', '-o', ''],
    ['json', 'yaml'],
  ],
  [['list', '--output', 'y'], ['yaml']],
  [
    ['show', 'default/'],
    ['default/web', 'default/api'],
  ],
  // As they can be typed, and not as what a shell would make of them.
  [
    ['show', 'x/'],
    ['x/\\$\\(echo\\ run\\ \\>\\&2\\)', 'x/\\`id\\`\\;a\\ b'],
  ],
  [
    ['help', ''],
    ['list', 'show', 'explain', 'help', 'completion'],
  ],
  [['completion', 'f'], ['fish']],
  [['explain', 'cni-br'], ['cni-bridge']],
  [['nosuch', ''], []],
]

for (const [words, offered] of ROWS) {
  test(`bash offers [${offered.join(' ')}] for podwire ${words.join(' ')}`, async (t) => {
    t.strictSame(complete(...words), offered)
  })
}

test('zsh and fish are told every command, option and value', async (t) => {
  for (const [shell, pieces] of Object.entries({
    zsh: [
      "'list:what’s attached'",
      "'--output[as data]:value:(json yaml)'",
      "'-o[as data]",
      '*:pod:_podwire_pods',
    ],
    fish: [
      "-a list -d 'what’s attached'",
      "-l output -s o -x -a 'json yaml'",
      'podwire list -o name',
      '-l network -r',
    ],
  })) {
    const script = completion(shell, COMMANDS)
    for (const piece of pieces) t.ok(script.includes(piece), `${shell}: ${piece}`)
  }
})

test('a shell that is not known is refused', async (t) => {
  t.throws(() => completion('csh', COMMANDS), { code: 'EUSAGE', message: 'no completion for "csh"' })
})
