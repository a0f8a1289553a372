import { execFileSync } from 'node:child_process'
import { mkdtempSync, readdirSync, readlinkSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Test, test } from 'tap'
import { makeNamespace } from '../testing/netns.ts'
import { Netns } from './netns.ts'

const current = () => readlinkSync('/proc/thread-self/ns/net')

/** The descriptor that lists the directory is gone by then. */
function readlinkIfThere(path: string): string {
  try {
    return readlinkSync(path)
  } catch {
    return ''
  }
}

function scratch(t: Test): string {
  const directory = mkdtempSync(join(tmpdir(), 'podwire-netns-'))
  t.teardown(() => rmSync(directory, { recursive: true }))
  return directory
}

test('Netns.open refuses what is no network namespace', async (t) => {
  const directory = scratch(t)
  const [file, fifo, missing] = ['file', 'fifo', 'missing'].map((name) => join(directory, name)) as [
    string,
    string,
    string,
  ]
  writeFileSync(file, '')
  execFileSync('mkfifo', [fifo])
  const refused: readonly (readonly [path: string, code: string, why: string])[] = [
    [missing, 'ENOENT', 'no such file or directory'],
    ['', 'ENOENT', 'no such file or directory'],
    [join(file, 'below'), 'ENOTDIR', 'not a directory'],
    [file, 'ENOTNETNS', 'this file is not a namespace'],
    [fifo, 'ENOTNETNS', 'this file is not a namespace'],
    [directory, 'ENOTNETNS', 'this file is not a namespace'],
    ['/dev/null', 'ENOTNETNS', 'this file is not a namespace'],
    ['/proc/self/ns/mnt', 'ENOTNETNS', 'this is a namespace, but not one of the network'],
    ['/proc/self/ns/pid', 'ENOTNETNS', 'this is a namespace, but not one of the network'],
    ['/proc/999999999/ns/net', 'ENOENT', 'no such file or directory'],
  ]
  const before = current()
  for (const [path, code, why] of refused) {
    const message = `open network namespace ${JSON.stringify(path)}: ${code}: ${why}`
    t.throws(() => Netns.open(path), { name: 'NetnsError', code, path, message }, path)
  }
  t.equal(current(), before)
})

test('Netns.open leaves no descriptor behind when it refuses', async (t) => {
  const file = join(scratch(t), 'file')
  writeFileSync(file, '')
  const targets = () => readdirSync('/proc/self/fd').map((fd) => readlinkIfThere(`/proc/self/fd/${fd}`))
  t.throws(() => Netns.open(file))
  t.throws(() => Netns.open('/proc/self/ns/mnt'))
  t.strictSame(
    targets().filter((target) => target === file || target.startsWith('mnt:')),
    [],
  )
})

test('Netns.enter runs the work inside and comes back', async (t) => {
  const { netns, path } = makeNamespace(t, 'enter')
  const home = current()
  const inside = netns.enter(() => current())
  t.equal(inside, `net:[${netns.inode}]`)
  t.not(inside, home)
  t.equal(current(), home)
  t.equal(netns.path, path)
})

test('Netns.enter comes back when the work throws', async (t) => {
  const { netns } = makeNamespace(t, 'throw')
  const home = current()
  const work = () => {
    throw new Error(current())
  }
  t.throws(() => netns.enter(work), { message: `net:[${netns.inode}]` })
  t.equal(current(), home)
})

test('Netns knows one namespace by two paths, and its own', async (t) => {
  const { netns, path } = makeNamespace(t, 'same')
  const other = makeNamespace(t, 'other')
  const again = Netns.open(path)
  t.teardown(() => again.close())
  t.ok(again.isSameAs(netns))
  t.notOk(again.isSameAs(other.netns))
  const own = Netns.open('/proc/self/ns/net')
  t.teardown(() => own.close())
  t.ok(own.isSameAs(Netns.own()))
  t.notOk(netns.isSameAs(Netns.own()))
  t.equal(
    Netns.own().enter(() => current()),
    current(),
  )
})

test('Netns keeps its namespace alive when the path is gone', async (t) => {
  const name = `pwt-gone-${process.pid}`
  execFileSync('ip', ['netns', 'add', name])
  const netns = Netns.open(`/var/run/netns/${name}`)
  t.teardown(() => netns.close())
  execFileSync('ip', ['netns', 'del', name])
  t.throws(() => Netns.open(netns.path), { code: 'ENOENT' })
  t.equal(
    netns.enter(() => current()),
    `net:[${netns.inode}]`,
  )
})

test('Netns is of no use when closed, and closing it again closes nothing else', async (t) => {
  const { path } = makeNamespace(t, 'closed')
  const netns = Netns.open(path)
  netns.close()
  const next = Netns.open(path) // has the same number now
  t.teardown(() => next.close())
  t.equal(next.fd, netns.fd)
  netns.close()
  t.throws(() => netns.enter(() => undefined), { code: 'EBADF', message: /EBADF: bad file descriptor$/ })
  t.equal(
    next.enter(() => current()),
    `net:[${next.inode}]`,
    'still open',
  )
  Netns.own().close()
  t.equal(
    Netns.own().enter(() => current()),
    current(),
    'the own namespace is never closed',
  )
})

test('Netns is not entered from inside another: the way back of one would be that of both', async (t) => {
  const [a, b] = [makeNamespace(t, 'a').netns, makeNamespace(t, 'b').netns]
  for (const inner of [a, b, Netns.own()]) {
    t.throws(() => a.enter(() => inner.enter(() => undefined)), { name: 'TypeError', message: /^enter / })
    t.equal(current(), `net:[${Netns.own().inode}]`)
  }
  t.equal(
    a.enter(() => current()),
    `net:[${a.inode}]`,
    'and may be entered after that',
  )
})

test('Netns.create makes a namespace without a name, which ends when it is closed', async (t) => {
  const netns = Netns.create()
  t.not(netns.inode, Netns.own().inode)
  t.equal(
    netns.enter(() => current()),
    `net:[${netns.inode}]`,
  )
  t.equal(current(), `net:[${Netns.own().inode}]`, 'and nobody is in it')
  const again = Netns.open(netns.path)
  t.ok(again.isSameAs(netns))
  again.close()
  netns.close()
  t.throws(() => netns.enter(() => undefined), { code: 'EBADF' })
})
