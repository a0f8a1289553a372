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
  onList: () => void = () => undefined
  #gate: Promise<void> = Promise.resolve()

  /** @returns what lets the lists from now on go on */
  hold(): () => void {
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#gate = promise
    return resolve
  }

  async flush(addresses: readonly IpAddress[], size: number): Promise<number> {
    this.onList()
    this.lists.push(`${addresses.join(' ')} of ${size}`)
    await this.#gate
    if (this.refuse !== undefined) throw this.refuse
    return this.fake.flush(addresses)
  }

  flushPorts(...which: Parameters<Conntrack['flushPorts']>): Promise<number> {
    return this.fake.flushPorts(...which)
  }

  async settle(): Promise<void> {}

  close(): void {
    this.isClosed = true
  }
}

/** By default nothing goes by itself. */
function start(pauseMs = 1e6) {
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

test('ConntrackLater answers at once, and forgets a moment later', async (t) => {
  const { conntrack, later, left } = start(1)
  const { promise: listed, resolve } = Promise.withResolvers<void>()
  conntrack.onList = resolve
  t.equal(await later.flush([address('10.1.0.5')], 3), 0)
  t.strictSame(conntrack.lists, [])
  await listed
  await later.finish()
  t.strictSame(conntrack.lists, ['10.1.0.5 of 3'])
  t.strictSame(left(), ['6', '7'])
})

test('ConntrackLater forgets connections to a port before it answers', async (t) => {
  const { conntrack, later, left } = start()
  await later.flush([address('10.1.0.5')], 3)
  t.equal(await later.flushPorts([{ protocol: 17, port: 53 }], 3, () => true), 3)
  t.strictSame(left(), [])
  t.strictSame(conntrack.lists, [])
  later.close()
})

test('ConntrackLater forgets with one list what is given up meanwhile', async (t) => {
  const { conntrack, later, left } = start()
  await later.flush([address('10.1.0.5')], 3)
  await nextTurn()
  await later.flush([address('10.1.0.6'), address('10.1.0.5')], 4)
  await later.finish()
  t.strictSame(conntrack.lists, ['10.1.0.5 10.1.0.6 of 4'], 'each once, and the newest size')
  t.strictSame(left(), ['7'])
})

test('ConntrackLater makes one list after the other', async (t) => {
  const { conntrack, later, left } = start()
  const letGo = conntrack.hold()
  await later.flush([address('10.1.0.5')], 3)
  const first = later.finish()
  await nextTurn()
  // Once more: it may have got new connections since the list.
  await later.flush([address('10.1.0.6'), address('10.1.0.5')], 3)
  const second = later.finish()
  await nextTurn()
  t.equal(conntrack.lists.length, 1)
  letGo()
  await first
  await second
  t.strictSame(conntrack.lists, ['10.1.0.5 of 3', '10.1.0.6 10.1.0.5 of 3'])
  t.strictSame(left(), ['7'])
})

test('ConntrackLater settles an address before another pod gets it', async (t) => {
  const { conntrack, later, left } = start()
  await later.flush([address('10.1.0.5'), address('10.1.0.6')], 3)
  await later.settle([address('10.1.0.7')])
  t.strictSame(conntrack.lists, [], 'nothing is put off about this one')
  await later.settle([address('10.1.0.7'), address('10.1.0.6')])
  t.strictSame(conntrack.lists, ['10.1.0.5 10.1.0.6 of 3'])
  t.strictSame(left(), ['7'])
  await later.flush([address('10.1.0.7')], 1)
  await later.settle([address('10.1.0.5')])
  t.equal(conntrack.lists.length, 1, 'it is settled')
  later.close()
})

test('ConntrackLater waits for the list that an address is in', async (t) => {
  const { conntrack, later, left } = start()
  const letGo = conntrack.hold()
  await later.flush([address('10.1.0.5')], 3)
  void later.finish()
  let isSettled = false
  const settled = later.settle([address('10.1.0.5')]).then(() => {
    isSettled = true
  })
  await nextTurn()
  t.equal(isSettled, false)
  letGo()
  await settled
  t.strictSame(left(), ['6', '7'])
  t.equal(conntrack.lists.length, 1)
})

test('ConntrackLater tells what it could not forget, and goes on with the rest', async (t) => {
  const { conntrack, later, errors, left } = start()
  conntrack.refuse = new Error('EPERM')
  await later.flush([address('10.1.0.5'), address('10.1.0.6')], 3)
  await later.finish()
  conntrack.refuse = undefined
  await later.flush([address('10.1.0.7')], 3)
  await later.finish()
  t.strictSame(errors, ['EPERM: 10.1.0.5 10.1.0.6'])
  t.strictSame(left(), ['5', '6'])
})

test('ConntrackLater asks for nothing when nothing is given up', async (t) => {
  const { conntrack, later } = start(0)
  await later.flush([], 3)
  await later.finish()
  t.strictSame(conntrack.lists, [])
  later.close()
  t.equal(conntrack.isClosed, true)
})
