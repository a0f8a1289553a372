import { availableParallelism } from 'node:os'
import { test } from 'tap'
import { Connection } from '../netlink/connection.ts'
import { NETLINK_ROUTE } from '../netlink/socket.ts'
import { deleteLinkRequest } from '../rtnl/link.ts'
import { makeNamespace } from '../testing/netns.ts'
import { openRelayed } from '../testing/relayed.ts'
import { CallQueue } from './call-queue.ts'

const skip = availableParallelism() === 1 && 'with one CPU there is no relay'

test('CallQueue begins nothing that attaches while its relay has enough to do', { skip }, async (t) => {
  const { netns, rtnl, run } = makeNamespace(t, 'queue')
  const queue = new CallQueue({ several: 0, enough: 2 })
  const connection = new Connection(openRelayed(netns, NETLINK_ROUTE, { relay: queue.relay }))
  t.teardown(() => connection.close())
  const deletions: Promise<unknown>[] = []
  for (const name of ['a', 'b']) {
    run('ip', 'link', 'add', 'name', name, 'type', 'veth', 'peer', 'name', `${name}-peer`)
    // Which takes the kernel many turns of an event loop.
    const { index } = await rtnl.getLink(name)
    deletions.push(connection.request(deleteLinkRequest(index, `ip link del ${name}`)))
  }
  const begun: string[] = []
  const begin = (key: string, verb: 'ADD' | 'DEL', work = async () => {}) =>
    queue.run({ key, attaches: verb === 'ADD' }, () => {
      begun.push(`${verb} ${key} beside ${queue.relay.waiting}`)
      return work()
    })
  t.equal(queue.relay.waiting, 2)
  t.ok(queue.relay.busyMs > 0)
  const first = begin('one', 'ADD', () => Promise.all(deletions).then(() => undefined))
  const later = [begin('two', 'ADD'), begin('two', 'DEL'), begin('three', 'DEL')]
  await Promise.all([first, ...later])
  t.match(begun[0], /^ADD one /, 'beside which none attaches')
  // On a busy machine it may have done with one by the turn in which they begin.
  t.notOk(begun.includes('ADD two beside 2'))
  const two = begun.filter((text) => text.includes(' two ')).map((text) => text.slice(0, 3))
  t.strictSame(two, ['ADD', 'DEL'], 'those of one container as they came')
  t.equal(begun.length, 4)
  t.equal(queue.relay.busyMs, 0)
})
