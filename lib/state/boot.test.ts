import { readFileSync } from 'node:fs'
import { test } from 'tap'

import { bootId, bootTimeMs, isLaterBoot } from './boot.ts'

const UUID = '6c0b4a2e-90a4-4bd5-b6a5-3cbb3a1ad7f2'

function reader(files: Record<string, string>): (path: string) => string | undefined {
  return (path) => files[path]
}

function files(stat: string): Record<string, string> {
  return { '/proc/sys/kernel/random/boot_id': `${UUID}\n`, '/proc/1/stat': stat }
}

const AFTER_NAME = 'S 0 1 1 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0'

test('bootId joins the kernel boot and the start of process 1', async (t) => {
  for (const [name, stat] of [
    ['plain', `1 (systemd) ${AFTER_NAME} 417 1 2\n`],
    ['spaces and parentheses in the name', `1 (a) b (c) ${AFTER_NAME} 417 1 2\n`],
  ] as const) {
    t.equal(bootId(reader(files(stat))), `${UUID}-417`, name)
  }
})

test('bootId differs when process 1 was started again', async (t) => {
  const [before, after] = [417, 99_000].map((start) =>
    bootId(reader(files(`1 (init) ${AFTER_NAME} ${start} 1`))),
  )
  t.not(before, after)
})

test('isLaterBoot compares boots of one kernel', async (t) => {
  for (const [id, other, expected] of [
    [`${UUID}-1000`, `${UUID}-417`, true],
    [`${UUID}-417`, `${UUID}-1000`, false],
    [`${UUID}-417`, `${UUID}-417`, false],
    ['91a2-1000', `${UUID}-417`, false],
    ['', `${UUID}-417`, false],
  ] as const)
    t.equal(isLaterBoot(id, other), expected, `${id} after ${other}`)
})

test('bootId refuses to guess when a file cannot be read', async (t) => {
  for (const missing of ['/proc/sys/kernel/random/boot_id', '/proc/1/stat']) {
    const rest = { ...files(`1 (init) ${AFTER_NAME} 417 1`), [missing]: '' }
    t.throws(() => bootId(reader(rest)), { code: 'EIO', path: missing })
  }
})

test('bootId of this machine is stable', async (t) => {
  const read = (path: string) => readFileSync(path, 'utf8')
  t.equal(bootId(read), bootId(read))
  t.match(bootId(read), /^[0-9a-f-]{36}-[0-9]+$/)
})

test('bootTimeMs is when process 1 started', async (t) => {
  const stat = 'cpu  1 2 3\nctxt 5\nbtime 1700000000\nprocesses 9\n'
  for (const [start, expected] of [
    [0, 1_700_000_000_000],
    [417, 1_700_000_004_170],
    [360_000, 1_700_003_600_000],
  ] as const) {
    const read = reader({ '/proc/stat': stat, '/proc/1/stat': `1 (init) ${AFTER_NAME} ${start} 1` })
    t.equal(bootTimeMs(read), expected)
  }
})

test('bootTimeMs refuses to guess when a file cannot be read', async (t) => {
  const all = { '/proc/stat': 'btime 1700000000\n', '/proc/1/stat': `1 (init) ${AFTER_NAME} 417 1` }
  for (const missing of Object.keys(all)) {
    t.throws(() => bootTimeMs(reader({ ...all, [missing]: '' })), { code: 'EIO', path: missing })
  }
})

test('bootTimeMs of this machine is before now and after this millennium began', async (t) => {
  const time = bootTimeMs((path) => readFileSync(path, 'utf8'))
  t.ok(time < Date.now() && time > Date.UTC(2000))
})
