import fc from 'fast-check'
import { test } from 'tap'
import { CniError } from './errors.ts'
import {
  alias,
  boolean,
  checkedLater,
  choice,
  decode,
  findField,
  type Infer,
  integer,
  json,
  list,
  map,
  nullable,
  object,
  optional,
  parsed,
  string,
} from './schema.ts'
import { listFields } from './schema-fields.ts'

const even = (value: number) => {
  if (value % 2 !== 0) throw new Error(`${value} is odd`)
  return { half: value / 2 }
}

const schema = object({
  bridge: string({ default: 'cni0', doc: 'name of the bridge' }),
  mode: choice(['private', 'vepa'], { default: 'private' }),
  mtu: checkedLater(integer({ min: 0, max: 65535 }), { values: ['auto'] }),
  ipMasq: boolean({ default: true }),
  mac: string({ pattern: /^[0-9a-f:]+$/ }),
  ranges: list(list(object({ subnet: string() }))),
  sysctl: map(string()),
  args: json(),
  table: optional(integer()),
  valid: alias(nullable(list(string())), 'older', 'oldest'),
  even: parsed(integer(), even),
  gateway: parsed(string(), (text) => text.toUpperCase()),
})

const empty: Infer<typeof schema> = {
  bridge: 'cni0',
  mode: 'private',
  mtu: 0,
  ipMasq: true,
  mac: '',
  ranges: [],
  sysctl: {},
  args: undefined,
  table: undefined,
  valid: undefined,
  even: undefined,
  gateway: undefined,
}

test('decode reads a field that is there and gives the zero value or default of one that is not', async (t) => {
  for (const [given, expected] of [
    [{}, {}],
    [undefined, {}],
    [null, {}],
    [{ unknown: 1 }, {}],
    [{ bridge: null, mtu: null, ranges: null, sysctl: null, ipMasq: null }, {}],
    [{ bridge: '' }, { bridge: '' }],
    [
      { ipMasq: false, mtu: 65535 },
      { ipMasq: false, mtu: 65535 },
    ],
    [{ mode: 'vepa' }, { mode: 'vepa' }],
    [{ mode: '' }, {}],
    [{ ranges: [[{ subnet: 'a' }, null], null] }, { ranges: [[{ subnet: 'a' }, { subnet: '' }], []] }],
    [{ sysctl: { 'net.ipv4.X': '1' } }, { sysctl: { 'net.ipv4.X': '1' } }],
    [{ args: [1, { a: null }] }, { args: [1, { a: null }] }],
    [{ table: 0 }, { table: 0 }],
    [{ table: null }, {}],
    [{ valid: null }, { valid: null }],
    [{ valid: [] }, { valid: [] }],
    [{ even: 4 }, { even: { half: 2 } }],
    [{ gateway: 'a' }, { gateway: 'A' }],
    [{ gateway: '' }, {}],
  ] as const) {
    t.same(decode(schema, given), { ...empty, ...expected }, JSON.stringify(given))
  }
})

test('decode matches keys as Go does', async (t) => {
  for (const [text, expected] of [
    ['{"BRIDGE":"a"}', { bridge: 'a' }],
    ['{"Ranges":[[{"Subnet":"a"}]]}', { ranges: [[{ subnet: 'a' }]] }],
    ['{"bridge":"exact","BRIDGE":"a"}', { bridge: 'exact' }],
    ['{"BRIDGE":"a","bridge":"exact","Bridge":"b"}', { bridge: 'exact' }],
    ['{"BRIDGE":"a","Bridge":"b"}', { bridge: 'b' }],
    ['{"older":["x"]}', { valid: ['x'] }],
    ['{"OLDEST":["x"]}', { valid: ['x'] }],
    ['{"valid":null,"older":["x"]}', { valid: null }],
    ['{"older":["x"],"VALID":["y"]}', { valid: ['y'] }],
    ['{"__proto__":{"bridge":"a"},"constructor":1,"toString":2}', {}],
  ] as const) {
    t.same(decode(schema, JSON.parse(text)), { ...empty, ...expected }, text)
  }
})

test('decode names the path, what it expected and what it got', async (t) => {
  for (const [given, message] of [
    ['x', 'network config: expected an object, got a string'],
    [[], 'network config: expected an object, got a list'],
    [{ bridge: 1 }, 'bridge: expected a string, got a number'],
    [{ BRIDGE: true }, 'bridge: expected a string, got a boolean'],
    [{ mode: 'x' }, 'mode: expected one of "private", "vepa", got "x"'],
    [{ mode: 1 }, 'mode: expected a string, got a number'],
    [{ mac: 'X' }, 'mac: expected a string like /^[0-9a-f:]+$/, got "X"'],
    [{ mac: 'X'.repeat(100) }, `mac: expected a string like /^[0-9a-f:]+$/, got "${'X'.repeat(76)}...`],
    [{ mtu: '1' }, 'mtu: expected an integer, got a string'],
    [{ mtu: 1.5 }, 'mtu: expected an integer, got 1.5'],
    [{ mtu: -1 }, 'mtu: expected at least 0, got -1'],
    [{ mtu: 65536 }, 'mtu: expected at most 65535, got 65536'],
    [{ table: 2 ** 64 }, `table: expected at most ${Number.MAX_SAFE_INTEGER}, got 18446744073709552000`],
    [{ ipMasq: 'true' }, 'ipMasq: expected a boolean, got a string'],
    [{ ranges: {} }, 'ranges: expected a list, got an object'],
    [{ ranges: [[], [{}, { subnet: 1 }]] }, 'ranges[1][1].subnet: expected a string, got a number'],
    [{ sysctl: [] }, 'sysctl: expected an object, got a list'],
    [{ sysctl: { 'net.x': 1 } }, 'sysctl["net.x"]: expected a string, got a number'],
    [{ older: 'x' }, 'valid: expected a list, got a string'],
    [{ even: 3 }, 'even: 3 is odd'],
    [{ even: 'x' }, 'even: expected an integer, got a string'],
  ] as const) {
    t.throws(() => decode(schema, given), { code: 7, message }, message)
  }
  t.throws(() => decode(string(), 1, 'ipam.type'), { message: 'ipam.type: expected a string, got a number' })
})

test('parsed lets a CniError of its hook through and keeps the cause of any other', async (t) => {
  const unsupported = parsed(string(), (text) => {
    throw new CniError(2, `unsupported field x: ${text}`)
  })
  t.throws(() => decode(object({ x: unsupported }), { x: 'y' }), {
    code: 2,
    message: 'unsupported field x: y',
  })
  t.throws(() => decode(schema, { even: 3 }), { cause: { message: '3 is odd' } })
  const throwsText = parsed(string(), () => {
    throw 'text'
  })
  t.throws(() => decode(object({ x: throwsText }), { x: 'y' }), { code: 7, message: 'x: text' })
})

test('decode gives back every value that has the type of its schema, whatever the case of its keys', async (t) => {
  const value = fc.record({
    bridge: fc.string(),
    mtu: fc.integer({ min: 0, max: 65535 }),
    ipMasq: fc.boolean(),
    ranges: fc.array(fc.array(fc.record({ subnet: fc.string() }))),
    sysctl: fc.dictionary(fc.string(), fc.string()),
  })
  fc.assert(
    fc.property(value, (given) => {
      const shouted = Object.fromEntries(Object.entries(given).map(([key, one]) => [key.toUpperCase(), one]))
      for (const one of [given, shouted]) {
        const { bridge, mtu, ipMasq, ranges, sysctl } = decode(schema, JSON.parse(JSON.stringify(one)))
        t.same({ bridge, mtu, ipMasq, ranges, sysctl }, given)
      }
    }),
    { numRuns: 50 },
  )
})

test('decode of anything is a value or a CniError 7', async (t) => {
  fc.assert(
    fc.property(fc.dictionary(fc.constantFrom(...Object.keys(empty)), fc.jsonValue()), (given) => {
      try {
        t.ok(decode(schema, given))
      } catch (error) {
        t.match(error, { code: 7, message: /^\w+(\[|:|\.)/ })
      }
    }),
    { numRuns: 200 },
  )
})

test('findField prefers the exact key, else the last in another case', async (t) => {
  t.equal(findField({ NAME: 1, name: 2, Name: 3 }, 'name'), 2)
  t.equal(findField({ NAME: 1, Name: 3 }, 'name'), 3)
  t.equal(findField({}, 'toString'), undefined)
})

test('listFields describes every field in order', async (t) => {
  const rows = listFields(schema).map(({ path, type, default: preset, doc }) =>
    [path, type, preset, doc].join(' | '),
  )
  t.equal(
    rows.join('\n'),
    `bridge | string | "cni0" | name of the bridge
mode | "private" | "vepa" | "private" | 
mtu | integer 0..65535 | "auto" | 0 | 
ipMasq | boolean | true | 
mac | string |  | 
ranges | list of list of object |  | 
ranges[][].subnet | string |  | 
sysctl | map of string |  | 
args | json |  | 
table | integer |  | 
valid | list of string |  | 
even | integer |  | 
gateway | string |  | `,
  )
})
