// A power cut in the middle of a write: the store of leases, cut off at any byte of what a transaction writes, opens,
// holds what was committed before and no half of anything, and goes on working.

import { t as file, test } from 'tap'
import { isLong } from './form.ts'
import { applyWrites, cutsOf, type Files, record, recover, writesBetween } from './store-files.ts'

file.setTimeout(3_600_000)

const { steps, history } = record()

for (const { what, before, after, states } of steps) {
  test(`store is whole when cut at any byte of ${what}`, (t) => {
    const writes = writesBetween(before, after)
    t.ok(writes.length > 0 && writes.every(({ bytes }) => bytes.length > 0), 'something was written')
    const walBytes = writes
      .filter(({ file }) => file === 'wal')
      .reduce((sum, { bytes }) => sum + bytes.length, 0)
    // A log that is copied back has 4 MB, and is written anew for each cut.
    const each = before.wal.length > 1 << 20 ? 16 : 1
    const wrong = cutsOf(writes, isLong ? each : 97 * each).flatMap((cut) => {
      const expected = cut < walBytes ? states.before : states.after
      return problem(applyWrites(before, writes, cut), [expected]).map(
        (text) => `cut after ${cut} bytes: ${text}`,
      )
    })
    t.same(wrong.slice(0, 3), [])
    t.end()
  })
}

test('store is whole when any sector of its log never reached the disk', (t) => {
  const { after } = steps.find(({ what }) => what === 'a commit') ?? steps[0] ?? { after: undefined }
  if (after === undefined) throw new Error('nothing was recorded')
  const sectors = Array.from({ length: Math.ceil(after.wal.length / 512) }, (_, sector) => sector * 512)
  const wrong = sectors
    .filter((_, at) => isLong || at % 4 === 1 || at > sectors.length - 20)
    .flatMap((offset) => {
      const wal = Uint8Array.from(after.wal).fill(0, offset, offset + 512)
      return problem({ ...after, wal }, history)
        .filter((text) => !text.includes('lost what was committed in this boot')) // rightly: a power cut ends it
        .map((text) => `sector at ${offset}: ${text}`)
    })
  t.same(wrong.slice(0, 3), [])
  t.end()
})

test('store is whole when the note of its lock is cut at any byte', (t) => {
  const last = steps.at(-1)
  if (last === undefined) throw new Error('nothing was recorded')
  const wrong = Array.from({ length: last.after.note.length }, (_, length) => length).flatMap((length) =>
    problem({ ...last.after, note: last.after.note.slice(0, length) }, [last.states.after]).map(
      (text) => `note of ${length} bytes: ${text}`,
    ),
  )
  t.same(wrong, [])
  t.end()
})

/** @returns what is wrong with the store that is made of these files, in the same boot and in the next */
function problem(files: Files, allowed: readonly string[]): string[] {
  const same = recover(files, { nextBoot: false })
  const next = recover(files, { nextBoot: true })
  return [
    ...(allowed.includes(same.held) ? [] : [`it holds ${same.held}, not ${allowed.at(-1)}`]),
    ...(next.held === '' ? [] : [`in the next boot it holds ${next.held}`]),
    ...[...same.faults, ...next.faults],
  ]
}
