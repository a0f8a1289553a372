import { execFileSync } from 'node:child_process'
import {
  closeSync,
  constants,
  fstatSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
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

test('lockByte locks one byte against another descriptor, also beyond the end of the file', (t) => {
  const path = join(t.testdir(), 'lock')
  const open = () => openSync(path, constants.O_CREAT | constants.O_RDWR)
  const [first, second] = [open(), open()]
  const { lockByte } = loadNative()
  for (const offset of [0, 1, 2 ** 32, Number.MAX_SAFE_INTEGER]) {
    t.equal(lockByte(first, offset, true, 0), true, `${offset}`)
    t.equal(lockByte(second, offset, true, 0), false)
    t.equal(lockByte(first, offset, true, 0), true, 'whose it is has it again')
    t.equal(lockByte(second, offset, false, 0), true, 'what is not had may be unlocked')
    t.equal(lockByte(second, offset, true, 0), false)
  }
  t.equal(lockByte(second, 2, true, 0), true, 'the byte beside it')
  t.equal(lockByte(first, 1, false, 0), true)
  t.equal(lockByte(second, 1, true, 0), true)
  closeSync(first)
  t.equal(lockByte(second, 0, true, 0), true, 'free when closed')
  closeSync(second)
  t.end()
})

test('lockByte waits no longer than it may', (t) => {
  const path = join(t.testdir(), 'lock')
  const open = () => openSync(path, constants.O_CREAT | constants.O_RDWR)
  const [first, second] = [open(), open()]
  const { lockByte } = loadNative()
  lockByte(first, 7, true, 0)
  t.equal(lockByte(second, 7, true, 25), false)
  closeSync(first)
  t.equal(lockByte(second, 7, true, 25), true)
  closeSync(second)
  t.end()
})

test('identify tells device and inode in hex, and nothing of what cannot be looked at', (t) => {
  const { identify } = loadNative()
  const directory = t.testdir({ file: '' })
  for (const path of [directory, join(directory, 'file'), '/', '/proc/self/ns/net']) {
    const { dev, ino } = statSync(path, { bigint: true })
    t.equal(identify(path), `${dev.toString(16)}:${ino.toString(16)}`, path)
  }
  for (const path of [
    '',
    join(directory, 'none'),
    `${directory}\0x`,
    `/${'./'.repeat(3000)}`,
    '/proc/version/x',
  ])
    t.equal(identify(path), undefined, path.slice(0, 80))
  t.end()
})

test('kindOf is the type of what a path leads to', (t) => {
  const { kindOf } = loadNative()
  const directory = t.testdir({ file: '' })
  const file = join(directory, 'file')
  symlinkSync(directory, join(directory, 'link'))
  symlinkSync('loop', join(directory, 'loop'))
  t.equal(kindOf(directory), constants.S_IFDIR)
  t.equal(kindOf(join(directory, 'link')), constants.S_IFDIR)
  t.equal(kindOf(file), constants.S_IFREG)
  t.equal(kindOf('/dev/null'), constants.S_IFCHR)
  for (const path of ['', join(directory, 'none'), join(file, 'below')]) t.equal(kindOf(path), 0, path)
  t.throws(() => kindOf(join(directory, 'loop')), { name: 'Error', errno: 40, syscall: 'stat' })
  t.throws(() => kindOf(`${file}\0`), { name: 'Error', errno: 22, syscall: 'stat' })
  t.end()
})

test('openNamespace opens what is a namespace', (t) => {
  const { openNamespace } = loadNative()
  const directory = t.testdir({ file: '' })
  const own = openNamespace('/proc/self/ns/net')
  t.equal(own?.inode, String(statSync('/proc/self/ns/net').ino))
  t.equal(fstatSync(own?.fd ?? -1).ino, statSync('/proc/self/ns/net').ino)
  closeSync(own?.fd ?? -1)
  execFileSync('mkfifo', [join(directory, 'fifo')])
  for (const name of ['', 'file', 'fifo']) t.equal(openNamespace(join(directory, name)), undefined, name)
  t.throws(() => openNamespace(join(directory, 'none')), { name: 'Error', errno: 2, syscall: 'open' })
  t.throws(() => openNamespace('/proc/self/ns/net\0'), { name: 'Error', errno: 22, syscall: 'open' })
  t.end()
})

test('readText reads an open file from its start', (t) => {
  const { readText } = loadNative()
  const path = join(t.testdir(), 'file')
  writeFileSync(path, 'é1\n', 'latin1')
  const fd = openSync(path, 'r')
  t.equal(readText(fd), 'é1\n')
  t.equal(readText(fd), 'é1\n', 'again')
  writeFileSync(path, 'x'.repeat(5000))
  t.equal(readText(fd), 'x'.repeat(4096))
  closeSync(fd)
  t.throws(() => readText(fd), { name: 'Error', errno: 9, syscall: 'read' })
  t.end()
})

test('exchange has two places change what is there', (t) => {
  const directory = t.testdir({ file: 'text', directory: { inner: 'x' } })
  const [file, other] = [join(directory, 'file'), join(directory, 'directory')]
  const native = loadNative()
  native.exchange(file, other)
  t.strictSame([readFileSync(other, 'utf8'), readdirSync(file)], ['text', ['inner']])
  t.throws(() => native.exchange(file, join(directory, 'nothing')), {
    name: 'Error',
    errno: 2,
    syscall: 'rename',
  })
  t.end()
})

test('isSameFile compares what is open with what is there', (t) => {
  const { isSameFile } = loadNative()
  const directory = t.testdir({ file: '', other: '' })
  const path = join(directory, 'file')
  const fd = openSync(path, 'r')
  t.equal(isSameFile(fd, path), true)
  t.equal(isSameFile(fd, join(directory, 'other')), false)
  renameSync(join(directory, 'other'), path)
  t.equal(isSameFile(fd, path), false, 'replaced')
  rmSync(path)
  t.equal(isSameFile(fd, path), false, 'removed')
  closeSync(fd)
  t.throws(() => isSameFile(fd, '/'), { name: 'Error', errno: 9, syscall: 'stat' }, 'not open')
  symlinkSync('file', path)
  t.throws(() => isSameFile(0, path), { name: 'Error', errno: 40, syscall: 'stat' }, 'a loop')
  t.end()
})

test('threadCpuMs grows with what this thread does, and with nothing else', async (t) => {
  const { threadCpuMs } = loadNative()
  const before = threadCpuMs()
  const { user, system } = process.threadCpuUsage()
  t.ok(Math.abs(before - (user + system) / 1000) < 50, 'in ms')
  while (threadCpuMs() === before);
  t.ok(threadCpuMs() > before)
  t.end()
})

test('a client that is none is told by its errno', (t) => {
  const native = loadNative()
  const ENOENT = 2
  const calls: (() => unknown)[] = [
    () => native.tellClient(0, new Uint8Array(1)),
    () => native.endClient(1 << 30, new Uint8Array(1), true),
    () => native.dropClient(-1),
    () => native.isClientGone(5),
    () => native.takeClient(2),
  ]
  for (const call of calls) t.throws(call, { name: 'Error', errno: ENOENT, syscall: 'find client' })
  t.end()
})

test('serve tells the errno of a socket that cannot be made', (t) => {
  const { serve } = loadNative()
  const rows: [path: string, errno: number][] = [
    ['/nowhere/socket', 2],
    [`/${'x'.repeat(200)}`, 36],
    ['/', 98], // not t.testdir(): a checkout's path can be longer than a socket's may be
  ]
  for (const [path, errno] of rows)
    t.throws(
      () => serve(path, 1, () => undefined),
      { name: 'Error', syscall: 'listen', errno },
      path.slice(0, 40),
    )
  t.end()
})

test('calls on a descriptor tell the errno when it is none of theirs', (t) => {
  const native = loadNative()
  const fd = openSync('/dev/null', 'r')
  const bytes = new Uint8Array(16)
  const [EBADF, EINVAL, ENOTSOCK] = [9, 22, 88]
  const rows: [what: string, call: () => unknown, errno: number, syscall: string][] = [
    ['lockByte, not open', () => native.lockByte(-1, 0, true, 0), EBADF, 'fcntl F_OFD_SETLK'],
    ['lockByte, not writable', () => native.lockByte(fd, 0, true, 0), EBADF, 'fcntl F_OFD_SETLK'],
    ['lockByte, before the file', () => native.lockByte(fd, -1, false, 0), EINVAL, 'fcntl F_OFD_SETLK'],
    ['send, not open', () => native.send(-1, bytes), EBADF, 'send'],
    ['send, no socket', () => native.send(fd, bytes), ENOTSOCK, 'send'],
    ['receive, not open', () => native.receive(-1), EBADF, 'recv'],
    ['receive, no socket', () => native.receive(fd), ENOTSOCK, 'recv'],
    ['filterMessages', () => native.filterMessages(fd, 17, 0), ENOTSOCK, 'setsockopt SO_ATTACH_FILTER'],
  ]
  for (const [what, call, errno, syscall] of rows) t.throws(call, { name: 'Error', errno, syscall }, what)
  closeSync(fd)
  t.end()
})

test('calls tell a TypeError when their arguments are of another kind', (t) => {
  const native = loadNative()
  const wrong = 'x' as never
  const rows: [call: () => unknown, message: string][] = [
    [() => native.lockByte(wrong, 0, true, 0), 'expected descriptor, offset, boolean, milliseconds'],
    [() => native.lockByte(0, 0, 1 as never, 0), 'expected descriptor, offset, boolean, milliseconds'],
    [() => native.send(0, wrong), 'expected descriptor, bytes'],
    [() => native.receive(wrong), 'expected integers'],
    [() => native.filterMessages(0, 17, wrong), 'expected integers'],
    [() => native.converse(0, wrong), 'expected descriptor, bytes'],
    [() => native.relay(0, wrong), 'expected descriptor, bytes'],
    [() => native.setNice(wrong), 'expected integers'],
    [() => native.serve(wrong, wrong, () => undefined), 'expected path, integer, function'],
    [() => native.serve(wrong, 1, wrong), 'expected path, integer, function'],
    [() => native.serve(1 as never, 1, () => undefined), 'a string is needed'],
    [() => native.tellClient(0, wrong), 'expected client, bytes'],
    [() => native.dropClient(wrong), 'expected client'],
    [() => native.identify(1 as never), 'expected a path'],
    [() => native.isSameFile(wrong, ''), 'expected descriptor, path'],
    [() => native.exchange(1 as never, ''), 'a string is needed'],
    [() => native.kindOf(1 as never), 'a string is needed'],
    [() => native.openNamespace(1 as never), 'a string is needed'],
    [() => native.readText(wrong), 'expected integers'],
    [() => native.isSameFile(0, 1 as never), 'a string is needed'],
    [() => native.textIn(wrong), 'expected an ArrayBuffer'],
    [() => native.textIn(new Uint8Array(1) as never), 'expected an ArrayBuffer'],
  ]
  for (const [call, message] of rows) t.throws(call, { name: 'TypeError', message })
  t.end()
})

test('converse is answered when the kernel acknowledges', async (t) => {
  // NLMSG_NOOP to rtnetlink, with NLM_F_ACK: acknowledged, and nothing is done.
  const noop = Uint8Array.from([16, 0, 0, 0, 1, 0, 5, 0, 9, 0, 0, 0, 0, 0, 0, 0])
  const [answer = 0, ...more] = await loadNative().converse(loadNative().openNetlink(0), noop)
  const [NLMSG_ERROR, NLM_F_CAPPED] = [2, 1]
  if (typeof answer === 'number') return t.fail(`errno ${answer}`)
  t.strictSame(more, [])
  t.strictSame([...answer].slice(4, 12), [NLMSG_ERROR, 0, 0, NLM_F_CAPPED, 9, 0, 0, 0])
})

test('relay tells the errno of what is no netlink socket', async (t) => {
  const [EBADF, ENOTSOCK] = [9, 88]
  const fd = openSync('/dev/null', 'r')
  t.strictSame(await loadNative().relay(fd, new Uint8Array(16)), [ENOTSOCK])
  closeSync(fd)
  t.strictSame(await loadNative().relay(-1, new Uint8Array(16)), [EBADF])
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

test('textIn is a string of the bytes where they lie, and keeps them as long as it lives', (t) => {
  const native = loadNative()
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as () => void
  const size = 1 << 20
  const textOf = (byte: number) => native.textIn(new Uint8Array(size).fill(byte).buffer)
  const text = textOf(0xe9)
  collect()
  collect()
  const others = Array.from({ length: 8 }, () => new Uint8Array(size).fill(0x78)) // they would lie there, were it free
  t.equal(text, 'é'.repeat(size))
  t.equal(others.length, 8)
  t.equal(native.textIn(new ArrayBuffer(0)), '')
  const before = process.memoryUsage().arrayBuffers
  for (let i = 0; i < 100; i++) textOf(i)
  collect() // the strings, and then what they kept
  collect()
  t.ok(process.memoryUsage().arrayBuffers - before < 50 * size, 'and lets them go with it')
  t.end()
})

test('trimMemory gives back what was freed between things that are still used', async (t) => {
  const kept: Uint8Array[] = []
  // Two of three stay to be collected; malloc cannot give back what lies before the last that is used.
  for (let i = 0; i < 60_000; i++) {
    const bytes = new Uint8Array(1024).fill(1)
    if (i % 1000 === 999) kept.push(bytes)
  }
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as () => void
  collect()
  collect() // What the first has found is freed on another thread; the second waits for that.
  const before = process.memoryUsage.rss()
  await loadNative().trimMemory()
  t.ok(before - process.memoryUsage.rss() > 10 << 20, 'ten of sixty MiB at least')
  t.equal(kept.length, 60)
})
