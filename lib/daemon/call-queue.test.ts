import { availableParallelism } from 'node:os'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { test } from 'tap'
import { CallQueue, type QueueOptions } from './call-queue.ts'

/** Calls that end when they are told to, and a record of what began and ended. */
class Calls {
  readonly queue: CallQueue
  readonly events: string[] = []
  readonly #ends = new Map<string, PromiseWithResolvers<string>>()

  constructor(options: QueueOptions) {
    this.queue = new CallQueue(options)
  }

  run(name: string, key: string | undefined, attaches = false): Promise<string> {
    const end = Promise.withResolvers<string>()
    this.#ends.set(name, end)
    return this.queue.run({ key, attaches }, () => {
      this.events.push(`begin ${name}`)
      return end.promise.finally(() => this.events.push(`end ${name}`))
    })
  }

  end(name: string): void {
    this.#ends.get(name)?.resolve(`done ${name}`)
  }

  fail(name: string): void {
    this.#ends.get(name)?.reject(new Error(`failed ${name}`))
  }
}

async function turns(count: number): Promise<void> {
  for (let i = 0; i < count; i++) await nextTurn()
}

test('CallQueue runs the calls of one key one after the other, and others beside them', async (t) => {
  const calls = new Calls({ limit: 10 })
  const results = [calls.run('a1', 'a'), calls.run('a2', 'a'), calls.run('b1', 'b'), calls.run('a3', 'a')]
  await turns(6)
  t.strictSame(calls.events, ['begin a1', 'begin b1'])
  t.strictSame(calls.queue.state, { running: 2, waiting: 2 })
  calls.end('a1')
  await turns(3)
  t.strictSame(calls.events.slice(2), ['end a1', 'begin a2'])
  calls.end('a2')
  calls.end('a3')
  calls.end('b1')
  t.strictSame(await Promise.all(results), ['done a1', 'done a2', 'done b1', 'done a3'])
  t.ok(calls.events.indexOf('end a2') < calls.events.indexOf('begin a3'), 'a3 after a2')
  await turns(1)
  t.strictSame(calls.queue.state, { running: 0, waiting: 0 })
})

test('CallQueue gives the place of a call that waits for another program to the next, up to a limit', async (t) => {
  const calls = new Calls({ limit: 1, most: 2 })
  const results = ['a', 'b', 'c'].map((name) => calls.run(name, undefined))
  await turns(2)
  t.strictSame(calls.events, ['begin a'])
  const back = Promise.withResolvers<void>()
  const away = calls.queue.whileAway(() => back.promise)
  await turns(4)
  t.strictSame(calls.events, ['begin a', 'begin b'])
  const alsoAway = calls.queue.whileAway(() => back.promise)
  await turns(4)
  t.strictSame(calls.events, ['begin a', 'begin b'], 'two at most')
  back.resolve()
  await Promise.all([away, alsoAway])
  calls.end('a')
  await turns(4)
  t.strictSame(calls.events.slice(2), ['end a'], 'b runs, and is not away')
  calls.end('b')
  await turns(4)
  t.strictSame(calls.events.slice(3), ['end b', 'begin c'])
  calls.end('c')
  await Promise.all(results)
})

test('CallQueue tells when nothing runs or waits', async (t) => {
  const calls = new Calls({ limit: 1 })
  const events: string[] = []
  await calls.queue.idle
  const results = [calls.run('x', undefined), calls.run('y', undefined)]
  for (const who of ['first', 'second']) void calls.queue.idle.then(() => events.push(who))
  calls.end('x')
  await turns(3)
  t.strictSame(events, [])
  calls.end('y')
  await Promise.all(results)
  await turns(1)
  t.strictSame(events, ['first', 'second'])
  await calls.queue.idle
})

test('CallQueue runs calls without a key side by side', async (t) => {
  const calls = new Calls({ limit: 10 })
  const results = ['x', 'y', 'z'].map((name) => calls.run(name, undefined))
  await turns(4)
  t.strictSame(calls.events, ['begin x', 'begin y', 'begin z'])
  for (const name of ['x', 'y', 'z']) calls.end(name)
  await Promise.all(results)
})

test('CallQueue runs no more than its limit, and begins in the order of coming', async (t) => {
  const calls = new Calls({ limit: 2 })
  const results = ['1', '2', '3', '4'].map((name) => calls.run(name, name))
  await turns(8)
  t.strictSame(calls.events, ['begin 1', 'begin 2'])
  t.strictSame(calls.queue.state, { running: 2, waiting: 2 })
  calls.end('2')
  await turns(3)
  t.strictSame(calls.events.slice(2), ['end 2', 'begin 3'])
  for (const name of ['1', '3', '4']) calls.end(name)
  await Promise.all(results)
  t.equal(calls.events.filter((event) => event.startsWith('begin')).join(), 'begin 1,begin 2,begin 3,begin 4')
})

test('CallQueue passes over what waits for its key', async (t) => {
  const calls = new Calls({ limit: 2 })
  const results = [calls.run('a1', 'a'), calls.run('a2', 'a'), calls.run('b1', 'b')]
  await turns(4)
  t.strictSame(calls.events, ['begin a1', 'begin b1'])
  for (const name of ['a1', 'a2', 'b1']) calls.end(name)
  await Promise.all(results)
})

test('CallQueue lets no call overtake one of its key that waits for the relay', async (t) => {
  const calls = new Calls({ enough: 0 })
  const results = [calls.run('ADD a', 'a', true), calls.run('ADD c', 'c', true), calls.run('DEL c', 'c')]
  await turns(4)
  t.strictSame(calls.events, ['begin ADD a'])
  for (const name of ['ADD a', 'ADD c', 'DEL c']) calls.end(name)
  await Promise.all(results)
  t.strictSame(
    calls.events.filter((event) => event.startsWith('begin')),
    ['begin ADD a', 'begin ADD c', 'begin DEL c'],
  )
})

test('CallQueue begins each call in a turn of its own, and none at once', async (t) => {
  const calls = new Calls({ limit: 10 })
  const results = ['1', '2', '3'].map((name) => calls.run(name, undefined))
  const begun: number[] = [calls.events.length]
  for (let i = 0; i < 3; i++) {
    await nextTurn()
    begun.push(calls.events.length)
  }
  t.strictSame(begun, [0, 1, 2, 3])
  for (const name of ['1', '2', '3']) calls.end(name)
  await Promise.all(results)
})

test('CallQueue goes on with a key whose call failed', async (t) => {
  const calls = new Calls({ limit: 1 })
  const first = calls.run('a1', 'a')
  const second = calls.run('a2', 'a')
  await turns(2)
  calls.fail('a1')
  await t.rejects(first, { message: 'failed a1' })
  calls.end('a2')
  t.equal(await second, 'done a2')
  await turns(1)
  t.strictSame(calls.queue.state, { running: 0, waiting: 0 })
})

test('CallQueue does not turn the event loop while all that waits, waits for its key', async (t) => {
  const calls = new Calls({ limit: 10 })
  const results = [calls.run('a1', 'a'), calls.run('a2', 'a')]
  await turns(4)
  t.strictSame(calls.queue.state, { running: 1, waiting: 1 })
  t.notOk(process.getActiveResourcesInfo().includes('Immediate'), 'nothing is scheduled')
  calls.end('a1')
  calls.end('a2')
  await Promise.all(results)
})

const skip = availableParallelism() === 1 && 'with one CPU there is no relay'

test('CallQueue wants its relay while several attach something', { skip }, async (t) => {
  const queue = new CallQueue()
  const end = Promise.withResolvers<void>()
  const run = (key: string, attaches: boolean) => queue.run({ key, attaches }, () => end.promise)
  const calls = [run('a', true), run('b', true), run('c', false), run('d', false)]
  t.notOk(queue.relay.isWanted)
  calls.push(run('e', true))
  t.ok(queue.relay.isWanted)
  end.resolve()
  await Promise.all(calls)
  await turns(1)
  t.notOk(queue.relay.isWanted)
})
