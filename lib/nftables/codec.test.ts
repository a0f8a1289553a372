import fc from 'fast-check'
import { test } from 'tap'
import { readPayload } from '../netlink/request.ts'
import { readChain } from './chain.ts'
import {
  concatTypeId,
  DATA_TYPES,
  type DataTypeName,
  formatSpan,
  parseSpan,
  typesOfId,
} from './data-types.ts'
import { elementListAttributes, type NftElement, readElements } from './element.ts'
import { SENT_BY_NFT, SENT_BY_THE_KERNEL } from './golden-bytes.ts'
import { maps, sets, table } from './golden-cases.ts'
import { MESSAGES, NF_TABLES_KINDS } from './messages.ts'
import { operationRequest, operationSummary } from './operation.ts'
import { readRule } from './rule.ts'
import { durationText, isMap, type NftMap, type NftSet, readSet } from './set.ts'
import { readTable } from './table.ts'
import { decodeUserdata, encodeComment, encodeUserdata, readComment } from './userdata.ts'
import { formatVerdict, parseVerdict } from './verdict.ts'

const allSets: readonly (NftSet | NftMap)[] = [...Object.values(sets), ...Object.values(maps)]

const readers: Readonly<Record<string, (payload: Uint8Array) => unknown>> = {
  table: readTable,
  chain: (payload) => readChain(table, payload),
  set: (payload) => readSet(table, payload),
  rule: readRule,
  ...Object.fromEntries(
    allSets.map((set) => [`elements of ${set.name}`, (p: Uint8Array) => readElements(set, [p])]),
  ),
  ...Object.fromEntries(NF_TABLES_KINDS.map((kind) => [kind.name, (p: Uint8Array) => readPayload(kind, p)])),
}

const captured = [...SENT_BY_NFT, ...SENT_BY_THE_KERNEL].map(({ payload }) => Buffer.from(payload, 'hex'))

/** Real messages with some bytes changed, and cut anywhere. */
const mutated = fc
  .record({
    of: fc.constantFrom(...captured),
    changes: fc.array(fc.tuple(fc.nat(400), fc.nat(255)), { maxLength: 6 }),
    length: fc.nat(800),
  })
  .map(({ of, changes, length }) => {
    const bytes = Uint8Array.from(of)
    for (const [at, value] of changes) if (at < bytes.length) bytes[at] = value
    return bytes.subarray(0, Math.max(length, 4))
  })

for (const [name, read] of Object.entries(readers)) {
  test(`reading ${name} throws nothing but RangeError whatever the bytes`, async (t) => {
    const property = fc.property(fc.oneof(mutated, fc.uint8Array({ maxLength: 120 })), (bytes) => {
      try {
        read(bytes)
      } catch (error) {
        if (!(error instanceof RangeError)) throw error
      }
    })
    t.doesNotThrow(() => fc.assert(property, { numRuns: 300 }))
  })
}

const ipv4 = fc.ipV4()
const port = fc.nat(65535).map(String)
const values: Readonly<Record<DataTypeName, fc.Arbitrary<string>>> = {
  ipv4_addr: ipv4,
  ipv6_addr: fc.uint8Array({ minLength: 16, maxLength: 16 }).map(DATA_TYPES.ipv6_addr.format),
  ether_addr: fc.uint8Array({ minLength: 6, maxLength: 6 }).map(DATA_TYPES.ether_addr.format),
  inet_proto: fc.nat(255).map((n) => DATA_TYPES.inet_proto.format(Uint8Array.of(n))),
  inet_service: port,
  mark: fc.nat(0xffffffff).map((n) => `0x${n.toString(16).padStart(8, '0')}`),
  ifname: fc.stringMatching(/^[a-z0-9_.-]{1,15}$/).map((name) => `"${name}"`),
}

test('values of every type come back the same when parsed and formatted', async (t) => {
  for (const [name, value] of Object.entries(values) as [DataTypeName, fc.Arbitrary<string>][]) {
    const property = fc.property(value, value, (a, b) => {
      const types = [name, name] as const
      fc.pre(!(name === 'ifname' && /^"[0-9].*-/.test(a + b)))
      const back = formatSpan(types, parseSpan(types, [a, b]))
      if (back.join() !== [a, b].join()) throw new Error(`${back} instead of ${[a, b]}`)
    })
    t.doesNotThrow(() => fc.assert(property), name)
  }
})

const prefix = fc.tuple(ipv4, fc.integer({ min: 0, max: 32 })).map(([address, length]) => {
  const { first, last } = parseSpan(['ipv4_addr'], [`${address}/${length}`])
  return formatSpan(['ipv4_addr'], { first, last })[0] ?? ''
})

/** The sets of the golden cases with what their elements may be. */
function elementsOf(set: NftSet | NftMap): fc.Arbitrary<NftElement[]> {
  const isRange = set.flags?.includes('interval') ?? false
  const field = (name: DataTypeName) => (isRange && name === 'ipv4_addr' ? prefix : values[name])
  const value = !isMap(set)
    ? fc.constant(undefined)
    : set.value === 'verdict'
      ? fc.constantFrom(['accept'], ['drop'], ['goto a'], ['jump b'], ['return'])
      : fc.tuple(...set.value.map((name) => values[name]))
  const element = fc.record({
    key: fc.tuple(...set.type.map(field)),
    value,
    comment: fc.option(fc.stringMatching(/^[ -!#-~]{0,100}$/), { nil: undefined }),
    timeoutMs: fc.option(fc.integer({ min: 1, max: 1e9 }), { nil: undefined }),
  })
  return fc.array(element, { maxLength: isRange && set.type.length === 1 ? 1 : 5 }) as fc.Arbitrary<
    NftElement[]
  >
}

test('elements come back the same when encoded and decoded', async (t) => {
  for (const set of allSets) {
    const property = fc.property(elementsOf(set), (elements) => {
      const operation = { verb: 'add', elementsOf: set, elements } as const
      const back = readElements(set, [operationRequest(operation, 1).payload])
      const plain = (list: readonly NftElement[]) =>
        JSON.stringify(list.map(({ key, value, comment, timeoutMs }) => [key, value, comment, timeoutMs]))
      if (plain(back) !== plain(elements)) throw new Error(`${plain(back)} instead of ${plain(elements)}`)
    })
    t.doesNotThrow(() => fc.assert(property), set.name)
  }
})

test('ranges that touch stay apart when read', async (t) => {
  const elements = [
    { key: ['10.1.0.0/24'], comment: 'a' },
    { key: ['10.1.1.0/24'], comment: 'b' },
    { key: ['255.0.0.0/8'] },
  ]
  const operation = { verb: 'add', elementsOf: sets.subnets, elements } as const
  t.same(readElements(sets.subnets, [operationRequest(operation, 1).payload]), elements)
})

test('value is refused when it does not fit the type', async (t) => {
  const rows: [DataTypeName, string][] = [
    ['ipv4_addr', 'fd00::5'],
    ['ipv4_addr', '10.1.0.256'],
    ['ipv6_addr', '10.1.0.5'],
    ['inet_service', '65536'],
    ['inet_service', 'http'],
    ['inet_service', ''],
    ['inet_proto', 'gopher'],
    ['mark', '0x1ffffffff'],
    ['ifname', '"sixteen-letters-"'],
    ['ifname', ''],
    ['ether_addr', 'aa:bb'],
  ]
  for (const [type, text] of rows) t.throws(() => parseSpan([type], [text]), `${type} ${text}`)
  t.throws(
    () => parseSpan(['ipv4_addr', 'inet_service'], ['10.1.0.5']),
    { name: 'RangeError' },
    'one value for two types',
  )
})

test('range is refused when the set has no intervals', async (t) => {
  const encode = () => elementListAttributes(sets.addresses, [{ key: ['10.1.0.0/24'] }], { detail: 'whole' })
  t.throws(encode, { message: 'range 10.1.0.0/24 in a set without intervals' })
})

test('type numbers name the types that they were made of', async (t) => {
  t.equal(concatTypeId(['ipv4_addr', 'ipv4_addr']), 0x1c7)
  t.same(typesOfId(0x1c7), ['ipv4_addr', 'ipv4_addr'])
  t.throws(() => typesOfId(63), { name: 'RangeError' })
})

test('comment is refused when the kernel has no room for it or nft could not quote it', async (t) => {
  t.equal(encodeComment('x'.repeat(253)).length, 254)
  for (const comment of ['x'.repeat(254), 'ä'.repeat(127), 'say "hi"', 'two\nlines']) {
    t.throws(() => encodeComment(comment), { name: 'RangeError' })
  }
})

test('userdata of others is read as far as it goes', async (t) => {
  t.same([...decodeUserdata(Uint8Array.of(5, 1, 9, 0, 200, 1))], [[5, Uint8Array.of(9)]])
  t.equal(readComment(Uint8Array.of(0, 2, 104, 105), 0), 'hi', 'without a NUL')
  t.equal(readComment(undefined, 0), undefined)
  t.throws(() => encodeUserdata(new Map([[0, new Uint8Array(256)]])), { name: 'RangeError' })
})

test('verdict is refused when it is none', async (t) => {
  for (const text of ['', 'allow', 'goto', 'accept pods', 'jump a b', 'toString']) {
    t.throws(() => parseVerdict(text), { name: 'RangeError' }, text)
  }
  t.equal(formatVerdict(parseVerdict('goto pods')), 'goto pods')
  t.equal(formatVerdict({ NFTA_VERDICT_CODE: 77 }), 'verdict 77')
})

test('durations read as nft writes them', async (t) => {
  const rows: [number, string][] = [
    [0, '0s'],
    [1, '1ms'],
    [30_000, '30s'],
    [90_061_001, '1d1h1m1s1ms'],
  ]
  for (const [ms, text] of rows) t.equal(durationText(ms), text)
})

test('operation names the first of many elements', async (t) => {
  const elements = Array.from({ length: 5 }, (_, i) => ({ key: [`10.1.0.${i}`] }))
  const operation = { verb: 'delete', elementsOf: sets.addresses, elements } as const
  t.equal(
    operationSummary(operation),
    'delete element inet golden addresses { 10.1.0.0, 10.1.0.1, 10.1.0.2, … 2 more }',
  )
})

test('elements are refused when they are more than one message holds', async (t) => {
  const comment = 'x'.repeat(250)
  const elements = Array.from({ length: 250 }, (_, i) => ({ key: [`10.1.0.${i}`], comment }))
  t.throws(() => operationRequest({ verb: 'add', elementsOf: sets.addresses, elements }, 1), {
    name: 'NftError',
    code: 'ERANGE',
    message: /^add element inet golden addresses .* 247 more \}: ERANGE: .* bytes/,
  })
  t.equal(MESSAGES.element.NEW.name, 'NFT_MSG_NEWSETELEM')
})
