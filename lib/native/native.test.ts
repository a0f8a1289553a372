import { closeSync, constants, openSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'tap'

import { loadNative, loadNetlinkBinding } from './native.ts'

const LOCK_EX_NB = 2 | 4 // sys/file.h

test('flock answers false when another descriptor holds the lock', (t) => {
  const path = join(t.testdir(), 'lock')
  const [first, second] = [0, 0].map(() => openSync(path, constants.O_CREAT | constants.O_RDWR)) as [
    number,
    number,
  ]
  const native = loadNative()
  t.equal(native.flock(first, LOCK_EX_NB, 0), true)
  t.equal(native.flock(second, LOCK_EX_NB, 0), false)
  closeSync(first)
  t.equal(native.flock(second, LOCK_EX_NB, 0), true)
  closeSync(second)
  t.end()
})

test('setns tells the errno when the descriptor is no namespace', (t) => {
  const fd = openSync('/dev/null', 'r')
  t.throws(() => loadNative().setns(fd), { syscall: 'setns', errno: 22, message: 'setns: Invalid argument' })
  closeSync(fd)
  t.end()
})

test('a call tells a TypeError when its argument is not an integer', (t) => {
  t.throws(() => loadNative().setns('x' as never), { name: 'TypeError', message: 'expected integers' })
  t.end()
})

test('the binding of netlink has what its package expects', (t) => {
  t.type((loadNetlinkBinding() as Record<string, unknown>)['NativeNetlink'], 'function')
  t.end()
})
