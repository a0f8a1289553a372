import { deepStrictEqual } from 'node:assert/strict'
import fc from 'fast-check'
import { test } from 'tap'
import {
  type Call,
  decodeCall,
  decodeOutcome,
  encodeCall,
  encodeFrame,
  encodeOutcome,
  encodeRefusal,
  HEADER_BYTES,
  KIND,
  ProtocolError,
  readHeader,
} from './protocol.ts'

const CALL: Call = {
  plugin: 'bridge',
  netns: 'net:[4026531840]',
  places: ['fd00:2', '1a:1', '-', '4:f0000001'],
  environment: { CNI_COMMAND: 'ADD', CNI_ARGS: 'A=b;C=d', CNI_IFNAME: 'e\u0301th\u4e2d', EMPTY: '' },
  stdin: '{"name":"né\u0000t \ud83d\ude00"}',
}

const strings = (...texts: readonly string[]) => texts.map((text) => `${text}\0`).join('')
const body = (frame: Buffer) => frame.subarray(HEADER_BYTES)
const hex = (frame: Buffer) => frame.toString('hex').replaceAll(/(.{64})/g, '$1\n')
/** A prototype is no part of what was sent. */
const plain = (call: Call) => ({ ...call, environment: { ...call.environment } })

// native/shim.c puts the same bytes together with its own hands.
test('frames are these bytes', (t) => {
  const call = {
    plugin: 'bridge',
    netns: 'net:[1]',
    places: ['1:2', '1:a', '-', '4:3'],
    environment: { A: 'b' },
    stdin: '{}',
  }
  const rows: [what: string, frame: Buffer, expected: string][] = [
    [
      'call',
      encodeCall(call),
      // "PWIR" 1 1 0 36 | "bridge" "net:[1]" "1:2" "1:a" "-" "4:3" "A=b" "" | {}
      `505749520101000024000000${'62726964676500'}${'6e65743a5b315d00'}${'313a3200'}${'313a6100'}${'2d00'}${'343a3300'}${'413d6200'}${'00'}${'7b7d'}`,
    ],
    ['working', encodeFrame(KIND.working), '505749520111000000000000'],
    [
      'outcome',
      encodeOutcome({ exitStatus: 1, stdout: '{}', stderr: 'é' }),
      // exit status 1, 2 bytes of stdout
      '50574952011200000c00000001000000020000007b7dc3a9',
    ],
    ['refused', encodeRefusal('no'), '5057495201130000020000006e6f'],
  ]
  for (const [what, frame, expected] of rows) t.equal(frame.toString('hex'), expected, what)
  t.end()
})

test('a call comes back as it went', (t) => {
  const frame = encodeCall(CALL)
  t.strictSame(readHeader(frame), { version: 1, kind: KIND.call, length: frame.length - HEADER_BYTES })
  t.strictSame(plain(decodeCall(body(frame))), CALL, hex(frame))
  t.end()
})

test('any call comes back as it went', (t) => {
  const text = fc.string({ unit: 'grapheme' }).map((one) => one.replaceAll('\0', ''))
  const name = text.map((one) => one.replaceAll('=', '')).filter((one) => one !== '')
  const calls = fc.record(
    {
      plugin: text,
      netns: text,
      places: fc.tuple(text, text, text, text),
      environment: fc.dictionary(name, text, { noNullPrototype: true }),
      stdin: fc.string({ unit: 'grapheme' }),
    },
    { noNullPrototype: true },
  )
  fc.assert(
    fc.property(calls, (call) => {
      deepStrictEqual(plain(decodeCall(body(encodeCall(call)))), call)
    }),
    { numRuns: 200 },
  )
  t.end()
})

test('any outcome comes back as it went', (t) => {
  const text = fc.string({ unit: 'grapheme' })
  const outcomes = fc.record(
    { exitStatus: fc.nat(0xffffffff), stdout: text, stderr: text },
    { noNullPrototype: true },
  )
  fc.assert(
    fc.property(outcomes, (outcome) => {
      deepStrictEqual(decodeOutcome(body(encodeOutcome(outcome))), outcome)
    }),
    { numRuns: 200 },
  )
  t.end()
})

test('a call that is cut within its strings is refused, and only there', (t) => {
  const whole = body(encodeCall(CALL))
  const stringsEnd = whole.length - Buffer.byteLength(CALL.stdin)
  for (let length = 0; length < stringsEnd; length++)
    t.throws(
      () => decodeCall(whole.subarray(0, length)),
      { name: 'ProtocolError', message: 'daemon protocol: a call ends within its strings' },
      `${length} bytes`,
    )
  const withoutStdin = decodeCall(whole.subarray(0, stringsEnd))
  t.strictSame(plain(withoutStdin), { ...CALL, stdin: '' })
  t.end()
})

test('an outcome that is cut within its numbers or stdout is refused', (t) => {
  const whole = body(encodeOutcome({ exitStatus: 0, stdout: 'stdout', stderr: 'err' }))
  const needed = 8 + 'stdout'.length
  for (let length = 0; length < needed; length++)
    t.throws(() => decodeOutcome(whole.subarray(0, length)), {
      name: 'ProtocolError',
      message: 'daemon protocol: an outcome is cut short',
    })
  t.strictSame(decodeOutcome(whole.subarray(0, needed)), { exitStatus: 0, stdout: 'stdout', stderr: '' })
  t.end()
})

test('variables are those that getenv(3) would find', (t) => {
  const rows: [what: string, variables: string[], expected: Record<string, string>][] = [
    ['the first of a name', ['A=1', 'A=2', 'B=3'], { A: '1', B: '3' }],
    ['everything after the first =', ['A==1=2='], { A: '=1=2=' }],
    ['an empty value', ['A='], { A: '' }],
    ['no variable at all', ['A', '=B', '=', 'C=1'], { C: '1' }],
    ['a name that objects know', ['__proto__=1', 'constructor=2'], { ['__proto__']: '1', constructor: '2' }],
  ]
  for (const [what, variables, expected] of rows) {
    const bytes = Buffer.from(strings('p', 'n', '1', '2', '3', '4', ...variables, ''))
    t.strictSame(Object.entries(decodeCall(bytes).environment), Object.entries(expected), what)
  }
  t.equal(
    decodeCall(Buffer.from(strings('p', 'n', '1', '2', '3', '4', ''))).environment['toString'],
    undefined,
  )
  t.end()
})

test('a call may have no name and no facts: that is for others to refuse', (t) => {
  const { plugin, netns, places, stdin } = decodeCall(Buffer.from(`${'\0'.repeat(7)}config`))
  t.strictSame(
    { plugin, netns, places, stdin },
    { plugin: '', netns: '', places: ['', '', '', ''], stdin: 'config' },
  )
  t.end()
})

test('bytes that are no UTF-8 are replaced, as where a process reads its own', (t) => {
  const bytes = Buffer.from(`${strings('p', 'n', '1', '2', '3', '4', 'A=\xff', '')}\xfe{`, 'latin1')
  const { environment, stdin } = decodeCall(bytes)
  t.strictSame([environment['A'], stdin], ['\ufffd', '\ufffd{'])
  t.end()
})

test('a header that is not ours is refused', (t) => {
  for (const bytes of ['POST / HTTP/', 'pwir\x01\x01\0\0\0\0\0\0', '\0'.repeat(12)])
    t.throws(() => readHeader(Buffer.from(bytes, 'latin1')), {
      name: 'ProtocolError',
      message: 'daemon protocol: this is no frame',
    })
  t.end()
})

test('a header may name any version, kind and length', (t) => {
  const bytes = Buffer.from('5057495202ff0000ffffffff', 'hex')
  t.strictSame(readHeader(bytes), { version: 2, kind: 255, length: 0xffffffff })
  t.end()
})

test('whatever bytes come, they are decoded or refused as a ProtocolError', (t) => {
  const near = fc
    .tuple(fc.uint8Array({ maxLength: 4 }), fc.nat(200))
    .map(([bytes, at]) => mutate(body(encodeCall(CALL)), bytes, at))
  const bytes = fc.oneof(
    fc.uint8Array({ maxLength: 300 }).map((one) => Buffer.from(one)),
    near,
  )
  let decoded = 0
  const decode = (work: () => unknown) => {
    try {
      work()
      decoded++
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error
    }
  }
  fc.assert(
    fc.property(bytes, (one) => {
      decode(() => decodeCall(one))
      decode(() => decodeOutcome(one))
      if (one.length >= HEADER_BYTES) decode(() => readHeader(one))
    }),
    { numRuns: 1000 },
  )
  t.ok(decoded > 0, 'some were decoded')
  t.end()
})

function mutate(whole: Buffer, bytes: Uint8Array, at: number): Buffer {
  const copy = Buffer.from(whole)
  copy.set(bytes.subarray(0, Math.max(0, copy.length - at)), Math.min(at, copy.length))
  return copy
}
