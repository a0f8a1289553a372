// Upstream's rules, made by the programs that upstream makes them with.

import { test } from 'tap'
import { IpAddress } from '../ip/address.ts'
import { NETLINK_NETFILTER, openSocket } from '../netlink/socket.ts'
import { makeNamespace, type TestNamespace } from '../testing/netns.ts'
import { NftSocket } from './nft-socket.ts'
import { removeUpstreamMasquerade } from './upstream-masquerade.ts'

const OWNER = { network: 'net', containerId: 'pod1', ifname: 'eth0' }
/** `printf netpod1 | sha512sum | cut -c1-24` */
const CHAIN = 'CNI-18e4b887dc77d232b165ca95'
const OTHER = 'CNI-ffffffffffffffffffffffff'

function iptables(node: TestNamespace, chain: string, addresses: readonly string[]): void {
  for (const address of addresses) {
    const isV6 = address.includes(':')
    const run = (...words: string[]) => node.run(isV6 ? 'ip6tables' : 'iptables', '-t', 'nat', ...words)
    const comment = ['-m', 'comment', '--comment', 'name: "net" id: "pod1"']
    const subnet = isV6 ? 'fd00:1::/64' : '10.1.0.0/24'
    const multicast = isV6 ? 'ff00::/8' : '224.0.0.0/4'
    if (!run('-S').includes(`-N ${chain}`)) run('-N', chain)
    run('-A', chain, '-d', subnet, '-j', 'ACCEPT', ...comment)
    run('-A', chain, '!', '-d', multicast, '-j', 'MASQUERADE', ...comment)
    run('-A', 'POSTROUTING', '-s', address, '-j', chain, ...comment)
  }
}

const dump = (node: TestNamespace) =>
  ['iptables', 'ip6tables'].map((program) => node.run(program, '-t', 'nat', '-S')).join('')

function makeNode(t: Parameters<typeof makeNamespace>[0]) {
  const node = makeNamespace(t, 'node')
  const nft = new NftSocket(() => node.netns.enter(() => openSocket(NETLINK_NETFILTER)))
  t.teardown(() => nft.close())
  const remove = (...addresses: string[]) =>
    removeUpstreamMasquerade(nft, OWNER, addresses.map(IpAddress.parse))
  return { node, remove }
}

test('removeUpstreamMasquerade takes a container’s chain and jumps, and nothing else', async (t) => {
  const { node, remove } = makeNode(t)
  await remove()
  iptables(node, OTHER, ['10.1.0.9', 'fd00:1::9'])
  const before = dump(node)
  for (const addresses of [['10.1.0.2', 'fd00:1::2'], []]) {
    iptables(node, CHAIN, ['10.1.0.2', 'fd00:1::2'])
    t.match(dump(node), new RegExp(`-s 10\\.1\\.0\\.2/32 .*-j ${CHAIN}`))
    await remove(...addresses)
    t.equal(dump(node), before, `by ${addresses.length} addresses`)
  }
})

test('removeUpstreamMasquerade leaves the chain to another interface of the container', async (t) => {
  const { node, remove } = makeNode(t)
  iptables(node, CHAIN, ['10.1.0.2'])
  const before = dump(node)
  await remove('10.1.0.3')
  t.equal(dump(node), before)
  iptables(node, CHAIN, ['10.1.0.3'])
  await remove('10.1.0.3')
  t.match(dump(node), new RegExp(`-s 10\\.1\\.0\\.2/32 .*-j ${CHAIN}`))
  t.notMatch(dump(node), /-s 10\.1\.0\.3/)
  await remove('10.1.0.2')
  t.notMatch(dump(node), CHAIN)
})

test('removeUpstreamMasquerade takes the rules of upstream’s nftables table by their comments', async (t) => {
  const { node, remove } = makeNode(t)
  // `printf net | sha512sum | cut -c1-16`, and the same of eth0:pod1
  const own = 'a4861f4ae9f7d238-6355d90ba0c2d0cc'
  const rule = (address: string, comment: string) =>
    `add rule inet cni_plugins_masquerade masq_checks ip saddr ${address} ip daddr != 10.1.0.0/24 masquerade comment "${comment}"`
  node.run('nft', 'add table inet cni_plugins_masquerade; add chain inet cni_plugins_masquerade masq_checks')
  node.run('nft', rule('10.1.0.9', 'x-y, net: net, if: eth0, id: pod9'))
  const before = node.run('nft', 'list', 'ruleset')
  node.run('nft', rule('10.1.0.2', `${own}, net: net, if: eth0, id: pod1`))
  await remove('10.1.0.2')
  t.equal(node.run('nft', 'list', 'ruleset'), before)
})
