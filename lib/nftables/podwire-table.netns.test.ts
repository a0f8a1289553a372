// Masquerading with packets: a pod, its node, and a host outside that sees where packets come from.

import { test } from 'tap'
import { IpAddress } from '../ip/address.ts'
import { Prefix } from '../ip/prefix.ts'
import { NETLINK_NETFILTER, openSocket } from '../netlink/socket.ts'
import { makeNamespace, runJson, type TestNamespace } from '../testing/netns.ts'
import type { MasqueradeEntry } from './masquerade-rules.ts'
import { NftSocket } from './nft-socket.ts'
import { addMasquerade, checkMasquerade, removeMasquerade } from './podwire-table.ts'

type Test = Parameters<typeof makeNamespace>[0]

function openNft(t: Test, ns: TestNamespace): NftSocket {
  const nft = new NftSocket(() => ns.netns.enter(() => openSocket(NETLINK_NETFILTER)))
  t.teardown(() => nft.close())
  return nft
}

function entry(address: string, subnet: string): MasqueradeEntry {
  return { address: IpAddress.parse(address), subnet: Prefix.parse(subnet), comment: `net ${address} eth0` }
}

/** Several commands of `ip`, one a line. */
function ip(ns: TestNamespace, commands: string): void {
  for (const line of commands.trim().split('\n')) ns.run('ip', ...line.trim().split(' '))
}

/** pod eth0 — node pod0, node out0 — outside eth0; part of the pod's subnet lies outside as well. */
function makeNetwork(t: Test) {
  const [pod, node, outside] = [makeNamespace(t, 'pod'), makeNamespace(t, 'node'), makeNamespace(t, 'out')]
  ip(
    node,
    `link add pod0 type veth peer name eth0 netns ${pod.name}
     link add out0 type veth peer name eth0 netns ${outside.name}
     link set pod0 up
     link set out0 up
     address add 10.1.0.1/24 dev pod0
     address add fd00::1/64 dev pod0 nodad
     address add 192.0.2.1/24 dev out0
     address add 2001:db8::1/64 dev out0 nodad
     route add 10.1.0.77 via 192.0.2.2
     route add fd00::77 via 2001:db8::2`,
  )
  node.run(
    'sh',
    '-c',
    'echo 1 >/proc/sys/net/ipv4/ip_forward; echo 1 >/proc/sys/net/ipv6/conf/all/forwarding',
  )
  ip(
    pod,
    `link set eth0 up
     address add 10.1.0.5/24 dev eth0
     address add 10.1.0.9/24 dev eth0
     address add fd00::5/64 dev eth0 nodad
     route add default via 10.1.0.1
     route add 10.1.0.77 via 10.1.0.1
     -6 route add default via fd00::1
     -6 route add fd00::77 via fd00::1`,
  )
  ip(
    outside,
    `link set lo up
     link set eth0 up
     address add 192.0.2.2/24 dev eth0
     address add 2001:db8::2/64 dev eth0 nodad
     address add 10.1.0.77/32 dev lo
     address add fd00::77/128 dev lo nodad
     route add 10.1.0.0/24 via 192.0.2.1
     -6 route add fd00::/64 via 2001:db8::1`,
  )
  outside.run(
    'nft',
    `add table inet seen
     add set inet seen from4 { type ipv4_addr; flags dynamic; }
     add set inet seen from6 { type ipv6_addr; flags dynamic; }
     add chain inet seen input { type filter hook input priority 0; }
     add rule inet seen input icmp type echo-request add @from4 { ip saddr }
     add rule inet seen input icmpv6 type echo-request add @from6 { ip6 saddr }`,
  )
  return { pod, node, outside }
}

/** The address that the host outside sees when the pod sends from one address to another. */
function seenFrom(
  { pod, outside }: { pod: TestNamespace; outside: TestNamespace },
  from: string,
  to: string,
): string {
  const set = to.includes(':') ? 'from6' : 'from4'
  outside.run('nft', `flush set inet seen ${set}`)
  pod.run('ping', '-c', '1', '-W', '5', '-I', from, to)
  const { nftables } = runJson(outside, 'nft', '-j', 'list', 'set', 'inet', 'seen', set) as {
    nftables: { set?: { elem?: string[] } }[]
  }
  return nftables.flatMap((one) => one.set?.elem ?? []).join()
}

test('packets leave under the address of the node when the pod is masqueraded', async (t) => {
  const network = makeNetwork(t)
  const nft = openNft(t, network.node)
  const pods = [entry('10.1.0.5', '10.1.0.0/24'), entry('fd00::5', 'fd00::/64')]
  const rows = [
    // from, to, seen as
    ['10.1.0.5', '192.0.2.2', '192.0.2.1'],
    ['10.1.0.5', '10.1.0.77', '10.1.0.5'], // its own subnet
    ['10.1.0.9', '192.0.2.2', '10.1.0.9'], // not in the map
    ['fd00::5', '2001:db8::2', '2001:db8::1'],
    ['fd00::5', 'fd00::77', 'fd00::5'],
  ] as const
  await addMasquerade(nft, pods)
  for (const [from, to, seen] of rows) t.equal(seenFrom(network, from, to), seen, `${from} to ${to}`)
  await removeMasquerade(nft, pods)
  for (const [from, to] of rows) t.equal(seenFrom(network, from, to), from, `${from} to ${to} afterwards`)
})

test('masquerading is whole when several do it at once on a new node', async (t) => {
  const ns = makeNamespace(t, 'nft')
  const pods = Array.from({ length: 12 }, (_, i) => entry(`10.${i % 3}.0.${i + 5}`, `10.${i % 3}.0.0/24`))
  // Each its own socket, as processes have: between two messages of one any other may come.
  await Promise.all(pods.map((pod) => addMasquerade(openNft(t, ns), [pod])))
  t.same(await checkMasquerade(openNft(t, ns), pods), [])
  await Promise.all(pods.map((pod) => removeMasquerade(openNft(t, ns), [pod])))
  t.match(ns.run('nft', '-j', 'list', 'map', 'inet', 'podwire', 'masquerade_ipv4'), /^(?!.*"elem")/)
})
