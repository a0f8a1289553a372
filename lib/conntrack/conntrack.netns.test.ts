// The contract on the kernel, with conntrack(8) to put connections in and to read them back; and what only a kernel
// has: protocols and zones.

import tap, { test } from 'tap'
import { IpAddress } from '../ip/address.ts'
import { NETLINK_NETFILTER, openSocket } from '../netlink/socket.ts'
import { makeNamespace } from '../testing/netns.ts'
import { conntrackContract } from './conntrack.contract.ts'
import type { FakeConnection } from './conntrack-fake.ts'
import { ConntrackSocket } from './conntrack-socket.ts'

const ns = makeNamespace(tap, 'ct')

function open(t: { teardown(work: () => void): void }) {
  ns.run('conntrack', '-F')
  const conntrack = new ConntrackSocket(() => ns.netns.enter(() => openSocket(NETLINK_NETFILTER)))
  t.teardown(() => conntrack.close())
  return conntrack
}

interface Entry {
  readonly orig: readonly [string, string]
  readonly reply?: readonly [string, string]
  readonly protocol?: readonly string[]
  readonly zone?: string
  readonly port?: number
  readonly sourcePort?: number
}
const UDP = ['udp', '--sport', '1000', '--dport', '53']

/** As conntrack(8) wants it of a protocol. */
function protocolArguments({ protocol = 17, port = 53, sourcePort = 1000 }: FakeConnection): string[] {
  const ports = ['--sport', String(sourcePort), '--dport', String(port)]
  return protocol === 17 ? ['udp', ...ports] : ['tcp', ...ports, '--state', 'ESTABLISHED']
}

function insert({ orig, reply, protocol = UDP, zone, port = 53, sourcePort = 1000 }: Entry): void {
  const [from, to] = orig
  const answer = reply === undefined ? [] : ['--reply-src', reply[0], '--reply-dst', reply[1]]
  const ports =
    reply === undefined ? [] : ['--reply-port-src', String(port), '--reply-port-dst', String(sourcePort)]
  const where = zone === undefined ? [] : ['-w', zone]
  ns.run(
    'conntrack',
    '-I',
    '-s',
    from,
    '-d',
    to,
    ...answer,
    '-p',
    ...protocol,
    ...ports,
    ...where,
    '-t',
    '600',
  )
}

function dump(): string {
  const text = ns.run('conntrack', '-L', '-f', 'ipv4') + ns.run('conntrack', '-L', '-f', 'ipv6')
  return text
    .trimEnd()
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => {
      const [a, b, c, d] = [...line.matchAll(/(?:src|dst)=(\S+)/g)].map((match) => match[1])
      return `connection ${a} > ${b}, ${c} > ${d}\n`
    })
    .sort()
    .join('')
}

conntrackContract('kernel', (t) => {
  const conntrack = open(t)
  const add = (...connections: readonly FakeConnection[]) => {
    for (const one of connections) insert({ ...one, protocol: protocolArguments(one) })
  }
  return { conntrack, add, dump }
})

test('kernel forgets connections of every protocol and zone', async (t) => {
  const conntrack = open(t)
  const orig = ['10.1.0.5', '192.0.2.2'] as const
  insert({ orig, protocol: ['tcp', '--sport', '1', '--dport', '2', '--state', 'ESTABLISHED'] })
  insert({
    orig,
    protocol: [
      'sctp',
      '--sport',
      '1',
      '--dport',
      '2',
      '--state',
      'ESTABLISHED',
      '--orig-vtag',
      '1',
      '--reply-vtag',
      '1',
    ],
  })
  insert({ orig, protocol: ['icmp', '--icmp-type', '8', '--icmp-code', '0', '--icmp-id', '7'] })
  insert({ orig, zone: '5' })
  insert({
    orig: ['fd00::5', '2001:db8::2'],
    protocol: ['icmpv6', '--icmpv6-type', '128', '--icmpv6-code', '0', '--icmpv6-id', '7'],
  })
  t.equal(
    await conntrack.flush(
      ['10.1.0.5', 'fd00::5'].map((text) => IpAddress.parse(text)),
      1,
    ),
    5,
  )
  t.equal(dump(), '')
})
