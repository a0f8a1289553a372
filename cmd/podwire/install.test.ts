import { existsSync, readdirSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'tap'

import { install } from './install.ts'

const NOW_MS = Date.UTC(2026, 0, 1)

test('install removes what an install has left that was killed, and nothing that is being written', async (t) => {
  const root = t.testdir({ from: { podwire: 'x', 'podwire-shim': 'y' }, to: {} })
  const to = join(root, 'to')
  for (const [name, ageMinutes] of [
    ['podwire.new.12', 11],
    ['podwire-shim.new.12', 11],
    ['podwire.new.13', 9],
    ['podwire.new', 11],
    ['podwire.new.mine', 11],
  ] as const) {
    writeFileSync(join(to, name), 'x')
    const seconds = NOW_MS / 1000 - ageMinutes * 60
    utimesSync(join(to, name), seconds, seconds)
  }
  install(to, { executable: join(root, 'from/podwire'), names: [], withShim: false, nowMs: NOW_MS })
  t.strictSame(readdirSync(to).sort(), ['podwire', 'podwire.new', 'podwire.new.13', 'podwire.new.mine'])
})

test('install makes room before it copies', async (t) => {
  const root = t.testdir({ to: { 'podwire.new.12': 'x' } })
  const executable = join(root, 'not-there')
  const nowMs = Date.UTC(2200, 0, 1)
  t.throws(() => install(join(root, 'to'), { executable, names: [], withShim: false, nowMs }), {
    code: 'ENOENT',
  })
  t.notOk(existsSync(join(root, 'to/podwire.new.12')))
})
