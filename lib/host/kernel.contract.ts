// What holds for the port `Kernel` where its parts work together, on the real kernel and on the fake one.

import { type Test, test } from 'tap'
import type { MacAddress } from '../ip/mac.ts'
import { Prefix } from '../ip/prefix.ts'
import type { IfIndex } from '../rtnl/link.ts'
import type { Rtnl } from '../rtnl/rtnl.ts'
import type { Kernel, Namespace } from './kernel.ts'

/** A kernel with two fresh namespaces; what happens in its host namespace is not looked at. */
export interface KernelWorld {
  readonly kernel: Kernel
  /** Paths. */
  readonly a: string
  readonly b: string
  /** A path where there is nothing. */
  readonly nothing: string
  /** Takes the path of a namespace away, as a runtime does when a pod is gone. */
  removeNamespace(path: string): void
}

const patience = { description: 'to go', deadlineMs: 300_000, holds: () => false }
const prefix = (text: string) => Prefix.parse(text)
const LINK_LOCAL = prefix('fe80::/10')

export function kernelContract(subject: string, makeWorld: (t: Test) => KernelWorld): void {
  const holds = (name: string, check: (t: Test, world: KernelWorld) => Promise<unknown>) =>
    test(`${subject} ${name}`, async (t) => check(t, makeWorld(t)))

  const open = (t: Test, kernel: Kernel, path: string): Namespace => {
    const namespace = kernel.openNamespace(path)
    t.teardown(() => namespace.close())
    return namespace
  }

  /** A pair between two namespaces, up, with the far end's index. */
  const connect = async (host: Namespace, pod: Namespace): Promise<IfIndex> => {
    const mac = '02:00:00:00:00:02' as MacAddress
    const peer = { name: 'eth0', mac, netnsFd: pod.fd }
    await host.rtnl.apply({ change: 'create link', link: { kind: 'veth', name: 'veth0', up: true, peer } })
    const { index } = await pod.rtnl.getLink('eth0')
    await pod.rtnl.apply({ change: 'set link', link: index, set: { up: true } })
    return index
  }
  const add = (rtnl: Rtnl, dev: IfIndex, text: string) =>
    rtnl.apply({ change: 'add address', address: { dev, prefix: prefix(text), noDad: true } })
  const addresses = async (rtnl: Rtnl) =>
    (await rtnl.listAddresses())
      .filter((one) => !LINK_LOCAL.contains(one.prefix.address))
      .map((one) => String(one.prefix))
      .sort()

  holds('opens a namespace by its path, and knows it again', async (t, { kernel, a, b }) => {
    const [first, again, other] = [open(t, kernel, a), open(t, kernel, a), open(t, kernel, b)]
    t.equal(first.inode, again.inode)
    t.not(first.inode, other.inode)
    t.not(first.inode, kernel.host.inode)
    t.not(first.fd, again.fd)
    await first.rtnl.apply({ change: 'set link', link: 'lo', set: { up: true } })
    t.equal((await again.rtnl.getLink('lo')).up, true)
    t.equal((await other.rtnl.getLink('lo')).up, false)
  })

  holds('has one arp_notify, set as a link’s or as a sysctl', async (t, { kernel, a, b }) => {
    const [host, pod] = [open(t, kernel, a), open(t, kernel, b)]
    const link = await connect(host, pod)
    const key = 'ipv4/conf/eth0/arp_notify'
    t.equal(pod.sysctl.find(key), '0')
    await pod.rtnl.apply({ change: 'set link', link, set: { arpNotify: true } })
    t.equal(pod.sysctl.find(key), '1')
    await pod.rtnl.apply({ change: 'set link', link: 'eth0', set: { arpNotify: false } })
    t.equal(pod.sysctl.find(key), '0')
    t.equal(host.sysctl.find('ipv4/conf/veth0/arp_notify'), '0')
  })

  holds('refuses a path where there is nothing', async (t, { kernel, nothing }) => {
    t.throws(() => kernel.openNamespace(nothing), {
      name: 'NetnsError',
      code: 'ENOENT',
      path: nothing,
      message: `open network namespace "${nothing}": ENOENT: no such file or directory`,
    })
  })

  holds('takes the other ends of a namespace that ends', async (t, { kernel, a, b, removeNamespace }) => {
    const host = open(t, kernel, a)
    const pod = kernel.openNamespace(b)
    await connect(host, pod)
    removeNamespace(b)
    t.throws(() => kernel.openNamespace(b), { code: 'ENOENT' })
    t.equal((await host.rtnl.getLink('veth0')).name, 'veth0', 'it lives while it is open')
    const gone = t.rejects(host.rtnl.waitForLink('veth0', patience), { code: 'ENODEV' })
    await host.rtnl.listLinks()
    pod.close()
    await gone
    t.strictSame(await host.rtnl.findLink('veth0'), undefined)
  })

  holds('refuses a namespace that was closed', async (t, { kernel, a, b }) => {
    const host = open(t, kernel, a)
    const pod = kernel.openNamespace(b)
    pod.close()
    const link = { kind: 'veth', name: 'veth0', peer: { name: 'eth0', netnsFd: pod.fd } } as const
    // EINVAL: the number may be another file's by now
    await t.rejects(host.rtnl.apply({ change: 'create link', link }), { code: /^(EBADF|EINVAL)$/ })
  })

  holds('has sysctls of links while they are there', async (t, { kernel, a, b }) => {
    const [host, pod] = [open(t, kernel, a), open(t, kernel, b)]
    t.strictSame(pod.sysctl.find('ipv6/conf/eth0/accept_ra'), undefined)
    await connect(host, pod)
    pod.sysctl.set({ key: 'ipv6/conf/eth0/accept_ra', value: '0' })
    t.equal(pod.sysctl.find('ipv6/conf/eth0/accept_ra'), '0')
    await host.rtnl.apply({ change: 'delete link', link: 'veth0' })
    t.strictSame(pod.sysctl.find('ipv6/conf/eth0/accept_ra'), undefined)
  })

  holds('has no IPv6 where it is switched off', async (t, { kernel, a, b }) => {
    const [host, pod] = [open(t, kernel, a), open(t, kernel, b)]
    const dev = await connect(host, pod)
    await add(pod.rtnl, dev, 'fd00::1/64')
    await add(pod.rtnl, dev, '10.1.0.1/24')
    pod.sysctl.set({ key: 'ipv6/conf/eth0/disable_ipv6', value: '1' })
    t.strictSame(await addresses(pod.rtnl), ['10.1.0.1/24'])
    t.strictSame(await pod.rtnl.listRoutes({ family: 6 }), [])
    await t.rejects(add(pod.rtnl, dev, 'fd00::1/64'), {
      code: 'EACCES',
      message: /EACCES: ipv6: IPv6 is disabled on this device$/,
    })
    pod.sysctl.set({ key: 'ipv6/conf/eth0/disable_ipv6', value: '0' })
    await add(pod.rtnl, dev, 'fd00::1/64')
    t.strictSame(await addresses(pod.rtnl), ['10.1.0.1/24', 'fd00::1/64'])
  })

  holds('keeps IPv6 addresses of a link that is down where told so', async (t, { kernel, a, b }) => {
    const [host, pod] = [open(t, kernel, a), open(t, kernel, b)]
    const dev = await connect(host, pod)
    pod.sysctl.set({ key: 'ipv6/conf/eth0/keep_addr_on_down', value: '1' })
    await add(pod.rtnl, dev, 'fd00::1/64')
    await pod.rtnl.apply({ change: 'set link', link: dev, set: { up: false } })
    t.strictSame(await addresses(pod.rtnl), ['fd00::1/64'])
    t.strictSame(await pod.rtnl.listRoutes({ family: 6 }), [])
  })

  holds('keeps secondary addresses where told so', async (t, { kernel, a, b }) => {
    const [host, pod] = [open(t, kernel, a), open(t, kernel, b)]
    const dev = await connect(host, pod)
    pod.sysctl.set({ key: 'ipv4/conf/eth0/promote_secondaries', value: '1' })
    await add(pod.rtnl, dev, '10.1.0.1/24')
    await add(pod.rtnl, dev, '10.1.0.2/24')
    await pod.rtnl.apply({ change: 'delete address', address: { dev, prefix: prefix('10.1.0.1/24') } })
    t.strictSame(await addresses(pod.rtnl), ['10.1.0.2/24'])
    const [route] = await pod.rtnl.listRoutes({ family: 4 })
    t.equal(String(route?.source), '10.1.0.2')
  })
}
