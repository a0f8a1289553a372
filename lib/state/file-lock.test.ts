import { spawnSync } from 'node:child_process'
import {
  chmodSync,
  closeSync,
  fstatSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Test, test } from 'tap'

import { loadNative } from '../native/native.ts'
import { FileLock, findHolder } from './file-lock.ts'
import type { StoreError } from './store-error.ts'

const { flock } = loadNative()

function lockPath(t: Test): string {
  const directory = mkdtempSync(join(tmpdir(), 'podwire-lock-'))
  t.teardown(() => rmSync(directory, { recursive: true, force: true }))
  return join(directory, 'a', 'b', 'x.lock')
}

test('FileLock makes its file and directories for root alone', async (t) => {
  const path = lockPath(t)
  FileLock.open(path, flock).close()
  t.equal(statSync(path).mode & 0o777, 0o600)
  t.equal(statSync(join(path, '..')).mode & 0o777, 0o700)
})

test('FileLock keeps another out until it is released', async (t) => {
  const path = lockPath(t)
  const [one, two] = [FileLock.open(path, flock), FileLock.open(path, flock)]
  one.acquire(1000)
  t.notOk(two.tryAcquire())
  one.release()
  t.ok(two.tryAcquire())
})

test('FileLock names the holder when the time is up', async (t) => {
  const path = lockPath(t)
  const [one, two] = [FileLock.open(path, flock), FileLock.open(path, flock)]
  one.acquire(1000)
  t.throws(() => two.acquire(1), {
    code: 'ELOCKED',
    message: new RegExp(
      `^lock "${path}": ELOCKED: held by process ${process.pid} \\(.+\\) for more than 1 ms$`,
    ),
  } as unknown as StoreError)
})

test('FileLock that cannot move to a new file leaves those of others alone', async (t) => {
  const path = lockPath(t)
  const lock = FileLock.open(path, flock)
  rmSync(path)
  chmodSync(join(path, '..'), 0o777)
  t.throws(() => lock.acquire(0), { code: 'EUNSAFE' })
  const other = openSync('/dev/null', 'r')
  t.teardown(() => closeSync(other))
  t.throws(() => lock.acquire(0), { code: 'EUNSAFE' })
  t.ok(fstatSync(other).isCharacterDevice(), 'it is still open')
})

test('FileLock moves to the new file when the old one was removed', async (t) => {
  const path = lockPath(t)
  const one = FileLock.open(path, flock)
  rmSync(path)
  const two = FileLock.open(path, flock)
  t.ok(two.tryAcquire())
  t.notOk(one.tryAcquire(), 'both use the new file')
  two.release()
  t.ok(one.tryAcquire())
  t.same(readdirSync(join(path, '..')), ['x.lock'])
})

test('FileLock keeps its note', async (t) => {
  const path = lockPath(t)
  const lock = FileLock.open(path, flock)
  t.equal(lock.readNote(), '')
  lock.writeNote('a longer one')
  lock.writeNote('short')
  t.equal(FileLock.open(path, flock).readNote(), 'short')
  t.equal(readFileSync(path, 'utf8'), 'short\n')
})

test('FileLock reads a note that was not cut to length, and one without an end', async (t) => {
  const path = lockPath(t)
  const lock = FileLock.open(path, flock)
  writeFileSync(path, 'short\nger one\n')
  t.equal(lock.readNote(), 'short')
  writeFileSync(path, 'of an earlier build')
  t.equal(lock.readNote(), 'of an earlier build')
})

test('FileLock never has an empty note between two', async (t) => {
  const path = lockPath(t)
  FileLock.open(path, flock).writeNote('one')
  const watcher = new URL('file-lock.ts', import.meta.url).href
  const script = `
    import { FileLock } from ${JSON.stringify(watcher)}
    import { loadNative } from ${JSON.stringify(new URL('../native/native.ts', import.meta.url).href)}
    FileLock.open(${JSON.stringify(path)}, loadNative().flock).writeNote('two')`
  const args = ['-f', '-y', '-e', 'trace=write,pwrite64,ftruncate', process.execPath]
  const { stderr } = spawnSync('strace', [...args, '--input-type=module-typescript', '--eval', script], {
    encoding: 'utf8',
  })
  const calls = stderr.split('\n').filter((line) => line.includes(path))
  t.same(
    calls.map((line) => /(\w+)\(\d+<[^>]*>, (.*)\)/.exec(line)?.slice(1).join(' ')),
    ['write "two\\n", 4', 'ftruncate 4'],
  )
})

test('findHolder reads /proc/locks', async (t) => {
  const locks = [
    '1: POSIX  ADVISORY  READ  11 fe:00:5678 128 128',
    '2: FLOCK  ADVISORY  WRITE 22 fe:00:56 0 EOF',
    '3: FLOCK  ADVISORY  WRITE 33 fe:00:5678 0 EOF',
    '3: -> FLOCK  ADVISORY  WRITE 44 fe:00:5678 0 EOF',
    '4: FLOCK  ADVISORY  WRITE 0 fe:00:99 0 EOF',
    '',
  ].join('\n')
  t.equal(findHolder(locks, 5678), 33)
  t.equal(findHolder(locks, 99), undefined, 'of another PID namespace')
  t.equal(findHolder(locks, 1), undefined)
})
