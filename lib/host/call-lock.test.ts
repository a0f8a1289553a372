import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync, rmSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { type Test, test } from 'tap'
import { loadNative } from '../native/native.ts'
import { CallLocks, callKey, lockCall, offsetOf, tryLockAttachment } from './call-lock.ts'

const KEY = { plugin: 'cni-bridge', containerId: 'pod-1', ifname: 'eth0' }
const OTHER = { ...KEY, ifname: 'net1' }

function start(t: Test) {
  const path = join(t.testdir(), 'state/podwire/calls.lock')
  const native = loadNative()
  const open = () => CallLocks.open(path, native)
  return { path, open, native }
}

/** A process that has the lock until its stdin ends. */
async function lockElsewhere(t: Test, path: string) {
  const script = `
    const { lockCall } = await import(${JSON.stringify(join(import.meta.dirname, 'call-lock.ts'))})
    const { loadNative } = await import(${JSON.stringify(join(import.meta.dirname, '../native/native.ts'))})
    lockCall(process.argv[1], ${JSON.stringify(KEY)}, loadNative())
    process.stdout.write('locked')
    process.stdin.resume()`
  const child = spawn(process.execPath, ['--input-type=module', '-e', script, path], {
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  t.teardown(() => child.kill('SIGKILL'))
  await once(child.stdout, 'data')
  return child
}

test('callKey names the attachment of the calls that change one', (t) => {
  const environment = { CNI_CONTAINERID: 'pod-1', CNI_IFNAME: 'eth0' }
  const keys = ['ADD', 'DEL', 'CHECK', 'GC', 'STATUS', 'VERSION', '', undefined].map((command) =>
    callKey('cni-bridge', { ...environment, CNI_COMMAND: command }),
  )
  t.strictSame(keys, [KEY, KEY, ...Array(6).fill(undefined)])
  t.strictSame(callKey('p', { CNI_COMMAND: 'DEL' }), { plugin: 'p', containerId: '', ifname: '' })
  t.end()
})

test('a lock whose file was removed is had in the new one', (t) => {
  const { path, open } = start(t)
  const one = open()
  rmSync(path)
  const two = open()
  t.equal(two.acquire(KEY), true)
  t.equal(one.acquire(KEY), false)
  two.close()
  t.equal(one.acquire(KEY), true)
  rmSync(path)
  t.equal(one.acquire(KEY), true, 'also when nobody has made one')
  t.equal(open().acquire(KEY), false)
  t.end()
})

test('an attachment is locked against calls of this process, too, and against who locks it likewise', (t) => {
  const { path, open, native } = start(t)
  const calls = open()
  const files = () => readdirSync('/proc/self/fd').length
  const before = files()
  const broken = () => {
    throw new Error('EIO')
  }
  t.throws(() => tryLockAttachment(path, KEY, { ...native, lockByte: broken }), { message: 'EIO' })
  t.equal(files(), before, 'no descriptor stays')
  const release = tryLockAttachment(path, KEY, native)
  t.type(release, 'function')
  t.equal(calls.acquire(KEY), false)
  t.equal(calls.acquire(OTHER), true)
  t.equal(tryLockAttachment(path, KEY, native), undefined)
  t.equal(tryLockAttachment(path, OTHER, native), undefined, 'while a call is at it')
  release?.()
  t.equal(calls.acquire(KEY), true)
  t.equal(tryLockAttachment(path, KEY, native), undefined)
  t.end()
})

test('two descriptors exclude each other by key, until it is released or closed', (t) => {
  const { open } = start(t)
  const [one, two] = [open(), open()]
  t.equal(one.acquire(KEY), true)
  t.equal(two.acquire(KEY), false)
  t.equal(two.acquire(OTHER), true, 'another interface is another lock')
  t.equal(one.acquire(OTHER), false)
  t.equal(one.acquire(KEY), true, 'who has it, has it again')
  one.release(KEY)
  t.equal(two.acquire(KEY), true)
  two.close()
  t.equal(one.acquire(KEY), true, 'closed')
  t.equal(one.acquire(OTHER), true)
  one.close()
  t.end()
})

test('what was not locked may be released', (t) => {
  const { open } = start(t)
  const [one, two] = [open(), open()]
  two.acquire(KEY)
  one.release(KEY)
  t.equal(one.acquire(KEY), false, 'it stays the other’s')
  one.close()
  two.close()
  t.end()
})

test('the file is root’s alone, and so are the directories that are made for it', (t) => {
  const { path, open } = start(t)
  open().close()
  const mode = (file: string) => (statSync(file).mode & 0o777).toString(8)
  t.strictSame([path, join(path, '..'), join(path, '../..')].map(mode), ['600', '700', '700'])
  t.equal(statSync(path).size, 0)
  t.end()
})

test('a file that cannot be had is a StoreError', (t) => {
  const { native } = start(t)
  t.throws(() => CallLocks.open('/proc/version/calls.lock', native), {
    name: 'StoreError',
    message: /\/proc\/version\/calls\.lock/,
  })
  t.end()
})

test('a lock is free when the process that had it ends, however that ends', async (t) => {
  const { path, open } = start(t)
  const locks = open()
  for (const signal of [undefined, 'SIGKILL'] as const) {
    const child = await lockElsewhere(t, path)
    t.equal(locks.acquire(KEY), false)
    t.equal(locks.acquire(OTHER), true)
    if (signal === undefined) child.stdin.end()
    else child.kill(signal)
    await once(child, 'exit')
    t.equal(locks.acquire(KEY), true, `${signal}`)
    locks.release(KEY)
  }
  locks.close()
})

test('acquire waits no longer than it may', (t) => {
  const { open } = start(t)
  const [one, two] = [open(), open()]
  one.acquire(KEY)
  t.equal(two.acquire(KEY, 30), false)
  one.close()
  two.close()
  t.end()
})

test('acquire that may wait has the lock as soon as the other process ends', async (t) => {
  const { path, open } = start(t)
  const child = await lockElsewhere(t, path)
  const locks = open()
  child.kill('SIGKILL')
  // It blocks this thread, and the other process needs none of it to end.
  t.equal(locks.acquire(KEY, 60_000), true)
  locks.close()
})

test('lockCall tells whom it has waited for in vain', (t) => {
  const { path } = start(t)
  const patience: number[] = []
  const lockByte = (_: number, __: number, ___: boolean, timeoutMs: number) => {
    patience.push(timeoutMs)
    return false
  }
  t.throws(() => lockCall(path, KEY, { ...loadNative(), lockByte }), {
    name: 'CniError',
    code: 11,
    message: 'another call of cni-bridge for eth0 of pod-1 has been running for 20000 ms',
    details: `who holds the lock of ${path} is in /proc/locks; end that process, and try again`,
  })
  t.strictSame(patience, [20_000])
  t.end()
})

test('offsets are safe integers that spread', (t) => {
  const offsets = new Set<number>()
  const low = new Set<number>()
  const high = new Set<number>()
  for (let i = 0; i < 20_000; i++) {
    const offset = offsetOf({ ...KEY, containerId: `pod-${i}` })
    if (!(Number.isSafeInteger(offset) && offset >= 0)) t.fail(`offset ${offset}`)
    offsets.add(offset)
    low.add(offset % 2 ** 26)
    high.add(Math.floor(offset / 2 ** 26))
  }
  t.equal(offsets.size, 20_000, 'none twice')
  // Of 2^26 values at random, 20,000 meet each other 3 times.
  t.ok(low.size > 19_950 && high.size > 19_950, `${low.size} and ${high.size} halves`)
  t.not(offsetOf(KEY), offsetOf(OTHER))
  t.not(offsetOf(KEY), offsetOf({ ...KEY, plugin: 'cni-ptp' }))
  t.equal(offsetOf(KEY), offsetOf({ ...KEY }))
  t.end()
})
