// What a pod's wire is to the kernel.

import { test } from 'tap'
import type { MacAddress } from '../ip/mac.ts'
import { Prefix } from '../ip/prefix.ts'
import { makeNamespace, runJson, type TestNamespace } from '../testing/netns.ts'
import { podChanges, wireChanges } from './pod-link.ts'

const WIRE = {
  hostIfname: 'veth0',
  hostMac: '02:00:00:00:00:01' as MacAddress,
  podIfname: 'eth0',
  podMac: '02:00:00:00:00:02' as MacAddress,
  mtu: 1500,
  alias: 'net pod eth0',
}

function queuesOf(ns: TestNamespace, name: string): readonly [number, number] {
  const [link] = runJson(ns, 'ip', '-d', '-j', 'link', 'show', name) as {
    num_tx_queues: number
    num_rx_queues: number
  }[]
  return [link?.num_tx_queues ?? 0, link?.num_rx_queues ?? 0]
}

test('both ends of a wire have one queue, and the pod’s announces what it has when it comes up', async (t) => {
  const [node, pod] = [makeNamespace(t, 'node'), makeNamespace(t, 'pod')]
  const { create, port } = wireChanges(WIRE, undefined, pod.netns.fd)
  await node.rtnl.apply(create)
  await node.rtnl.apply(port)
  t.strictSame(queuesOf(node, 'veth0'), [1, 1])
  t.strictSame(queuesOf(pod, 'eth0'), [1, 1])

  const { index } = await pod.rtnl.getLink('eth0')
  const addresses = [Prefix.parse('10.1.0.5/24')]
  // Who learns from announcements that nobody asked for has the pod's MAC without having sent anything.
  node.run('sh', '-c', 'echo 1 >/proc/sys/net/ipv4/conf/veth0/arp_accept; ip addr add 10.1.0.1/24 dev veth0')
  await pod.rtnl.apply(...podChanges(index, { addresses, routes: [], enableDad: false }))
  await node.rtnl.waitForLink('veth0', {
    description: 'up',
    holds: ({ operstate }) => operstate === 'UP',
    deadlineMs: 5000,
  })
  const [neighbour] = runJson(node, 'ip', '-j', 'neigh', 'show', '10.1.0.5') as { lladdr: string }[]
  t.equal(neighbour?.lladdr, WIRE.podMac)
})
