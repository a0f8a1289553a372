import { execFileSync } from 'node:child_process'
import { closeSync, constants, openSync, readFileSync, readSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { type Test, test } from 'tap'
import { LogDestination, openDestination } from './log-destination.ts'

/** A place that takes so many bytes each time, in turn, and then all; a negative number is an error. */
function makePlace(...takes: readonly number[]) {
  const written: Buffer[] = []
  const rest = [...takes]
  const writeNow = (bytes: Uint8Array): number => {
    const takes = rest.shift() ?? bytes.length
    if (takes < 0) throw new Error('ENOSPC')
    const taken = Buffer.from(bytes.subarray(0, takes))
    written.push(taken)
    return taken.length
  }
  return { writeNow, text: () => Buffer.concat(written).toString() }
}

test('what the place does not take at once comes before the next line', async (t) => {
  const { writeNow, text } = makePlace(2, 0, 3, 0)
  const destination = new LogDestination(writeNow)
  destination.write('first\n')
  t.equal(text(), 'fi')
  destination.write('second\n')
  t.equal(text(), 'first')
  destination.write('third\n')
  t.equal(text(), 'first\nsecond\nthird\n')
})

test('what is kept goes by itself when there is room again', async (t) => {
  const { writeNow, text } = makePlace(0)
  new LogDestination(writeNow, { retryMs: 1 }).write('first\n')
  const alive = setInterval(() => undefined, 1)
  while (text() === '') await pause(1)
  clearInterval(alive)
  t.equal(text(), 'first\n')
})

test('more than may be kept is lost, and told when lines go through again', async (t) => {
  const { writeNow, text } = makePlace(0, 0, 0)
  const destination = new LogDestination(writeNow, { maxKeptBytes: 12 })
  for (const line of ['first\n', 'second\n', 'third\n']) destination.write(line)
  destination.write('4th\n')
  const [first, third, lost = ''] = text().split('\n')
  t.strictSame([first, third], ['first', 'third'])
  t.match(JSON.parse(lost), { level: 50, lost: 2 })
})

test('an error of the place loses lines, and is nobody’s who writes', async (t) => {
  const { writeNow, text } = makePlace(-1, -1)
  const destination = new LogDestination(writeNow)
  for (const line of ['first\n', 'second\n', 'third\n']) destination.write(line)
  const [third, lost = ''] = text().split('\n')
  t.equal(third, 'third')
  t.match(JSON.parse(lost), { lost: 2, msg: /lines were lost/ })
})

test('a line that was cut does not spoil the next', async (t) => {
  const { writeNow, text } = makePlace(3, -1)
  const destination = new LogDestination(writeNow)
  for (const line of ['first\n', 'second\n']) destination.write(line)
  const [cut, second, lost = ''] = text().split('\n')
  t.strictSame([cut, second], ['fir', 'second'])
  t.match(JSON.parse(lost), { lost: 1 })
})

test('what tells of lost lines is told anew when it is lost itself', async (t) => {
  const { writeNow, text } = makePlace(-1, -1, 10, -1)
  const destination = new LogDestination(writeNow)
  for (const line of ['first\n', 'second\n', 'third\n', '4th\n']) destination.write(line)
  const [third, fourth, lost = ''] = text().split('\n')
  t.strictSame([third, fourth], ['third', '4th'])
  t.match(JSON.parse(lost), { lost: 2 })
})

test('a full disk loses lines', async (t) => {
  const destination = openDestination('/dev/full')
  t.doesNotThrow(() => destination.write('first\n'))
})

/** As a runtime or journald that has stopped reading. */
function makeStalledReader(t: Test) {
  const path = join(t.testdir(), 'fifo')
  execFileSync('mkfifo', [path])
  const fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK)
  t.teardown(() => closeSync(fd))
  const buffer = Buffer.alloc(1 << 20)
  return { path, read: () => buffer.toString('utf8', 0, readSync(fd, buffer)) }
}

test('a reader that has stopped reading is not waited for', async (t) => {
  const { path, read } = makeStalledReader(t)
  const destination = openDestination(path)
  const line = `${'x'.repeat(999)}\n`
  for (let i = 0; i < 1000; i++) destination.write(line)
  let text = ''
  while (!text.includes('lines were lost')) {
    text += read()
    destination.write('last\n')
  }
  const lines = text.split('\n').filter((one) => one.startsWith('x'))
  t.ok(lines.length > 100 && lines.length < 1000, `${lines.length} lines`)
  t.ok(
    lines.every((one) => one.length === 999),
    'lines are whole',
  )
})

test('a file is appended to, a line at a time', async (t) => {
  const path = join(t.testdir(), 'logs/podwire.log')
  for (const line of ['first\n', `${'x'.repeat(10_000)}\n`]) openDestination(path).write(line)
  t.equal(readFileSync(path, 'utf8').length, 'first\n'.length + 10_001)
  t.equal(statSync(path).mode & 0o777, 0o600)
})
