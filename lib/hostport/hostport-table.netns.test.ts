// The contract on the kernel; and what only a kernel has: others at the same time, and packets. (Packets of TCP and UDP
// from everywhere are in conformance/cases/portmap.ts.)

import tap, { test } from 'tap'
import { IpAddress } from '../ip/address.ts'
import { Prefix } from '../ip/prefix.ts'
import { NETLINK_NETFILTER, openSocket } from '../netlink/socket.ts'
import { NftSocket } from '../nftables/nft-socket.ts'
import { makeNamespace, type TestNamespace } from '../testing/netns.ts'
import type { Hostports } from './hostport.ts'
import { hostportTableContract } from './hostport-table.contract.ts'
import { addHostports, checkHostports, HostportTaken, removeHostports } from './hostport-table.ts'

interface Teardown {
  teardown(work: () => void): void
}

const ns = makeNamespace(tap, 'hp')

function open(t: Teardown, { netns }: TestNamespace = ns): NftSocket {
  const nft = new NftSocket(() => netns.enter(() => openSocket(NETLINK_NETFILTER)))
  t.teardown(() => nft.close())
  return nft
}

hostportTableContract('kernel', (t) => {
  ns.run('nft', 'flush', 'ruleset')
  return { nft: open(t), dump: () => ns.run('nft', '-sy', 'list', 'ruleset') }
})

function portsOf(number: number, protocol: 'tcp' | 'sctp' = 'tcp'): Hostports {
  const address = IpAddress.parse(`10.1.0.${number}`)
  return {
    hostports: [{ protocol, port: 8080, address, podPort: 80 }],
    masquerades: [{ address, from: Prefix.parse('10.1.0.0/24') }],
  }
}

test('of several that want one port on a new node, one has it', async (t) => {
  ns.run('nft', 'flush', 'ruleset')
  const numbers = Array.from({ length: 8 }, (_, i) => i + 5)
  // Each its own socket, as processes have: between two messages of one any other may come.
  const outcomes = await Promise.allSettled(
    numbers.map((number) => addHostports(open(t), portsOf(number), `net pod-${number} eth0`)),
  )
  const winners = numbers.filter((_, i) => outcomes[i]?.status === 'fulfilled')
  t.equal(winners.length, 1)
  const refusals = outcomes.flatMap((one) => (one.status === 'rejected' ? [one.reason] : []))
  t.ok(refusals.every((error) => error instanceof HostportTaken))
  const [winner = 0] = winners
  t.strictSame(await checkHostports(open(t), portsOf(winner), `net pod-${winner} eth0`), [])
})

/** INIT, by a raw socket: this kernel may have no SCTP of its own. Its checksum is not looked at in these namespaces. */
const SEND_INIT = `use Socket; socket(S, PF_INET, SOCK_RAW, 132) or die;
send(S, pack('nnNN', 1234, 8080, 0, 0) . pack('CCnNNnnN', 1, 0, 20, 7, 65536, 1, 1, 1), 0,
sockaddr_in(0, inet_aton('192.0.2.1'))) or die`

test('a packet of SCTP reaches the pod by the host port', async (t) => {
  const [pod, node, outside] = [makeNamespace(t, 'pod'), makeNamespace(t, 'node'), makeNamespace(t, 'out')]
  const ip = (where: TestNamespace, commands: string) => {
    for (const command of commands.split('\n')) where.run('ip', ...command.trim().split(' '))
  }
  ip(
    node,
    `link add pod0 up type veth peer name eth0 netns ${pod.name}
     link add out0 up type veth peer name eth0 netns ${outside.name}
     addr add 10.1.0.1/24 dev pod0
     addr add 192.0.2.1/24 dev out0`,
  )
  ip(pod, 'link set eth0 up\naddr add 10.1.0.5/24 dev eth0\nroute add default via 10.1.0.1')
  ip(outside, 'link set eth0 up\naddr add 192.0.2.2/24 dev eth0')
  node.run(
    'sh',
    '-c',
    'echo 1 >/proc/sys/net/ipv4/ip_forward; echo 0 >/proc/sys/net/netfilter/nf_conntrack_checksum',
  )
  pod.run(
    'nft',
    `add table inet seen; add chain inet seen input { type filter hook input priority 0; }
     add rule inet seen input ip saddr 192.0.2.2 sctp dport 80 counter`,
  )
  const seen = () => Number(/packets (\d+)/.exec(pod.run('nft', 'list', 'table', 'inet', 'seen'))?.[1])
  // The answer (ABORT, or that there is no such protocol) tells that the packet has been through.
  const sendOne = () => {
    outside.run('perl', '-e', SEND_INIT)
    outside.run('ping', '-c', '1', '-W', '2', '192.0.2.1')
  }
  const nft = open(t, node)
  await addHostports(nft, portsOf(5, 'sctp'), 'net pod-5 eth0')
  sendOne()
  t.equal(seen(), 1)
  await removeHostports(nft, portsOf(5, 'sctp'), 'net pod-5 eth0')
  node.run('conntrack', '-F')
  sendOne()
  t.equal(seen(), 1, 'not when it is removed')
})
