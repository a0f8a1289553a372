// What somebody else may have planted where root keeps its state: refused at once, and left as it is.

import { execFileSync } from 'node:child_process'
import {
  chmodSync,
  chownSync,
  closeSync,
  fstatSync,
  linkSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Test, test } from 'tap'

import { loadNative } from '../native/native.ts'
import { Database } from './database.ts'
import { FileLock } from './file-lock.ts'
import { openOwnFile, requireOwnFiles } from './own-file.ts'
import type { StoreError } from './store-error.ts'

const NOBODY = 65534
const asRoot = { skip: process.geteuid?.() !== 0 && 'only root can give files away' }

function makeDirectory(t: Test): string {
  const directory = mkdtempSync(join(tmpdir(), 'podwire-own-'))
  t.teardown(() => rmSync(directory, { recursive: true }))
  writeFileSync(join(directory, 'victim'), 'precious')
  return directory
}

/** What lies under the name. Each is made in a directory that has a file `victim`. */
const PLANTED: Readonly<Record<string, readonly [make: (path: string) => void, why: RegExp]>> = {
  'a link': [(path) => symlinkSync('victim', path), /is a link$/],
  'a link to nothing': [(path) => symlinkSync('nowhere', path), /is a link$/],
  'a FIFO': [(path) => execFileSync('mkfifo', [path]), /is no regular file$/],
  'a device': [(path) => execFileSync('mknod', [path, 'c', '1', '5']), /is no regular file$/],
  'somebody’s file': [
    (path) => {
      writeFileSync(path, '')
      chownSync(path, NOBODY, NOBODY)
    },
    /belongs to user 65534$/,
  ],
  'a file for all to write': [
    (path) => {
      writeFileSync(path, '')
      chmodSync(path, 0o666)
    },
    /can be written to by others \(mode 666\)$/,
  ],
  'a file for a group to write': [
    (path) => {
      writeFileSync(path, '')
      chownSync(path, 0, NOBODY)
      chmodSync(path, 0o620)
    },
    /can be written to by others \(mode 620\)$/,
  ],
}

const DIRECTORIES: readonly (readonly [what: string, change: (directory: string) => void, why: RegExp])[] = [
  ['all may write to', (directory) => chmodSync(directory, 0o777), /mode 777\)$/],
  ['is like /tmp', (directory) => chmodSync(directory, 0o1777), /mode 1777\)$/],
  ['is somebody’s', (directory) => chownSync(directory, NOBODY, 0), /belongs to user 65534$/],
]

const unsafe = (message: RegExp) =>
  ({ code: 'EUNSAFE', message, remedy: /only root/ }) as unknown as StoreError

test('own files are opened and made, and keep what is in them', (t) => {
  const directory = makeDirectory(t)
  const made = openOwnFile(join(directory, 'a', 'b'))
  t.equal(fstatSync(made).mode & 0o777, 0o600)
  closeSync(made)
  closeSync(openOwnFile(join(directory, 'victim')))
  t.equal(readFileSync(join(directory, 'victim'), 'utf8'), 'precious')
  requireOwnFiles([join(directory, 'victim'), join(directory, 'nowhere')])
  // Who can make one of a file of root's can write to it anyway (protected_hardlinks of proc_sys_fs(5)).
  linkSync(join(directory, 'victim'), join(directory, 'second'))
  requireOwnFiles([join(directory, 'second')])
  t.end()
})

for (const [what, [make, why]] of Object.entries(PLANTED)) {
  test(`own files are refused when ${what} lies there`, asRoot, async (t) => {
    const directory = makeDirectory(t)
    const path = join(directory, 'file')
    make(path)
    t.throws(() => requireOwnFiles([path]), unsafe(why))
    t.throws(() => openOwnFile(path), unsafe(why))
    t.throws(() => FileLock.open(path, loadNative().flock), unsafe(why))
    t.equal(readFileSync(join(directory, 'victim'), 'utf8'), 'precious')
  })

  for (const suffix of ['', '-wal', '-shm', '.lock']) {
    test(`Database is not opened when ${what} lies where its file "${suffix}" would`, asRoot, async (t) => {
      const path = join(makeDirectory(t), 'x.db')
      const schema = { migrations: ['CREATE TABLE a (b TEXT) STRICT'], forget: [] }
      make(`${path}${suffix}`)
      t.throws(() => Database.open(path, schema, { bootId: 'boot' }), unsafe(why))
      t.equal(readFileSync(join(path, '../victim'), 'utf8'), 'precious')
    })
  }
}

for (const [what, change, why] of DIRECTORIES) {
  test(`own files are refused in a directory that ${what}`, asRoot, async (t) => {
    const directory = makeDirectory(t)
    change(directory)
    t.throws(() => openOwnFile(join(directory, 'file')), unsafe(why))
  })
}
