import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'tap'
import { Prefix } from '../ip/prefix.ts'
import { Connection } from '../netlink/connection.ts'
import type { Message } from '../netlink/message.ts'
import { NETLINK_ROUTE, openSocket, type SocketOptions } from '../netlink/socket.ts'
import { makeNamespace, type TestNamespace } from '../testing/netns.ts'
import { RTM_NEWADDR } from './attributes.ts'
import { type Link, LOOPBACK_INDEX } from './link.ts'
import { RtnlSocket } from './rtnl-socket.ts'

const openIn = (namespace: TestNamespace) => (options?: SocketOptions) =>
  namespace.netns.enter(() => openSocket(NETLINK_ROUTE, options))

/** linux/rtnetlink.h */
const RTNLGRP_IPV4_IFADDR = 5

const isUp = { description: 'up', deadlineMs: 300_000, holds: (link: { up: boolean }) => link.up }

test('RtnlSocket.waitForLink holds when notifications come in floods', async (t) => {
  const namespace = makeNamespace(t, 'flood')
  const directory = mkdtempSync(join(tmpdir(), 'podwire-flood-'))
  t.teardown(() => rmSync(directory, { recursive: true }))
  namespace.run('ip', 'link', 'add', 'name', 'a', 'type', 'veth', 'peer', 'name', 'b')
  // Far more than a socket holds by default (an overrun would reach the npm package as POLLERR, on which its addon
  // ends the process: native/addon.c), while this thread reads nothing; the wanted change is the last.
  const changes = Array.from({ length: 1000 }, (_, i) => `link set dev b mtu ${1000 + i}\n`).join('')
  writeFileSync(join(directory, 'batch'), `${changes}link set dev a up\n`)
  const waiting = namespace.rtnl.waitForLink('a', isUp)
  await namespace.rtnl.listLinks()
  execFileSync('ip', ['-n', namespace.name, '-batch', join(directory, 'batch')])
  t.match(await waiting, { name: 'a', up: true })
})

test('RtnlSocket.waitForLink sees what changed before its subscription', async (t) => {
  const namespace = makeNamespace(t, 'between')
  const open = openIn(namespace)
  const rtnl = new RtnlSocket((options) => {
    if (options?.groups) namespace.run('ip', 'link', 'set', 'lo', 'alias', 'changed')
    return open(options)
  })
  t.teardown(() => rtnl.close())
  const holds = ({ alias }: Link) => alias === 'changed'
  t.match(await rtnl.waitForLink('lo', { description: 'alias', deadlineMs: 300_000, holds }), { name: 'lo' })
})

test('notifications of addresses carry the sequence number of the request that caused them', async (t) => {
  const namespace = makeNamespace(t, 'seq')
  const { promise, resolve } = Promise.withResolvers<Message>()
  const events = new Connection(openIn(namespace)({ groups: [RTNLGRP_IPV4_IFADDR] }), { onEvent: resolve })
  t.teardown(() => events.close())
  await namespace.rtnl.listLinks()
  const address = { dev: LOOPBACK_INDEX, prefix: Prefix.parse('127.1.0.1/8') }
  await namespace.rtnl.apply({ change: 'add address', address })
  // This is why a connection that hears them must not ask: this would pass for the answer to its second request.
  t.match(await promise, { type: RTM_NEWADDR.type, seq: 2 })
})

test('RtnlSocket traces a conversation with the kernel', async (t) => {
  const namespace = makeNamespace(t, 'trace')
  const lines: string[] = []
  const rtnl = new RtnlSocket(openIn(namespace), { trace: (line) => lines.push(line) })
  t.teardown(() => rtnl.close())
  await rtnl.apply({ change: 'set link', link: 'lo', set: { up: true } })
  await rtnl.listAddresses({ family: 4 })
  await t.rejects(rtnl.apply({ change: 'delete link', link: 'nope' }))
  await rtnl.findLink('lo')
  t.match(lines, [
    '> 1 RTM_SETLINK ack ifi_flags up ifi_change up IFLA_IFNAME "lo"',
    '< 1 ok',
    '> 2 RTM_GETADDR dump ifa_family inet',
    /^< 2 RTM_NEWADDR multi ifa_family inet ifa_prefixlen 8 ifa_flags permanent ifa_scope host ifa_index 1 IFA_ADDRESS 127\.0\.0\.1 IFA_LOCAL 127\.0\.0\.1 IFA_LABEL "lo" IFA_FLAGS permanent/,
    '< 2 ok',
    '> 3 RTM_DELLINK ack IFLA_IFNAME "nope"',
    '< 3 error ENODEV',
    '> 4 RTM_GETLINK IFLA_IFNAME "lo" IFLA_EXT_MASK 8',
    /^< 4 RTM_NEWLINK ifi_type 772 ifi_index 1 ifi_flags up,loopback,running,lower_up IFLA_IFNAME "lo" /,
  ])
  t.equal(lines.length, 9)
})

test('RtnlSocket lists more links than one datagram holds', async (t) => {
  const { rtnl } = makeNamespace(t, 'many')
  const names = Array.from({ length: 60 }, (_, i) => `br${i}`)
  await rtnl.apply(
    ...names.map((name) => ({ change: 'create link', link: { kind: 'bridge', name } }) as const),
  )
  t.equal((await rtnl.listLinks({ kind: 'bridge' })).length, 60)
})
