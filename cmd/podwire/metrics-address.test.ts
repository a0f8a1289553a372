import { test } from 'tap'
import { parseMetricsAddress } from './metrics-address.ts'

test('--metrics is an address and a port', (t) => {
  t.strictSame(parseMetricsAddress('127.0.0.1:9479'), { host: '127.0.0.1', port: 9479 })
  t.strictSame(parseMetricsAddress('0.0.0.0:1'), { host: '0.0.0.0', port: 1 })
  t.strictSame(parseMetricsAddress('[::1]:65535'), { host: '::1', port: 65535 })
  for (const text of [
    '',
    '9479',
    ':9479',
    '127.0.0.1',
    '127.0.0.1:',
    '127.0.0.1:0',
    '127.0.0.1:65536',
    '127.0.0.1:94790000',
    '127.0.0.1:http',
    '127.0.0.1:-1',
    '127.0.0.1:9479/metrics',
    'http://127.0.0.1:9479',
    '::1:9479',
    '[127.0.0.1]:9479',
    '[::1%lo]:0',
    'node-1:9479',
    'localhost:9479',
    '256.0.0.1:9479',
  ])
    t.throws(() => parseMetricsAddress(text), { code: 'EUSAGE', message: `not "${text}"` }, text)
  t.end()
})
