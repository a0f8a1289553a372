import { test } from 'tap'
import { parseArgs, parseArgsLeniently, requireKnownArgs } from './args.ts'

test('parseArgs reads pairs', async (t) => {
  for (const [text, pairs] of [
    ['', []],
    ['IP=10.1.0.5', [['IP', '10.1.0.5']]],
    [
      'A=1;a=2',
      [
        ['A', '1'],
        ['a', '2'],
      ],
    ],
    ['A=1;A=2', [['A', '2']]],
    ['A=', [['A', '']]],
  ] as const) {
    t.same([...parseArgs(text)], pairs, text)
  }
})

test('parseArgs refuses pairs without exactly one =, parseArgsLeniently drops them', async (t) => {
  for (const [text, pair, kept] of [
    ['A', '"A"', []],
    ['A=1;', '""', [['A', '1']]],
    [
      'A=1;B=2=3;C=4',
      '"B=2=3"',
      [
        ['A', '1'],
        ['C', '4'],
      ],
    ],
    [';', '""', []],
  ] as const) {
    t.throws(() => parseArgs(text), { code: 4, message: `CNI_ARGS: invalid pair ${pair}` }, text)
    t.same([...parseArgsLeniently(text)], kept, text)
  }
})

test('requireKnownArgs takes what the plugin knows', async (t) => {
  for (const text of [
    '',
    'MAC=x',
    'IP=1',
    'IgnoreUnknown=0;IP=1',
    'IgnoreUnknown=1;K=v',
    'K=v;IgnoreUnknown=TRUE',
  ]) {
    requireKnownArgs(parseArgs(text), ['MAC', 'IP'])
    t.pass(text)
  }
})

test('requireKnownArgs names what the plugin does not know', async (t) => {
  for (const [text, message] of [
    ['IP=1;K=v;L=w', 'CNI_ARGS: unknown args ["K=v" "L=w"]'],
    ['ip=1', 'CNI_ARGS: unknown args ["ip=1"]'],
    ['ignoreunknown=1', 'CNI_ARGS: unknown args ["ignoreunknown=1"]'],
    ['IgnoreUnknown=false;K=v', 'CNI_ARGS: unknown args ["K=v"]'],
    [
      'IgnoreUnknown=maybe',
      'CNI_ARGS: error parsing value of pair "IgnoreUnknown=maybe": neither true nor false',
    ],
  ] as const) {
    t.throws(() => requireKnownArgs(parseArgs(text), ['IP']), { code: 4, message }, text)
  }
})
