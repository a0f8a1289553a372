// Upstream's rules, made by upstream's plugins.

import { execFileSync } from 'node:child_process'
import { test } from 'tap'
import { IpAddress } from '../ip/address.ts'
import { NETLINK_NETFILTER, openSocket } from '../netlink/socket.ts'
import { makeNamespace, type TestNamespace } from '../testing/netns.ts'
import { NftSocket } from './nft-socket.ts'
import { removeUpstreamFirewall, removeUpstreamHostports } from './upstream-chained.ts'

const UPSTREAM = '/usr/lib/cni'

function upstreamAdd(node: TestNamespace, plugin: string, number: number): void {
  const config = {
    cniVersion: '1.0.0',
    name: 'net',
    type: plugin,
    runtimeConfig: {
      portMappings: [
        { hostPort: 8000 + number, containerPort: 80, protocol: 'tcp' },
        { hostPort: 9000 + number, containerPort: 53, protocol: 'udp' },
      ],
    },
    prevResult: {
      cniVersion: '1.0.0',
      interfaces: [],
      ips: [{ address: `10.1.0.${number}/24` }, { address: `fd00:1::${number}/64` }],
    },
  }
  execFileSync('ip', ['netns', 'exec', node.name, `${UPSTREAM}/${plugin}`], {
    input: JSON.stringify(config),
    env: {
      PATH: '/usr/sbin:/usr/bin:/sbin:/bin',
      CNI_COMMAND: 'ADD',
      CNI_CONTAINERID: `pod${number}`,
      CNI_NETNS: '/var/run/netns/no',
      CNI_IFNAME: 'eth0',
      CNI_PATH: UPSTREAM,
    },
    stdio: ['pipe', 'ignore', 'pipe'],
  })
}

const dump = (node: TestNamespace) =>
  ['iptables', 'ip6tables']
    .flatMap((program) => ['nat', 'filter'].map((table) => node.run(program, '-t', table, '-S')))
    .join('')

function makeNode(t: Parameters<typeof makeNamespace>[0]) {
  const node = makeNamespace(t, 'node')
  const nft = new NftSocket(() => node.netns.enter(() => openSocket(NETLINK_NETFILTER)))
  t.teardown(() => nft.close())
  return { node, nft }
}

const owner = { network: 'net', containerId: 'pod5', ifname: 'eth0' }

test('removeUpstreamHostports takes a container’s chain and jumps, and nothing else', async (t) => {
  const { node, nft } = makeNode(t)
  await removeUpstreamHostports(nft, owner)
  upstreamAdd(node, 'portmap', 9)
  const before = dump(node)
  upstreamAdd(node, 'portmap', 5)
  t.match(dump(node), /--dports 8005 -j CNI-DN-/)
  await removeUpstreamHostports(nft, owner)
  t.equal(dump(node), before)
  await removeUpstreamHostports(nft, owner)
  t.equal(dump(node), before, 'again')
})

test('removeUpstreamHostports takes rules of upstream’s nftables tables by their comment', async (t) => {
  const { node, nft } = makeNode(t)
  const rule = (id: string) => `add rule ip cni_hostport hostports tcp dport 80 accept comment "${id}"`
  node.run('nft', 'add table ip cni_hostport; add chain ip cni_hostport hostports')
  node.run('nft', rule('pod9'))
  const before = node.run('nft', 'list', 'ruleset')
  node.run('nft', rule('pod5'))
  await removeUpstreamHostports(nft, owner)
  t.equal(node.run('nft', 'list', 'ruleset'), before)
})

test('removeUpstreamFirewall takes the rules of a pod’s addresses, and nothing else', async (t) => {
  const { node, nft } = makeNode(t)
  const addresses = ['10.1.0.5', 'fd00:1::5'].map((text) => IpAddress.parse(text))
  await removeUpstreamFirewall(nft, addresses)
  upstreamAdd(node, 'firewall', 9)
  const before = dump(node)
  upstreamAdd(node, 'firewall', 5)
  t.match(dump(node), '-s 10.1.0.5/32')
  await removeUpstreamFirewall(nft, [])
  t.match(dump(node), '-s 10.1.0.5/32')
  await removeUpstreamFirewall(nft, addresses)
  t.equal(dump(node), before)
})
