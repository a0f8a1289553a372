import { readFileSync } from 'node:fs'
import { test } from 'tap'
import { limitsFor, readOpenFilesLimit } from './limits.ts'

test('limits are what the descriptors of the process allow', (t) => {
  t.strictSame(limitsFor(65_536), { calls: 256, clients: 2048 })
  t.strictSame(limitsFor(Number.POSITIVE_INFINITY), { calls: 256, clients: 2048 })
  t.strictSame(limitsFor(1024), { calls: 60, clients: 480 })
  t.strictSame(limitsFor(16), { calls: 1, clients: 1 })
  t.end()
})

test('the limit of open files is read from what the kernel tells', (t) => {
  const line = 'Max open files            1024                 4096                 files     \n'
  t.equal(readOpenFilesLimit(`Limit Soft Hard Units\n${line}`), 1024)
  t.equal(readOpenFilesLimit(line.replace('1024     ', 'unlimited')), Number.POSITIVE_INFINITY)
  t.ok(readOpenFilesLimit(readFileSync('/proc/self/limits', 'utf8')) >= 64)
  t.end()
})
