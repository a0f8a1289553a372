import { setImmediate as nextTurn } from 'node:timers/promises'
import { test } from 'tap'
import { ByteWriter } from '../netlink/byte-writer.ts'
import { readMessages } from '../netlink/message.ts'
import type { SocketOptions } from '../netlink/socket.ts'
import { datagram, ScriptedKernel } from '../testing/scripted-kernel.ts'
import { ifinfomsg, RTM_DELLINK, RTM_SETLINK } from './attributes.ts'
import type { IfIndex } from './link.ts'
import { LinkDeletion } from './link-deletion.ts'

const ENODEV = 19
const EMFILE = 24
const EOPNOTSUPP = 95

/** What was sent: `set 5`, `delete 5`, `delete group`. */
function describe(bytes: Uint8Array): string[] {
  return [...readMessages(bytes)].map(({ type, payload }) => {
    const { ifi_index } = ifinfomsg.read(payload)
    if (type === RTM_SETLINK.type) return `set ${ifi_index}`
    return ifi_index === 0 ? 'delete group' : `delete ${ifi_index}`
  })
}

/** A kernel that answers when the test says so. */
class World {
  readonly events = new ScriptedKernel()
  readonly sent: string[][] = []
  readonly deletion: LinkDeletion
  readonly #answers: PromiseWithResolvers<number>[] = []
  readonly settled: string[] = []
  socket: SocketOptions | undefined

  constructor(threads = 1) {
    const open = (options: SocketOptions) => {
      this.socket = options
      return this.events
    }
    const exchange = (bytes: Uint8Array, seq: number) => {
      const messages = describe(bytes)
      if (seq !== messages.length) throw new Error(`asks for an answer to ${seq} of ${messages.length}`)
      this.sent.push(messages)
      const answer = Promise.withResolvers<number>()
      this.#answers.push(answer)
      return answer.promise
    }
    this.deletion = new LinkDeletion({ open, exchange, threads })
  }

  delete(index: number, name = `ip link del ${index}`): void {
    this.deletion.delete(index as IfIndex, name).then(
      () => this.settled.push(`${index} gone`),
      (error: Error) => this.settled.push(error.message),
    )
  }

  async answer(errno: number): Promise<void> {
    this.#answers.shift()?.resolve(errno)
    await nextTurn()
  }

  async fail(error: Error): Promise<void> {
    this.#answers.shift()?.reject(error)
    await nextTurn()
  }

  async announce(ifi_index: number): Promise<void> {
    const payload = new ByteWriter()
    ifinfomsg.write(payload, { ifi_index })
    this.events.say(datagram({ type: RTM_DELLINK.type, flags: 0, seq: 0, payload: payload.finish() }))
    await nextTurn()
  }
}

test('a link is gone when the kernel announces it, before the request is answered', async (t) => {
  const world = new World()
  t.match(world.socket, { groups: [1], only: { type: RTM_DELLINK.type, family: 0 } })
  world.delete(5)
  await world.announce(6)
  t.strictSame(world.settled, [], 'another link')
  await world.announce(5)
  t.strictSame(world.settled, ['5 gone'])
  await world.answer(0)
  t.strictSame(world.settled, ['5 gone'])
  t.strictSame(world.sent, [['delete 5']])
})

test('a link whose announcement is lost is gone when the request is answered', async (t) => {
  const world = new World()
  world.delete(5)
  await world.answer(0)
  t.strictSame(world.settled, ['5 gone'])
})

test('a refusal of the kernel is told', async (t) => {
  const world = new World()
  world.delete(5)
  await world.answer(ENODEV)
  t.strictSame(world.settled, ['ip link del 5: ENODEV: no such device'])
})

test('links go together while a request waits', async (t) => {
  const world = new World(1)
  for (const index of [5, 6, 7]) world.delete(index)
  t.strictSame(world.sent, [['delete 5']])
  await world.answer(0)
  t.strictSame(world.sent.slice(1), [['set 6', 'set 7', 'delete group']])
  await world.announce(7)
  t.strictSame(world.settled, ['5 gone', '7 gone'])
  await world.answer(0)
  t.strictSame(world.settled, ['5 gone', '7 gone', '6 gone'])
})

test('no more requests wait than there are threads', async (t) => {
  const world = new World(2)
  for (const index of [5, 6, 7, 8]) world.delete(index)
  t.strictSame(world.sent, [['delete 5'], ['delete 6']])
  await world.answer(0)
  t.strictSame(world.sent.slice(2), [['set 7', 'set 8', 'delete group']])
})

test('a group that cannot go whole goes one by one', async (t) => {
  const world = new World(1)
  for (const index of [5, 6, 7, 8]) world.delete(index)
  await world.answer(0)
  await world.answer(EOPNOTSUPP)
  t.strictSame(world.settled, ['5 gone'], 'none of them is told what is true of one')
  await world.answer(0)
  await world.answer(EOPNOTSUPP)
  await world.answer(ENODEV)
  t.strictSame(world.sent.slice(2), [['delete 6'], ['delete 7'], ['delete 8']])
  t.strictSame(world.settled.slice(1), [
    '6 gone',
    'ip link del 7: EOPNOTSUPP: operation not supported',
    'ip link del 8: ENODEV: no such device',
  ])
})

test('two calls about one link are both answered', async (t) => {
  const world = new World(2)
  world.delete(5, 'first')
  world.delete(5, 'second')
  await world.announce(5)
  t.strictSame(world.settled, ['5 gone', '5 gone'])
  const again = new World(2)
  again.delete(5, 'first')
  again.delete(5, 'second')
  await again.answer(0)
  await again.answer(ENODEV)
  t.strictSame(again.settled, ['5 gone', 'second: ENODEV: no such device'])
})

test('a request that cannot be sent is an error of its links, and others go on', async (t) => {
  const world = new World(1)
  world.delete(5)
  world.delete(6)
  await world.fail(Object.assign(new Error('socket: Too many open files'), { errno: EMFILE }))
  t.match(world.settled, [/^ip link del 5: EMFILE: /])
  await world.answer(0)
  t.strictSame(world.settled.slice(1), ['6 gone'])
})

test('close() closes the socket', (t) => {
  const world = new World()
  world.deletion.close()
  t.equal(world.events.closed, true)
  t.end()
})
