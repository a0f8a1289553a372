import { readdirSync, readlinkSync } from 'node:fs'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { test } from 'tap'
import { getLinkRequest, listLinksRequest } from '../rtnl/link.ts'
import { makeNamespace } from '../testing/netns.ts'
import { ByteWriter } from './byte-writer.ts'
import { Connection, type Transport } from './connection.ts'
import { NLM_F_ACK, NLM_F_REQUEST, NLMSG_ERROR, readMessages, writeMessage } from './message.ts'
import {
  converseOnThread,
  exchangeOnThread,
  NETLINK_ROUTE,
  openForThread,
  openSocket,
  type SocketOptions,
  ThreadTransport,
} from './socket.ts'

// linux/rtnetlink.h
const RTM_NEWLINK = 16
const RTM_DELLINK = 17
const RTM_GETLINK = 18
const RTNLGRP_LINK = 1
// linux/socket.h
const [AF_UNSPEC, AF_BRIDGE] = [0, 7]
const DELETION = `${RTM_DELLINK} of family ${AF_UNSPEC}`
const LOOPBACK = 1
const ENODEV = 19
const ENOTCONN = 107

/** Messages about links, of a header (struct ifinfomsg) only. */
function aboutLinks(...messages: { type: number; index: number; flags?: number }[]): Uint8Array {
  const writer = new ByteWriter()
  for (const [i, { type, index, flags = 0 }] of messages.entries()) {
    const payload = new Uint8Array(16)
    new DataView(payload.buffer).setInt32(4, index, true)
    writeMessage(writer, { type, flags: NLM_F_REQUEST | flags, seq: i + 1, payload })
  }
  return writer.finish()
}

const types = (datagram: Uint8Array | undefined) =>
  datagram === undefined ? undefined : [...readMessages(datagram)].map(({ type }) => type)

/** Descriptors of sockets. */
function sockets(): string[] {
  return readdirSync('/proc/self/fd').filter((fd) => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`).startsWith('socket:')
    } catch {
      // That of the directory, which is closed again.
      return false
    }
  })
}

function openKnown(): { transport: Transport; fd: string } {
  const before = sockets()
  const transport = openSocket(NETLINK_ROUTE)
  const [fd = ''] = sockets().filter((one) => !before.includes(one))
  return { transport, fd }
}

test('what is asked is answered when send() returns', (t) => {
  const socket = openSocket(NETLINK_ROUTE)
  t.equal(socket.receive?.(), undefined, 'nothing yet')
  socket.send(aboutLinks({ type: RTM_GETLINK, index: LOOPBACK }))
  t.strictSame(types(socket.receive?.()), [RTM_NEWLINK])
  t.equal(socket.receive?.(), undefined, 'nothing more')
  socket.send(aboutLinks({ type: RTM_GETLINK, index: 0x7fffffff }))
  t.strictSame(types(socket.receive?.()), [NLMSG_ERROR])
  socket.close()
  t.end()
})

test('a closed transport does not touch the next one that has its descriptor', async (t) => {
  const first = openKnown()
  first.transport.close()
  while (sockets().includes(first.fd)) await nextTurn()
  const second = openKnown()
  t.equal(second.fd, first.fd, 'it has')
  t.throws(() => first.transport.send(aboutLinks({ type: RTM_GETLINK, index: LOOPBACK })), {
    message: 'the socket is closed',
    errno: ENOTCONN,
  })
  t.equal(second.transport.receive?.(), undefined, 'nothing was asked')
  second.transport.send(aboutLinks({ type: RTM_GETLINK, index: LOOPBACK }))
  t.equal(first.transport.receive?.(), undefined)
  t.strictSame(types(second.transport.receive?.()), [RTM_NEWLINK], 'its answer is its own')
  second.transport.close()
})

test('a socket hears its groups, and of one type and family only when it asks for that', async (t) => {
  const namespace = makeNamespace(t, 'sock')
  const listen = (options: SocketOptions) => {
    const socket = namespace.netns.enter(() => openSocket(NETLINK_ROUTE, options))
    t.teardown(() => socket.close())
    const heard: string[] = []
    const gone = new Promise<string[]>((resolve, reject) =>
      socket.listen((datagram) => {
        heard.push(
          ...[...readMessages(datagram)].map(({ type, payload }) => `${type} of family ${payload[0]}`),
        )
        if (heard.includes(DELETION)) resolve(heard)
      }, reject),
    )
    return { heard, gone }
  }
  const all = listen({ groups: [RTNLGRP_LINK] })
  const deletions = listen({ groups: [RTNLGRP_LINK], only: { type: RTM_DELLINK, family: AF_UNSPEC } })
  const none = listen({})
  namespace.run('ip', 'link', 'add', 'name', 'br0', 'type', 'bridge')
  namespace.run('ip', 'link', 'add', 'name', 'v0', 'type', 'veth', 'peer', 'name', 'v1')
  namespace.run('ip', 'link', 'set', 'v0', 'master', 'br0')
  namespace.run('ip', 'link', 'del', 'v0')
  const announced = [RTM_NEWLINK, RTM_DELLINK].flatMap((type) =>
    [AF_UNSPEC, AF_BRIDGE].map((family) => `${type} of family ${family}`),
  )
  t.strictSame([...new Set(await all.gone)].sort(), announced)
  t.strictSame([...new Set(await deletions.gone)], [DELETION])
  t.strictSame(none.heard, [])
})

test('exchangeOnThread tells the errno of the last message', async (t) => {
  const namespace = makeNamespace(t, 'sock')
  namespace.run('ip', 'link', 'add', 'name', 'br0', 'type', 'bridge')
  const { index } = await namespace.rtnl.getLink('br0')
  const remove = (...indexes: number[]) => {
    const last = indexes.length - 1
    const messages = indexes.map((one, i) => ({
      type: RTM_DELLINK,
      index: one,
      flags: i === last ? NLM_F_ACK : 0,
    }))
    const fd = namespace.netns.enter(() => openForThread(NETLINK_ROUTE))
    return exchangeOnThread(fd, aboutLinks(...messages), indexes.length)
  }
  t.equal(await remove(0x7fffffff), ENODEV)
  t.equal(await remove(0x7fffffff, index), 0, 'what is said of the first is passed over')
  t.equal(await namespace.rtnl.findLink('br0'), undefined)
  t.equal(await remove(index), ENODEV)
  const before = sockets()
  await Promise.all(Array.from({ length: 8 }, () => remove(index)))
  t.strictSame(sockets(), before, 'its sockets are closed')
})

test('ThreadTransport carries lists and refusals, from the namespace that is entered', async (t) => {
  const namespace = makeNamespace(t, 'sock')
  for (let i = 0; i < 200; i++) namespace.run('ip', 'link', 'add', 'name', `br${i}`, 'type', 'bridge')
  const connection = new Connection(
    new ThreadTransport((datagram) =>
      converseOnThread(
        namespace.netns.enter(() => openForThread(NETLINK_ROUTE)),
        datagram,
      ),
    ),
  )
  t.teardown(() => connection.close())
  const before = sockets()
  const links = await connection.dump(listLinksRequest({}))
  t.equal(links.length, 201, 'of many datagrams')
  await t.rejects(connection.request(getLinkRequest('none', 'look')), { code: 'ENODEV' })
  const both = await Promise.all([
    connection.request(getLinkRequest('br0', 'look')),
    connection.request(getLinkRequest('br1', 'look')),
  ])
  t.strictSame(
    both.map(({ length }) => length),
    [1, 1],
  )
  t.strictSame(sockets(), before, 'its sockets are closed')
})

test('ThreadTransport tells when the kernel has no such sockets', async (t) => {
  const connection = new Connection(
    new ThreadTransport((datagram) => converseOnThread(openForThread(9999), datagram)),
  )
  await t.rejects(connection.request(getLinkRequest('lo', 'look')), { code: 'EPROTONOSUPPORT' })
})
