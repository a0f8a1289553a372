// In processes of their own: a priority stays.

import { execFileSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { test } from 'tap'

const PROGRAM = `
  import { execFileSync } from 'node:child_process'
  import { existsSync, readFileSync } from 'node:fs'
  import { getPriority } from 'node:os'
  import { raisePriority } from ${JSON.stringify(new URL('priority.ts', import.meta.url).href)}
  const session = () => existsSync('/proc/self/autogroup') ? readFileSync('/proc/self/autogroup', 'utf8').trim() : undefined
  const before = session()
  const error = raisePriority()
  const started = Number(execFileSync('nice', { encoding: 'utf8' }))
  const result = { error: error && String(error), own: getPriority(), started, before, after: session() }
  console.log(JSON.stringify(result))
`

interface Result {
  readonly error?: string
  readonly own: number
  /** Of a program that it starts. */
  readonly started: number
  readonly before?: string
  readonly after?: string
}

function run(...wrapper: readonly string[]): Result {
  const [file = '', ...args] = [...wrapper, process.execPath, '--input-type=module', '--eval', PROGRAM]
  return JSON.parse(execFileSync(file, args, { encoding: 'utf8' }))
}

test('raisePriority raises that of its thread, and of nothing that it starts', (t) => {
  const { error, own, started, before, after } = run()
  t.strictSame({ error, own, started }, { error: undefined, own: -20, started: 0 })
  t.equal(after, before, 'the session is not its own')
  t.end()
})

test('raisePriority raises that of a session of its own', (t) => {
  const { error, own, started, after } = run('setsid')
  t.strictSame({ error, own, started }, { error: undefined, own: -20, started: 0 })
  if (existsSync('/proc/self/autogroup')) t.match(after, /nice -20$/)
  t.end()
})

test('raisePriority leaves one alone that somebody has chosen', (t) => {
  t.match(run('nice', '-n', '5'), { own: 5, started: 5 })
  t.match(run('nice', '-n', '-5'), { own: -5, started: -5 })
  const { own, before, after } = run('setsid', 'chrt', '--batch', '0')
  t.equal(own, 0)
  t.equal(after, before)
  t.end()
})

test('raisePriority tells when it may not', (t) => {
  const { error, own } = run('setpriv', '--bounding-set', '-sys_nice', '--inh-caps', '-sys_nice')
  t.match(error, /^Error: sched_setattr: Operation not permitted/)
  t.equal(own, 0)
  t.end()
})
