import { test } from 'tap'
import { hostText, parseListenAddress } from './listen-address.ts'

test('parseListenAddress takes addresses that only this machine has', (t) => {
  const rows = [
    ['127.0.0.1:7070', { host: '127.0.0.1', port: 7070 }, '127.0.0.1:7070'],
    ['127.9.9.9:0', { host: '127.9.9.9', port: 0 }, '127.9.9.9:0'],
    ['[::1]:80', { host: '::1', port: 80 }, '[::1]:80'],
    ['[0:0:0:0:0:0:0:1]:80', { host: '::1', port: 80 }, '[::1]:80'],
  ] as const
  for (const [text, address, host] of rows) {
    t.same(parseListenAddress(text), address)
    t.equal(hostText(address), host)
  }
  t.end()
})

test('parseListenAddress refuses what others can reach, and what it does not understand', (t) => {
  for (const text of [
    '0.0.0.0:7070',
    '[::]:7070',
    '192.0.2.1:80',
    '[fe80::1]:80',
    '128.0.0.1:80',
    '[::2]:80',
  ])
    t.throws(
      () => parseListenAddress(text),
      { message: /others than this machine can reach it/, code: 'EUSAGE' },
      text,
    )
  const nonsense = [
    '',
    '7070',
    ':7070',
    '127.0.0.1',
    '127.0.0.1:',
    'localhost:7070',
    '::1:80',
    '127.0.0.1:65536',
    '127.0.0.1:-1',
  ]
  for (const text of [...nonsense, '127.0.0.1:7070/x', '[127.0.0.1:80', '127.1:80', '[::1%lo]:80'])
    t.throws(
      () => parseListenAddress(text),
      { message: /no address with a port/, remedy: /127\.0\.0\.1:7070/ },
      text,
    )
  t.end()
})
