import { test } from 'tap'
import { CniError, encodeError, toCniError } from './errors.ts'

const store = Object.assign(new Error('open store "/x": EREADONLY: read-only file system'), {
  code: 'EREADONLY',
  remedy: 'remount /x read-write',
})
const circle: Error & { cause?: unknown } = new Error('a')
circle.cause = new Error('b', { cause: circle })

test('toCniError gives every error a code, a message and what is behind it', async (t) => {
  for (const [name, thrown, code, message, details] of [
    ['CniError', new CniError(11, 'busy', { details: 'soon' }), 11, 'busy', 'soon'],
    ['CniError with details and cause', new CniError(6, 'x', { details: 'd', cause: store }), 6, 'x', 'd'],
    ['foreign error', new Error('boom'), 999, 'boom', ''],
    ['error without words', new Error(''), 999, 'unknown error', ''],
    ['string', 'boom', 999, 'boom', ''],
    ['undefined', undefined, 999, 'undefined', ''],
    ['remedy', store, 999, store.message, 'remount /x read-write'],
    [
      'chain of causes',
      new Error('lease', { cause: new Error('outer', { cause: store }) }),
      999,
      'lease',
      `outer; ${store.message}; remount /x read-write`,
    ],
    ['cause told already', new Error('a: boom', { cause: new Error('boom') }), 999, 'a: boom', ''],
    [
      'CniError with only a cause',
      new CniError(50, 'not ready', { cause: store }),
      50,
      'not ready',
      `${store.message}; remount /x read-write`,
    ],
    [
      'wrapped CniError',
      new Error('ipam', { cause: new CniError(11, 'busy', { details: 'soon' }) }),
      11,
      'ipam',
      'busy; soon',
    ],
    [
      'AggregateError',
      new AggregateError([new Error('one'), store], 'gc'),
      999,
      'gc',
      `one; ${store.message}; remount /x read-write`,
    ],
    ['circle of causes', circle, 999, 'a', 'b'],
  ] as const) {
    const error = toCniError(thrown)
    t.same([error.code, error.message, error.details], [code, message, details], name)
  }
})

test('toCniError ends a chain of causes that is too long', async (t) => {
  let error = new Error('cause 0')
  for (let depth = 1; depth < 100; depth++) error = new Error(`cause ${depth}`, { cause: error })
  t.equal(toCniError(error).details.split('; ').length, 31)
})

test('encodeError prints as upstream, with the version and without empty details', async (t) => {
  t.equal(
    encodeError(new CniError(7, 'missing network name'), '1.0.0'),
    '{\n    "cniVersion": "1.0.0",\n    "code": 7,\n    "msg": "missing network name"\n}',
  )
  t.match(encodeError(new CniError(7, 'x', { details: 'y' }), '1.0.0'), /"msg": "x",\n {4}"details": "y"\n}$/)
})
