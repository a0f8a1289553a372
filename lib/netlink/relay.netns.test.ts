import { readdirSync, readlinkSync } from 'node:fs'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { type Test, test } from 'tap'
import { deleteLinkRequest, getLinkRequest, type IfIndex, listLinksRequest } from '../rtnl/link.ts'
import { makeNamespace } from '../testing/netns.ts'
import { Connection } from './connection.ts'
import { Relay } from './relay.ts'
import { NETLINK_ROUTE, openSocket } from './socket.ts'

const look = (name: string) => getLinkRequest(name, `look at ${name}`)

/** Descriptors of sockets. */
function countSockets(): number {
  return readdirSync('/proc/self/fd').filter((fd) => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`).startsWith('socket:')
    } catch {
      return false // that of the directory, which is closed again
    }
  }).length
}

function connect(t: Test, { protocol = NETLINK_ROUTE, gathers = false } = {}) {
  const namespace = makeNamespace(t, 'relay')
  const state = { isWanted: true, answered: 0 }
  const relay = new Relay({ isWanted: () => state.isWanted, onAnswered: () => state.answered++ })
  const opened: string[] = []
  const transport = relay.transport({
    openDirect() {
      opened.push('direct')
      return namespace.netns.enter(() => openSocket(protocol))
    },
    openRelayed() {
      opened.push('relayed')
      return namespace.netns.enter(() => relay.open(protocol))
    },
  })
  const connection = new Connection(transport, { gathers })
  t.teardown(() => connection.close())
  return { namespace, state, relay, opened, connection }
}

test('Relay asks on another thread when it is wanted, and opens what is needed', async (t) => {
  const { state, relay, opened, connection } = connect(t)
  state.isWanted = false
  t.equal((await connection.request(look('lo'))).length, 1)
  t.strictSame([opened, state.answered], [['direct'], 0])
  state.isWanted = true
  t.equal((await connection.request(look('lo'))).length, 1)
  t.strictSame([opened, state.answered], [['direct', 'relayed'], 1])
  const [first, second] = [connection.request(look('lo')), connection.get(look('lo'))]
  state.isWanted = false
  const third = connection.request(look('lo'))
  t.equal(relay.waiting, 3, 'what comes after what it has goes after it')
  t.equal((await first).length + (await third).length, 2)
  t.ok(await second)
  t.strictSame([relay.waiting, state.answered], [0, 4])
})

test('Relay carries lists, batches and refusals', async (t) => {
  const { namespace, connection } = connect(t)
  for (let i = 0; i < 200; i++) namespace.run('ip', 'link', 'add', 'name', `br${i}`, 'type', 'bridge')
  const [links, again] = await Promise.all([
    connection.dump(listLinksRequest({})),
    connection.dump(listLinksRequest({})),
  ])
  t.strictSame([links.length, again.length], [201, 201], 'of many datagrams')
  await t.rejects(connection.request(look('none')), {
    code: 'ENODEV',
    message: 'look at none: ENODEV: no such device',
  })
  await t.rejects(connection.batch([look('lo'), look('none'), look('br0')]), { message: /^look at none/ })
  t.equal((await connection.batch([look('lo'), look('br0')])).length, 2)
  const all = await Promise.all(Array.from({ length: 100 }, (_, i) => connection.request(look(`br${i}`))))
  t.ok(all.every(({ length }) => length === 1))
})

test('the kernel answers all that was gathered, by the relay and without', async (t) => {
  const { state, relay, connection } = connect(t, { gathers: true })
  for (const isWanted of [true, false]) {
    state.isWanted = isWanted
    const links = connection.dump(listLinksRequest({}))
    const [lo, none, batch] = [
      connection.get(look('lo')),
      connection.get(look('none')),
      connection.batch([look('lo'), look('lo')]),
    ]
    await Promise.resolve()
    t.equal(relay.waiting, isWanted ? 1 : 0)
    t.ok(await lo)
    await t.rejects(none, { message: 'look at none: ENODEV: no such device' })
    t.strictSame([(await batch).length, (await links).length], [2, 1])
  }
})

test('Relay leaves the thread to others while the kernel works', async (t) => {
  const { namespace, connection } = connect(t)
  namespace.run('ip', 'link', 'add', 'name', 'a', 'type', 'veth', 'peer', 'name', 'b')
  const { index } = await namespace.rtnl.getLink('a')
  let isGone = false
  // The kernel waits for all of its readers to let go (rcu_barrier).
  const deletion = connection.request(deleteLinkRequest(index, 'delete a')).then(() => {
    isGone = true
  })
  await nextTurn()
  t.notOk(isGone)
  await deletion
  t.equal(await namespace.rtnl.findLink('a'), undefined)
})

test('Relay keeps a socket open that is closed while it has messages of it', async (t) => {
  const { connection } = connect(t)
  await connection.request(look('lo'))
  const before = countSockets()
  const answers = [connection.request(look('lo')), connection.request(deleteLinkRequest(9 as IfIndex, 'x'))]
  connection.close()
  t.equal(countSockets(), before)
  for (const answer of answers) await t.rejects(answer, { code: 'ENOTCONN' })
  while (countSockets() === before) await nextTurn()
  t.equal(countSockets(), before - 1)
  await t.rejects(connection.request(look('lo')), { code: 'ENOTCONN' })
})

test('Relay tells when there is no socket to be had', async (t) => {
  const { connection, relay } = connect(t, { protocol: 9999 })
  await t.rejects(connection.request(look('lo')), { code: 'EPROTONOSUPPORT', message: /^look at lo: / })
  t.equal(relay.waiting, 0)
})
