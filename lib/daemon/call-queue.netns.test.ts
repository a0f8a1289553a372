import { availableParallelism } from 'node:os'
import { test } from 'tap'
import { Connection } from '../netlink/connection.ts'
import { NETLINK_ROUTE, openSocket } from '../netlink/socket.ts'
import { deleteLinkRequest } from '../rtnl/link.ts'
import { makeNamespace } from '../testing/netns.ts'
import { CallQueue } from './call-queue.ts'

const skip = availableParallelism() === 1 && 'with one CPU there is no relay'

test('CallQueue begins nothing that attaches while its relay has enough to do', { skip }, async (t) => {
  const { netns, rtnl, run } = makeNamespace(t, 'queue')
  const queue = new CallQueue({ several: 0 })
  const openDirect = () => netns.enter(() => openSocket(NETLINK_ROUTE))
  const openRelayed = () => netns.enter(() => queue.relay.open(NETLINK_ROUTE))
  const connection = new Connection(queue.relay.transport({ openDirect, openRelayed }))
  t.teardown(() => connection.close())
  const deletions = []
  for (const name of ['a', 'b']) {
    run('ip', 'link', 'add', 'name', name, 'type', 'veth', 'peer', 'name', `${name}-peer`)
    // Which takes the kernel many turns of an event loop.
    const { index } = await rtnl.getLink(name)
    deletions.push(connection.request(deleteLinkRequest(index, `ip link del ${name}`)))
  }
  const begun: string[] = []
  const begin = (name: string, attaches: boolean) =>
    queue.run({ key: name, attaches }, async () => {
      begun.push(`${name} beside ${queue.relay.waiting}`)
    })
  t.equal(queue.relay.waiting, 2)
  t.ok(queue.relay.busyMs > 0)
  await Promise.all([begin('ADD', true), begin('DEL', false)])
  // On a busy machine it may have done with one by the turn in which either begins.
  t.equal(begun.length, 2)
  t.notOk(begun.includes('ADD beside 2'))
  await Promise.all(deletions)
  t.equal(queue.relay.busyMs, 0)
})
