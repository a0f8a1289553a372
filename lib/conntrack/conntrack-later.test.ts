import { setImmediate as nextTurn } from 'node:timers/promises'
import { test } from 'tap'
import { IpAddress } from '../ip/address.ts'
import type { Conntrack } from './conntrack.ts'
import { ConntrackFake } from './conntrack-fake.ts'
import { ConntrackLater } from './conntrack-later.ts'

const address = (text: string) => IpAddress.parse(text)

/** The fake, which the test can hold up and refuse: a list takes its time. */
class SlowConntrack implements Conntrack {
  readonly fake = new ConntrackFake()
  readonly lists: string[] = []
  isClosed = false
  refuse: Error | undefined
  #gate: Promise<void> = Promise.resolve()

  /** @returns what lets the lists from now on go on */
  hold(): () => void {
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#gate = promise
    return resolve
  }

  async flush(addresses: readonly IpAddress[], size: number): Promise<number> {
    this.lists.push(`${addresses.join(' ')} of ${size}`)
    await this.#gate
    if (this.refuse !== undefined) throw this.refuse
    return this.fake.flush(addresses)
  }

  flushPorts(...which: Parameters<Conntrack['flushPorts']>): Promise<number> {
    return this.fake.flushPorts(...which)
  }

  close(): void {
    this.isClosed = true
  }
}

function start(pauseMs = 0) {
  const conntrack = new SlowConntrack()
  for (const end of [5, 6, 7]) conntrack.fake.add({ orig: [`10.1.0.${end}`, '192.0.2.1'] })
  const errors: string[] = []
  const later = new ConntrackLater(conntrack, {
    onError: (error, addresses) => errors.push(`${(error as Error).message}: ${addresses.join(' ')}`),
    pauseMs,
  })
  const left = () => [...conntrack.fake.dump().matchAll(/10\.1\.0\.(\d) >/g)].map(([, end]) => end)
  return { conntrack, later, errors, left }
}

test('ConntrackLater answers at once, and forgets in the next turn', async (t) => {
  const { conntrack, later, left } = start()
  t.equal(await later.flush([address('10.1.0.5')], 3), 0)
  t.strictSame(conntrack.lists, [])
  await later.idle
  t.strictSame(conntrack.lists, ['10.1.0.5 of 3'])
  t.strictSame(left(), ['6', '7'])
})

test('ConntrackLater forgets connections to a port before it answers', async (t) => {
  const { conntrack, later, left } = start()
  const release = conntrack.hold()
  const first = later.flush([address('10.1.0.5')], 3)
  t.equal(await later.flushPorts([{ protocol: 17, port: 53 }], 3, () => true), 3)
  t.strictSame(left(), [])
  release()
  await first
  await later.idle
})

test('ConntrackLater forgets with one list what is given up in one turn', async (t) => {
  const { conntrack, later, left } = start()
  await Promise.all([
    later.flush([address('10.1.0.5')], 3),
    later.flush([address('10.1.0.6'), address('10.1.0.5')], 4),
  ])
  await later.idle
  t.strictSame(conntrack.lists, ['10.1.0.5 10.1.0.6 of 4'], 'each once, and the newest size')
  t.strictSame(left(), ['7'])
})

test('ConntrackLater forgets together what comes while a list is made', async (t) => {
  const { conntrack, later, left } = start()
  const letGo = conntrack.hold()
  await later.flush([address('10.1.0.5')], 3)
  await nextTurn()
  t.equal(conntrack.lists.length, 1)
  await later.flush([address('10.1.0.6')], 3)
  await later.flush([address('10.1.0.7')], 3)
  // Once more: it may have got new connections since the list.
  await later.flush([address('10.1.0.5')], 3)
  letGo()
  await later.idle
  t.strictSame(conntrack.lists, ['10.1.0.5 of 3', '10.1.0.6 10.1.0.7 10.1.0.5 of 3'])
  t.strictSame(left(), [])
})

test('ConntrackLater begins anew when it was idle', async (t) => {
  const { conntrack, later, left } = start()
  await later.idle
  for (const end of [5, 6]) {
    await later.flush([address(`10.1.0.${end}`)], 3)
    await later.idle
  }
  t.equal(conntrack.lists.length, 2)
  t.strictSame(left(), ['7'])
})

test('ConntrackLater tells what it could not forget, and goes on with the rest', async (t) => {
  const { conntrack, later, errors, left } = start()
  conntrack.refuse = new Error('EPERM')
  const letGo = conntrack.hold()
  await later.flush([address('10.1.0.5'), address('10.1.0.6')], 3)
  await nextTurn()
  await later.flush([address('10.1.0.7')], 3)
  letGo()
  await nextTurn()
  conntrack.refuse = undefined
  await later.idle
  t.strictSame(errors, ['EPERM: 10.1.0.5 10.1.0.6'])
  t.strictSame(left(), ['5', '6'])
})

test('ConntrackLater asks for nothing when nothing is given up', async (t) => {
  const { conntrack, later } = start()
  await later.flush([], 3)
  await later.idle
  t.strictSame(conntrack.lists, [])
  later.close()
  t.equal(conntrack.isClosed, true)
})
