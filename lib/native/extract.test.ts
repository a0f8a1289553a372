import { execFileSync } from 'node:child_process'
import {
  chmodSync,
  chownSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { test } from 'tap'

import { loadFromFirst } from './extract.ts'

const ADDON = { file: 'podwire-0123.node', content: new TextEncoder().encode('an addon') }
const read = (path: string) => readFileSync(path, 'utf8')
const asRoot = process.geteuid?.() === 0 ? {} : { skip: 'needs root to give files to another user' }

test('extraction writes the addon into the first directory when that is empty', (t) => {
  const root = t.testdir()
  const directory = join(root, 'deep/.podwire')
  t.equal(loadFromFirst([directory, join(root, 'second')], ADDON, read), 'an addon')
  t.same(readdirSync(directory), [ADDON.file], 'and leaves nothing else')
  t.same(readdirSync(root), ['deep'])
  t.equal(statSync(join(directory, ADDON.file)).mode & 0o777, 0o500)
  t.end()
})

test('extraction opens the file that is there when it is ours and complete', (t) => {
  const directory = t.testdir()
  const path = join(directory, ADDON.file)
  loadFromFirst([directory], ADDON, read)
  const before = statSync(path).ino
  t.equal(loadFromFirst([directory], ADDON, read), 'an addon')
  t.equal(statSync(path).ino, before)
  t.end()
})

const UNTRUSTED: Readonly<Record<string, (path: string) => void>> = {
  'is short': (path) => writeFileSync(path, 'an add', { mode: 0o500 }),
  'has other bytes': (path) => writeFileSync(path, 'AN ADDON', { mode: 0o500 }),
  'is writable by others': (path) => {
    writeFileSync(path, 'an addon')
    chmodSync(path, 0o702)
  },
  'is a link': (path) => {
    writeFileSync(`${path}.other`, 'an addon', { mode: 0o500 })
    symlinkSync(`${path}.other`, path)
  },
  'is a pipe': (path) => execFileSync('mkfifo', [path]),
}

for (const [condition, make] of Object.entries(UNTRUSTED)) {
  test(`extraction replaces the file when it ${condition}`, (t) => {
    const directory = t.testdir()
    const path = join(directory, ADDON.file)
    make(path)
    t.equal(loadFromFirst([directory], ADDON, read), 'an addon')
    t.equal(statSync(path).mode & 0o777, 0o500)
    t.equal(read(path), 'an addon')
    t.end()
  })
}

test('extraction replaces the file when it belongs to another user', asRoot, (t) => {
  const directory = t.testdir()
  const path = join(directory, ADDON.file)
  writeFileSync(path, 'an addon', { mode: 0o500 })
  chownSync(path, 1000, 1000)
  loadFromFirst([directory], ADDON, read)
  t.equal(statSync(path).uid, 0)
  t.end()
})

const UNSAFE: Readonly<Record<string, (directory: string) => void>> = {
  'is writable by others': (directory) => chmodSync(directory, 0o777),
  'is writable by its group': (directory) => chmodSync(directory, 0o775),
  'is sticky and writable by others': (directory) => chmodSync(directory, 0o1777),
  'belongs to another user': (directory) => chownSync(directory, 1000, 1000),
  'lies below one that is writable by others': (directory) => chmodSync(join(directory, '..'), 0o777),
}

for (const [condition, make] of Object.entries(UNSAFE)) {
  test(`extraction takes the next directory when one ${condition}`, asRoot, (t) => {
    const root = t.testdir({ parent: { first: {} } })
    const first = join(root, 'parent/first')
    const second = join(root, 'second')
    make(first)
    t.equal(loadFromFirst([first, second], ADDON, read), 'an addon')
    t.same(readdirSync(first), [], 'and writes nothing there')
    t.same(readdirSync(second), [ADDON.file])
    t.end()
  })
}

test('extraction takes the next directory when one cannot be loaded from', (t) => {
  const root = t.testdir()
  const open = (path: string) => {
    if (path.startsWith(join(root, 'noexec'))) throw new Error('failed to map segment from shared object')
    return path
  }
  const directories = [join(root, 'noexec'), join(root, 'good')]
  t.equal(loadFromFirst(directories, ADDON, open), join(root, 'good', ADDON.file))
  t.end()
})

test('extraction names every directory and the remedy when none will do', (t) => {
  const root = t.testdir({ file: '' })
  mkdirSync(join(root, 'open'))
  chmodSync(join(root, 'open'), 0o777)
  const directories = [join(root, 'file/below'), join(root, 'open')]
  t.throws(() => loadFromFirst(directories, ADDON, read), {
    name: 'AddonError',
    code: 'EADDON',
    message:
      /^load native addon "podwire-0123\.node": EADDON: no directory .*file\/below: ENOTDIR.*; .*open" is writable by others\); make one/,
  })
  t.end()
})
