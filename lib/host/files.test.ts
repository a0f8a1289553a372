// Names that lead to what is no file: refused at once, not waited for.

import { execFileSync } from 'node:child_process'
import { closeSync, ftruncateSync, openSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'tap'
import { systemFiles } from './files.ts'

test('files are found with all that is in them', (t) => {
  const long = 'ü\n'.repeat(100_000)
  const directory = t.testdir({ empty: '', text: 'a\0b\n', long })
  t.equal(systemFiles.find(join(directory, 'empty')), '')
  t.equal(systemFiles.find(join(directory, 'text')), 'a\0b\n')
  t.equal(systemFiles.find(join(directory, 'long')), long)
  t.match(systemFiles.find('/proc/self/status'), /^Name:/)
  t.equal(systemFiles.find(join(directory, 'nowhere')), undefined)
  t.end()
})

test('what is no file, or too long for one, is an error and not waited for', (t) => {
  const directory = t.testdir({ sub: {} })
  const path = (name: string) => join(directory, name)
  execFileSync('mkfifo', [path('fifo')])
  symlinkSync('fifo', path('link'))
  const huge = openSync(path('huge'), 'w')
  ftruncateSync(huge, 1 << 30)
  closeSync(huge)
  for (const name of ['sub', 'fifo', 'link']) {
    t.throws(() => systemFiles.find(path(name)), { code: 'EFILE', message: /is no regular file$/ }, name)
  }
  t.throws(() => systemFiles.find('/dev/zero'), { code: 'EFILE' })
  t.throws(() => systemFiles.find(path('huge')), { code: 'EFILE', message: /longer than 1048576 bytes$/ })
  t.throws(() => systemFiles.find('/proc/self/status/x'), { code: 'ENOTDIR' })
  t.end()
})
