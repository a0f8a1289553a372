// What the kernel does about the messages: a link that is announced as gone is in no table any more.

import { type Test, test } from 'tap'
import { exchangeOnThread, NETLINK_ROUTE, openForThread, openSocket } from '../netlink/socket.ts'
import { makeNamespace, runJson } from '../testing/netns.ts'
import type { IfIndex } from './link.ts'
import { LinkDeletion } from './link-deletion.ts'
import { RtnlSocket } from './rtnl-socket.ts'

const NO_LINK = 0x7fffffff as IfIndex

function start(t: Test, threads = 2) {
  const namespace = makeNamespace(t, 'del')
  let requests = 0
  const deletion = new LinkDeletion({
    open: (options) => namespace.netns.enter(() => openSocket(NETLINK_ROUTE, options)),
    exchange: (bytes, seq) => {
      requests++
      const fd = namespace.netns.enter(() => openForThread(NETLINK_ROUTE))
      return exchangeOnThread(fd, bytes, seq)
    },
    threads,
  })
  t.teardown(() => deletion.close())
  const links = () =>
    (runJson(namespace, 'ip', '-j', 'link') as { ifname: string; group: string }[]).map(
      ({ ifname, group }) => `${ifname} ${group}`,
    )
  return { namespace, deletion, links, requests: () => requests }
}

/** Links without a peer, of a kind that every kernel has. */
function makeBridges(rtnl: RtnlSocket, ...names: readonly string[]): Promise<void> {
  return rtnl.apply(
    ...names.map((name) => ({ change: 'create link', link: { kind: 'bridge', name } }) as const),
  )
}

async function indexOf(rtnl: RtnlSocket, name: string): Promise<IfIndex> {
  return (await rtnl.getLink(name)).index
}

test('one link is gone when the promise resolves, and its peer with it', async (t) => {
  const { namespace, deletion, links } = start(t)
  namespace.run('ip', 'link', 'add', 'name', 'a', 'type', 'veth', 'peer', 'name', 'b')
  await deletion.delete(await indexOf(namespace.rtnl, 'a'), 'ip link del a')
  t.equal(await namespace.rtnl.findLink('a'), undefined)
  t.equal(await namespace.rtnl.findLink('b'), undefined)
  t.strictSame(links(), ['lo default'])
})

test('40 links at once go by few messages, and the others of the namespace stay as they are', async (t) => {
  const { namespace, deletion, links, requests } = start(t)
  const names = Array.from({ length: 40 }, (_, i) => `d${i}`)
  await makeBridges(namespace.rtnl, ...names, 'stay')
  namespace.run('ip', 'link', 'set', 'stay', 'up')
  const indexes = (await namespace.rtnl.listLinks())
    .filter(({ name }) => name.startsWith('d'))
    .map(({ index }) => index)
  t.equal(indexes.length, 40)
  await Promise.all(indexes.map((index) => deletion.delete(index, `ip link del index ${index}`)))
  t.strictSame(links(), ['lo default', 'stay default'])
  t.equal(requests(), 3, 'two at once, and what came meanwhile together')
  t.match(await namespace.rtnl.getLink('stay'), { up: true })
})

test('a link that is gone already is ENODEV', async (t) => {
  const { deletion } = start(t)
  await t.rejects(deletion.delete(NO_LINK, 'ip link del x'), {
    code: 'ENODEV',
    message: 'ip link del x: ENODEV: no such device',
  })
})

test('links that go together go, though one of them was gone and one cannot be deleted', async (t) => {
  const { namespace, deletion, links } = start(t, 1)
  await makeBridges(namespace.rtnl, 'a', 'b', 'c', 'd', 'e')
  const [a, b, c, d, e] = await Promise.all(
    ['a', 'b', 'c', 'd', 'e'].map((name) => indexOf(namespace.rtnl, name)),
  )
  const remove = (index: IfIndex | undefined) => deletion.delete(index ?? NO_LINK, `ip link del ${index}`)
  const first = remove(a)
  await Promise.all([first, remove(b), remove(NO_LINK), remove(c)])
  t.strictSame(links(), ['lo default', 'd default', 'e default'])
  const lo = await indexOf(namespace.rtnl, 'lo')
  // The first goes alone; the others wait for it, and go together.
  const alone = remove(d)
  const results = await Promise.allSettled([remove(lo), remove(e), alone])
  t.match(results, [
    { status: 'rejected', reason: { code: 'EOPNOTSUPP' } },
    { status: 'fulfilled' },
    { status: 'fulfilled' },
  ])
  t.match(links(), [/^lo /])
  t.equal(links().length, 1)
})

test('ports of a bridge are gone when the promise resolves, and the bridge stays', async (t) => {
  const { namespace, deletion, links } = start(t)
  namespace.run('ip', 'link', 'add', 'name', 'br0', 'up', 'type', 'bridge')
  for (const name of ['p0', 'p1', 'p2'])
    namespace.run('ip', 'link', 'add', 'name', name, 'up', 'master', 'br0', 'type', 'veth')
  const indexes = await Promise.all(['p0', 'p1', 'p2'].map((name) => indexOf(namespace.rtnl, name)))
  await Promise.all(
    indexes.map(async (index) => {
      await deletion.delete(index, `ip link del ${index}`)
      t.equal(await namespace.rtnl.findLink(index), undefined)
    }),
  )
  t.strictSame(links(), ['lo default', 'br0 default'])
})

test('RtnlSocket deletes links this way when it is given it', async (t) => {
  const { namespace, deletion, links, requests } = start(t)
  const rtnl = new RtnlSocket((options) => namespace.netns.enter(() => openSocket(NETLINK_ROUTE, options)), {
    deletion,
  })
  await makeBridges(namespace.rtnl, 'a')
  const link = await indexOf(rtnl, 'a')
  await rtnl.apply({ change: 'delete link', link })
  t.equal(requests(), 1)
  t.strictSame(links(), ['lo default'])
  rtnl.close()
})
