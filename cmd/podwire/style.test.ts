import { stripVTControlCharacters } from 'node:util'
import { test } from 'tap'

import { formatJson, formatYaml } from './data-formats.ts'
import { formatAge, formatCount, formatTable, PLAIN, styleFor, visible, wrap } from './style.ts'

const S = 1000
const M = 60 * S
const H = 60 * M
const AGES: readonly [ms: number, text: string][] = [
  [-5, '0s'],
  [999, '0s'],
  [119 * S, '119s'],
  [2 * M, '2m'],
  [3 * M + 12 * S, '3m12s'],
  [42 * M + 5 * S, '42m'],
  [7 * H + 5 * M, '7h5m'],
  [30 * H, '30h'],
  [5 * 24 * H, '5d'],
]

for (const [ms, text] of AGES) {
  test(`an age of ${ms} ms is told as ${text}`, async (t) => t.equal(formatAge(ms), text))
}

test('columns are as wide as what is seen of them', async (t) => {
  const colours = styleFor({ isTerminal: true, environment: {} })
  const table = formatTable(
    ['A', 'B', 'C'],
    [
      [colours.bad('long'), '', ''],
      ['é', 'x', 'y'],
    ],
  )
  t.equal(stripVTControlCharacters(table), 'A     B  C\nlong  -\né     x  y\n')
  t.match(table, '\u001b[31mlong')
})

const HOSTILE: readonly [what: string, text: string, shown: string][] = [
  ['a cleared screen', '\u001b[2J\u001b[H', '\\u001b[2J\\u001b[H'],
  ['a title', '\u001b]0;root\u0007', '\\u001b]0;root\\u0007'],
  ['a link', '\u001b]8;;http://x\u001b\\a', '\\u001b]8;;http://x\\u001b\\a'],
  ['hidden text', '\u001b[8mx', '\\u001b[8mx'],
  ['one byte for two', '\u009b2J\u009d0;x\u009c', '\\u009b2J\\u009d0;x\\u009c'],
  ['a line written over', 'good\rbad\b\u007f', 'good\\u000dbad\\u0008\\u007f'],
  ['text from right to left', 'a\u202eb\u2066c', 'a\\u202eb\\u2066c'],
  ['what is not seen', 'a\u200bb\ufeff\u{e0041}', 'a\\u200bb\\ufeff\\udb40\\udc41'],
  ['a forged line', 'a\nb\u2028c', 'a\\u000ab\\u2028c'],
  ['words', 'né-1_.x/ü 中 🙂', 'né-1_.x/ü 中 🙂'],
]

for (const [what, text, shown] of HOSTILE) {
  test(`${what} of others is written out`, async (t) => {
    t.equal(visible(text), shown)
    t.equal(visible(text, 'colours'), shown)
    t.equal(visible(text, 'lines'), shown.replace('\\u000a', '\n'))
    t.equal(formatTable(['A', 'B'], [[text, 'x']]).split('\n')[1], `${shown}  x`)
  })
}

test('our own colours stay where they are meant', async (t) => {
  const { bad, bold } = styleFor({ isTerminal: true, environment: {} })
  const text = `${bold('a')} ${bad('b')}`
  t.equal(visible(text, 'colours'), text)
  t.equal(stripVTControlCharacters(visible(text)), visible(text))
})

test('there are colours on a terminal only, unless nobody wants them', async (t) => {
  for (const [isTerminal, environment] of [
    [false, {}],
    [true, { NO_COLOR: '1' }],
    [true, { TERM: 'dumb' }],
  ] as const) {
    t.equal(styleFor({ isTerminal, environment }), PLAIN)
  }
  t.not(styleFor({ isTerminal: true, environment: { NO_COLOR: '' } }), PLAIN)
})

test('a count has its noun', async (t) => {
  t.strictSame([formatCount(1, 'pod'), formatCount(0, 'pod')], ['1 pod', '0 pods'])
})

test('YAML quotes what could be taken for something else', async (t) => {
  const data = {
    a: [],
    b: {},
    c: [{ d: 1, e: null }, ['x']],
    f: '',
    yes: 'no',
    g: undefined,
    '10.1': '1:2',
    h: "it's",
  }
  t.equal(
    formatYaml(data),
    `a: []
b: {}
c:
  - d: 1
    e: null
  - - x
f: ""
"yes": "no"
"10.1": "1:2"
h: "it's"
`,
  )
  t.equal(formatYaml('x'), 'x\n')
  t.strictSame(JSON.parse(formatJson({ a: 1 })), { a: 1 })
})

test('text is broken between words', async (t) => {
  t.strictSame(wrap('one two three', 8), ['one two', 'three'])
  t.strictSame(wrap('one two three', 2), ['one', 'two', 'three'])
  t.strictSame(wrap('one two three', Number.POSITIVE_INFINITY), ['one two three'])
})
