// A rehearsal in this process: pods come and go on the kernel, and nothing tells of them then.

import { execFileSync } from 'node:child_process'
import { existsSync, mkdtempSync, readdirSync, readlinkSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { type Test, test } from 'tap'
import { findPlugin, PLUGINS } from './registry.ts'
import { type RehearsalOptions, rehearse } from './rehearsal.ts'

function optionsOf(t: Test): RehearsalOptions {
  const stateDir = mkdtempSync(join(tmpdir(), 'pw-rehearsal-'))
  t.teardown(() => rmSync(stateDir, { recursive: true }))
  return {
    stateDir,
    executable: '/opt/cni/bin/podwire',
    version: '0.0.0',
    plugins: PLUGINS,
    findPlugin,
    pods: 10, // more than there are lanes
    idle: async () => undefined,
    isStopped: () => false,
  }
}

/** Open files of namespaces and of sockets. */
function openFiles(): number {
  const targets = readdirSync('/proc/self/fd').map((fd) => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`)
    } catch {
      return '' // that of the directory itself
    }
  })
  return targets.filter((target) => /^(net|socket):/.test(target)).length
}

const links = () => execFileSync('ip', ['-o', 'link'], { encoding: 'utf8' }).replaceAll(/ qdisc.*/g, '')

test('a rehearsal leaves nothing behind', async (t) => {
  const options = optionsOf(t)
  await rehearse({ ...options, pods: 0 }) // what a process opens once
  const before = { links: links(), files: openFiles() }
  t.match(await rehearse(options), { pods: 10 })
  while (openFiles() > before.files) await nextTurn() // deleted links are let go of a moment later
  t.strictSame({ links: links(), files: openFiles() }, before)
  t.strictSame(readdirSync(options.stateDir), [])
})

test('a rehearsal takes the place of one that was killed', async (t) => {
  const options = optionsOf(t)
  await t.rejects(rehearse({ ...options, findPlugin: () => undefined }), { message: /no plugin is called/ })
  t.strictSame(readdirSync(options.stateDir), [], 'also when it fails')
  execFileSync('sh', [
    '-c',
    `mkdir ${options.stateDir}/rehearsal; echo x >${options.stateDir}/rehearsal/attachments.db`,
  ])
  t.match(await rehearse({ ...options, pods: 1 }), { pods: 1 })
})

test('a rehearsal ends when the daemon stops, and lets calls go first', async (t) => {
  const [asked, idle] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()]
  let isStopped = false
  const options = {
    ...optionsOf(t),
    pods: 40,
    idle() {
      asked.resolve()
      return idle.promise
    },
    isStopped: () => isStopped,
  }
  const rehearsal = rehearse(options)
  await asked.promise
  for (let turn = 0; turn < 100; turn++) await nextTurn() // an ADD takes fewer
  t.notOk(existsSync(`${options.stateDir}/rehearsal/networks`), 'nothing is attached while calls run')
  isStopped = true
  idle.resolve()
  t.match(await rehearsal, { pods: 4 }, 'those that had begun')
})

test('a rehearsal ends with its first failure', async (t) => {
  let asked = 0
  const failing = (name: string) => (name === 'cni-bridge' && ++asked === 20 ? undefined : findPlugin(name))
  const options = { ...optionsOf(t), pods: 100, findPlugin: failing }
  await t.rejects(rehearse(options), { message: /no plugin is called/ })
  t.ok(asked < 60, `${asked} calls`)
  t.strictSame(readdirSync(options.stateDir), [])
})
