// The shell scripts, as shellcheck reads them.

import { spawnSync } from 'node:child_process'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'tap'

const SCRIPTS = readdirSync(import.meta.dirname, { recursive: true, encoding: 'utf8' })
  .filter((name) => name.endsWith('.sh'))
  .map((name) => join(import.meta.dirname, name))

const hasShellcheck = spawnSync('shellcheck', ['--version']).status === 0

test('shellcheck has nothing to say', { skip: hasShellcheck ? false : 'needs shellcheck' }, async (t) => {
  t.ok(SCRIPTS.length > 3)
  const options = ['--external-sources', '--exclude=SC1112'] // ’ is an apostrophe, and no quote gone wrong
  const { stdout } = spawnSync('shellcheck', [...options, ...SCRIPTS], { encoding: 'utf8' })
  t.equal(stdout, '')
})
