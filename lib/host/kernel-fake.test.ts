import { test } from 'tap'
import { IpAddress } from '../ip/address.ts'
import type { MacAddress } from '../ip/mac.ts'
import { Prefix } from '../ip/prefix.ts'
import { LOOPBACK_INDEX } from '../rtnl/link.ts'
import { kernelContract } from './kernel.contract.ts'
import { FakeKernel } from './kernel-fake.ts'

kernelContract('FakeKernel', () => {
  const kernel = new FakeKernel()
  kernel.addNamespace('/run/netns/a')
  kernel.addNamespace('/run/netns/b')
  const removeNamespace = (path: string) => kernel.removeNamespace(path)
  return { kernel, a: '/run/netns/a', b: '/run/netns/b', nothing: '/run/netns/c', removeNamespace }
})

test('FakeKernel.dump shows a node with a pod', async (t) => {
  const kernel = new FakeKernel()
  kernel.addNamespace('/run/netns/pod')
  const { rtnl, sysctl } = kernel.host
  const before = kernel.dump()
  t.equal(
    before,
    `namespace host
link lo loopback down mtu 65536 mac 00:00:00:00:00:00
namespace /run/netns/pod
link lo loopback down mtu 65536 mac 00:00:00:00:00:00
`,
  )

  const pod = kernel.openNamespace('/run/netns/pod')
  const mac = '02:00:00:00:00:01' as MacAddress
  await rtnl.apply({
    change: 'create link',
    link: { kind: 'bridge', name: 'br0', mac, up: true, vlanFiltering: true },
  })
  const br0 = await rtnl.getLink('br0')
  const peer = { name: 'eth0', netnsFd: pod.fd }
  await rtnl.apply(
    { change: 'add address', address: { dev: br0.index, prefix: Prefix.parse('10.1.0.1/24') } },
    { change: 'create link', link: { kind: 'veth', name: 'veth0', master: br0.index, up: true, peer } },
    {
      change: 'set link',
      link: 'veth0',
      set: { hairpin: true, isolated: true, promisc: true, alias: 'pod a' },
    },
  )
  const eth0 = await pod.rtnl.getLink('eth0')
  await pod.rtnl.apply(
    { change: 'set link', link: LOOPBACK_INDEX, set: { up: true } },
    { change: 'set link', link: eth0.index, set: { up: true } },
    { change: 'add address', address: { dev: eth0.index, prefix: Prefix.parse('10.1.0.2/24') } },
    { change: 'add route', route: { dst: Prefix.parse('0.0.0.0/0'), gateway: IpAddress.parse('10.1.0.1') } },
  )
  sysctl.set({ key: 'ipv4/ip_forward', value: '1' })
  t.equal(
    kernel.dump(),
    `namespace host
address br0 10.1.0.1/24
link br0 bridge up mtu 1500 mac 02:00:00:00:00:01 vlan_filtering
link lo loopback down mtu 65536 mac 00:00:00:00:00:00
link veth0 veth up mtu 1500 mac 0e:00:00:01:00:03 promisc master br0 hairpin isolated vlan 1 pvid untagged peer eth0 in /run/netns/pod alias "pod a"
route 10.1.0.0/24 dev br0 src 10.1.0.1 scope link connected
sysctl ipv4/conf/all/forwarding 1
sysctl ipv4/conf/br0/forwarding 1
sysctl ipv4/conf/default/forwarding 1
sysctl ipv4/conf/lo/forwarding 1
sysctl ipv4/conf/veth0/forwarding 1
namespace /run/netns/pod
address eth0 10.1.0.2/24
address lo 127.0.0.1/8
address lo ::1/128
link eth0 veth up mtu 1500 mac 0e:00:00:02:00:02 peer veth0 in host
link lo loopback up mtu 65536 mac 00:00:00:00:00:00
route 10.1.0.0/24 dev eth0 src 10.1.0.2 scope link connected
route default via 10.1.0.1 dev eth0 scope global
`,
  )

  t.strictSame(kernel.openHandles(), ['/run/netns/pod'])
  pod.close()
  t.strictSame(kernel.openHandles(), [])
  await rtnl.apply({ change: 'delete link', link: 'br0' }, { change: 'delete link', link: 'veth0' })
  sysctl.set({ key: 'ipv4/ip_forward', value: '0' })
  const lo = kernel.openNamespace('/run/netns/pod')
  await lo.rtnl.apply({ change: 'set link', link: 'lo', set: { up: false } })
  t.match(
    kernel.dump(),
    /^namespace host\nlink lo .*\nnamespace \/run\/netns\/pod\naddress lo 127.0.0.1\/8\nlink lo .*\n$/,
  )
})

test('FakeKernel says when a test names a namespace wrongly', async (t) => {
  const kernel = new FakeKernel()
  kernel.addNamespace('/run/netns/a')
  t.throws(() => kernel.addNamespace('/run/netns/a'), {
    message: 'there is a namespace at /run/netns/a already',
  })
  t.throws(() => kernel.removeNamespace('/run/netns/b'), { message: 'there is no namespace at /run/netns/b' })
})

test('FakeKernel can be one without VLANs', async (t) => {
  const { host } = new FakeKernel({ bridgeVlanFiltering: false })
  const link = { kind: 'bridge', name: 'br0', vlanFiltering: true } as const
  await t.rejects(host.rtnl.apply({ change: 'create link', link }), {
    message: 'ip link add name br0 type bridge vlan_filtering 1: EOPNOTSUPP: operation not supported',
  })
})
