// The verbs on a node in memory: what they make, and that nothing is left of what failed or was taken away.

import { setImmediate as nextTurn } from 'node:timers/promises'
import { test } from 'tap'
import type { Result } from '../../lib/cni/result.ts'
import type { Conntrack } from '../../lib/conntrack/conntrack.ts'
import { ConntrackFake } from '../../lib/conntrack/conntrack-fake.ts'
import { ConntrackLater } from '../../lib/conntrack/conntrack-later.ts'
import { IpAddress } from '../../lib/ip/address.ts'
import { Prefix } from '../../lib/ip/prefix.ts'
import { podwireTable } from '../../lib/nftables/masquerade-rules.ts'
import { listMasquerade } from '../../lib/nftables/podwire-table.ts'
import { makeScene, refuseEach, type Scene } from '../../lib/testing/scene.ts'
import { type Meeting, meet } from '../../lib/testing/side-by-side.ts'
import { attach, NETCONF } from './node.fixture.ts'
import { plugin } from './plugin.ts'

const del = (scene: Scene, netconf: object = NETCONF, pod = {}) =>
  plugin.del(scene.ports, scene.request('DEL', netconf, pod))

const DUAL = `namespace host
address br0 10.1.0.1/24
address br0 fd00:1::1/64
link br0 bridge up mtu 1500 mac 12:10:11:12:13:14
link lo loopback down mtu 65536 mac 00:00:00:00:00:00
link veth01020304 veth up mtu 1500 mac 06:06:07:08:09:0a master br0 peer eth0 in /run/netns/pod-1 alias "net pod-1 eth0"
route 10.1.0.0/24 dev br0 src 10.1.0.1 scope link connected
route fd00:1::/64 dev br0 scope global metric 256 connected
`

test('ADD wires a pod with all that was asked for, and DEL takes it away', async (t) => {
  const scene = makeScene()
  const fresh = scene.dump()
  const result = await attach(scene)
  const dump = scene.kernel.dump()
  t.match(dump, DUAL.split('\n').find((line) => line.startsWith('link veth')) ?? '')
  for (const text of [
    'address br0 10.1.0.1/24',
    'address br0 fd00:1::1/64',
    'sysctl ipv4/conf/all/forwarding 1',
    'sysctl ipv6/conf/all/forwarding 1',
    'sysctl ipv6/conf/br0/accept_ra 0',
    'elements = { 10.1.0.5 comment "net pod-1 eth0" : goto subnet_10.1.0.0_24 }',
    'elements = { "veth01020304" . 0a:58:0a:01:00:05 comment "net pod-1 eth0" }',
    'address eth0 10.1.0.5/24',
    'route default via 10.1.0.1 dev eth0',
    'route default via fd00:1::1 dev eth0',
  ])
    t.ok(dump.includes(text), text)
  t.match(result, { interfaces: [{ name: 'br0' }, { name: 'veth01020304' }, { name: 'eth0', mtu: 1500 }] })
  t.strictSame(scene.kernel.openHandles(), [], 'no namespace stays open')
  const other = scene.dump()
  await attach(scene, NETCONF, { containerId: 'pod-2' })
  await del(scene, NETCONF, { containerId: 'pod-2' })
  scene.kernel.removeNamespace('/run/netns/pod-2')
  t.equal(scene.dump(), other, 'the one beside it stays')
  await del(scene)
  const after = scene.dump()
  t.notOk(/veth|elements|lease|attachment|eth0/.test(after), after)
  await del(scene)
  t.equal(scene.dump(), after, 'a second DEL is fine')
  t.not(after, fresh, 'the bridge stays')
})

const withPodNamespace = () => {
  const scene = makeScene()
  scene.request('ADD', NETCONF)
  return scene
}

test('ADD leaves a new node as it was whatever step fails', async (t) => {
  const steps = await refuseEach(
    async () => withPodNamespace(),
    (scene) => attach(scene),
    (scene, before, operation) => {
      t.equal(scene.dump(), before, operation)
      t.strictSame(scene.kernel.openHandles(), [])
    },
  )
  t.ok(steps > 30, `${steps} steps`)
})

test('ADD leaves other pods alone whatever step fails', async (t) => {
  await refuseEach(
    async () => {
      const scene = withPodNamespace()
      await attach(scene, NETCONF, { containerId: 'other' })
      return scene
    },
    (scene) => attach(scene),
    (scene, before, operation) => t.equal(scene.dump(), before, operation),
  )
})

test('ADD of a second interface leaves the pod as it was whatever step fails', async (t) => {
  const second = { ...NETCONF, isDefaultGateway: false, isGateway: true }
  const make = async () => {
    const scene = withPodNamespace()
    await attach(scene)
    return scene
  }
  const add = (scene: Scene) => attach(scene, second, { ifname: 'net1' })
  const look = (scene: Scene, before: string, operation: string) => t.equal(scene.dump(), before, operation)
  t.ok((await refuseEach(make, add, look)) > 20)
  await t.resolves(add(await make()))
})

test('ADD that cannot remove what it made leaves the record, by which DEL removes it', async (t) => {
  for (const [stuck, left] of [
    ['ip link del', 'link veth01020304'],
    ['destroy element bridge', 'elements = { "veth01020304" . 0a:58:0a:01:00:05 comment "net pod-1 eth0" }'],
  ] as const) {
    const scene = withPodNamespace()
    let isFailing = false
    scene.refuse = (operation) => {
      if (isFailing) return operation.startsWith(stuck) ? 'EPERM' : undefined
      isFailing = operation.startsWith('ip route prepend')
      return isFailing ? 'ENOSPC' : undefined
    }
    await t.rejects(attach(scene), { message: /ENOSPC/, details: /could not be undone: .*EPERM/ }, stuck)
    for (const text of [left, 'attachment net pod-1 eth0']) t.ok(scene.dump().includes(text), text)
    scene.refuse = () => undefined
    await del(scene, {}, { netns: '' })
    t.notOk(/veth|elements|lease|attachment|eth0/.test(scene.dump()), scene.dump())
  }
})

/** What a pod may ask of a bridge that it shares with one that did not. */
const MORE = { ...NETCONF, promiscMode: true, forceAddress: true }

test('ADD puts back what it changed on a bridge of other pods, whatever step fails', async (t) => {
  const others: readonly [name: string, netconf: object, address: string][] = [
    ['a pod without gateway', { ...NETCONF, isDefaultGateway: false, ipMasq: false }, '10.1.0.9/24'],
    ['a pod without ipam', { ...NETCONF, isDefaultGateway: false, ipam: {}, ipMasq: false }, '10.7.0.9/24'],
  ]
  for (const [name, netconf, address] of others) {
    const make = async () => {
      const scene = withPodNamespace()
      await attach(scene, netconf, { containerId: 'other' })
      const { rtnl } = scene.kernel.host
      const { index: dev } = await rtnl.getLink('br0')
      await rtnl.apply({ change: 'add address', address: { dev, prefix: Prefix.parse(address) } })
      return scene
    }
    const look = (scene: Scene, before: string, operation: string) =>
      t.equal(scene.dump(), before, `${name}, ${operation}`)
    t.ok((await refuseEach(make, (scene) => attach(scene, MORE), look)) > 30)
  }
})

test('ADD that fails leaves to others what they asked for meanwhile', async (t) => {
  const scene = makeScene()
  await attach(scene, { ...NETCONF, isDefaultGateway: false, ipMasq: false }, { containerId: 'first' })
  const { rtnl } = scene.kernel.host
  const { index: dev } = await rtnl.getLink('br0')
  await rtnl.apply({ change: 'add address', address: { dev, prefix: Prefix.parse('10.1.0.9/24') } })
  const request = scene.request('ADD', MORE)
  let isRefused = false
  const put = scene.ports.attachments.put.bind(scene.ports.attachments)
  // Another ADD of the same kind is recorded between this one's last step but one and its undoing.
  scene.refuse = (operation) => {
    if (isRefused || !operation.startsWith('add table inet podwire')) return undefined
    isRefused = true
    const mine = scene.ports.attachments.list().find(({ containerId }) => containerId === 'pod-1')
    if (mine) put({ ...mine, containerId: 'second' })
    return 'EPERM'
  }
  await t.rejects(plugin.add(scene.ports, request))
  t.ok(isRefused)
  const after = scene.dump()
  t.match(after, 'address br0 10.1.0.1/24')
  t.notMatch(after, '10.1.0.9/24')
  t.match(after, /link br0 .* promisc\n/)
  t.equal(scene.kernel.host.sysctl.find('ipv4/ip_forward'), '1')
})

test('ADD says what could not be undone', async (t) => {
  const scene = makeScene()
  const request = scene.request('ADD', NETCONF)
  let failing = false
  scene.refuse = (operation) => {
    failing ||= operation.startsWith('ip route prepend')
    return failing && !operation.startsWith('list') ? 'EPERM' : undefined
  }
  await t.rejects(plugin.add(scene.ports, request), {
    message: /^ip route prepend default .*EPERM/,
    details: /could not be undone: .*remove veth01020304: .*EPERM/,
  })
})

test('ADD explains a kernel without nftables for bridges', async (t) => {
  const scene = makeScene({ nftables: 'no bridge' })
  const request = scene.request('ADD', NETCONF)
  const before = scene.dump()
  await t.rejects(plugin.add(scene.ports, request), {
    message: /^add chain bridge podwire prerouting .*ENOENT/,
    details: /CONFIG_NF_TABLES_BRIDGE/,
  })
  t.equal(scene.dump(), before)
})

test('ADD refuses an attachment that is there, and takes nothing from it', async (t) => {
  const scene = makeScene()
  await attach(scene)
  const before = scene.dump()
  await t.rejects(attach(scene), { message: 'pod-1 is already attached to net by eth0' })
  t.equal(scene.dump(), before)
})

test('ADD brings back what other pods had when the rules were flushed', async (t) => {
  const scene = makeScene()
  await attach(scene, NETCONF, { containerId: 'pod-2' })
  const { nft } = scene.kernel.host
  await nft.apply([{ verb: 'destroy', table: podwireTable }])
  await attach(scene, NETCONF)
  const owners = (await listMasquerade(nft)).map(({ address, comment }) => `${address} ${comment}`)
  t.ok(
    owners.some((owner) => owner.endsWith('net pod-2 eth0')),
    owners.join(', '),
  )
  t.ok(
    owners.some((owner) => owner.endsWith('net pod-1 eth0')),
    owners.join(', '),
  )
})

test('ADD clears away what an earlier one left that was killed', async (t) => {
  const scene = makeScene()
  await attach(scene)
  await scene.kernel.host.rtnl.apply({ change: 'delete link', link: 'veth01020304' })
  await attach(scene)
  t.equal([...scene.dump().matchAll(/comment "net pod-1 eth0"/g)].length, 4, 'no element twice')
})

test('ADD refuses a namespace that has the interface, with upstream’s words', async (t) => {
  const scene = makeScene()
  const request = scene.request('ADD', NETCONF)
  const pod = scene.kernel.openNamespace(request.netns)
  await pod.rtnl.apply({ change: 'create link', link: { kind: 'bridge', name: 'eth0' } })
  pod.close()
  const before = scene.dump()
  await t.rejects(plugin.add(scene.ports, request), {
    message: 'container veth name ("eth0") peer provided ("veth01020304") already exists',
  })
  t.equal(scene.dump(), before)
})

test('ADD keeps the default route that the node was advertised', async (t) => {
  const scene = makeScene()
  const { rtnl } = scene.kernel.host
  await rtnl.apply({
    change: 'create link',
    link: { kind: 'veth', name: 'up0', up: true, peer: { name: 'x' } },
  })
  await rtnl.apply({ change: 'set link', link: 'x', set: { up: true } })
  const { Prefix } = await import('../../lib/ip/prefix.ts')
  const { IpAddress } = await import('../../lib/ip/address.ts')
  const dev = (await rtnl.getLink('up0')).index
  const gateway = IpAddress.parse('fe80::1')
  await rtnl.apply({
    change: 'add route',
    route: { dst: Prefix.parse('::/0'), gateway, dev, advertised: true },
  })
  const before = scene.dump()
  await attach(scene)
  t.match(scene.dump(), /sysctl ipv6\/conf\/up0\/accept_ra 2/)
  await del(scene)
  const other = makeScene()
  t.not(before, other.dump())
  // Undone as well, when the ADD fails after it.
  scene.kernel.host.sysctl.set(
    { key: 'ipv4/ip_forward', value: '0' },
    { key: 'ipv6/conf/all/forwarding', value: '0' },
    { key: 'ipv6/conf/up0/accept_ra', value: '1' },
  )
  const clean = scene.dump()
  scene.refuse = (operation) => (operation.startsWith('destroy element inet') ? 'EPERM' : undefined)
  await t.rejects(attach(scene), { message: /EPERM/ })
  t.equal(scene.dump(), clean)
})

test('ADD takes the MTU of the uplink when asked to', async (t) => {
  const scene = makeScene()
  const auto = { ...NETCONF, mtu: 'auto' }
  t.match(await attach(scene, auto), { interfaces: [{ mtu: 1500 }, { mtu: 1500 }, { mtu: 1500 }] })
  await del(scene)
  const { rtnl } = scene.kernel.host
  const { Prefix } = await import('../../lib/ip/prefix.ts')
  const { IpAddress } = await import('../../lib/ip/address.ts')
  for (const [name, mtu, priority] of [
    ['up0', 8900, 10],
    ['up1', 1400, 20],
  ] as const) {
    await rtnl.apply({
      change: 'create link',
      link: { kind: 'veth', name, mtu, up: true, peer: { name: `${name}x` } },
    })
    await rtnl.apply({ change: 'set link', link: `${name}x`, set: { up: true } })
    const dev = (await rtnl.getLink(name)).index
    const subnet = `192.0.${priority}`
    await rtnl.apply(
      { change: 'add address', address: { dev, prefix: Prefix.parse(`${subnet}.2/24`) } },
      {
        change: 'add route',
        route: { dst: Prefix.parse('0.0.0.0/0'), gateway: IpAddress.parse(`${subnet}.1`), dev, priority },
      },
    )
  }
  await rtnl.apply({ change: 'delete link', link: 'br0' })
  t.match(await attach(scene, auto), { interfaces: [{ mtu: 8900 }, { mtu: 8900 }, { mtu: 8900 }] })
})

const DELS: readonly {
  readonly name: string
  readonly netconf?: object
  readonly pod?: object
  readonly change?: (scene: Scene) => unknown
}[] = [
  { name: 'the namespace is not named', pod: { netns: '' } },
  { name: 'the namespace is gone', change: ({ kernel }) => kernel.removeNamespace('/run/netns/pod-1') },
  { name: 'the config was emptied', netconf: { cniVersion: '1.1.0', name: 'net', type: 'cni-bridge' } },
  { name: 'the config is nonsense', netconf: { ...NETCONF, mtu: 'x', ipam: 7 } },
  {
    name: 'the rules were flushed',
    change: async ({ kernel: { host } }) => {
      const tables = await host.nft.listTables()
      await host.nft.apply(tables.map((table) => ({ verb: 'delete', table }) as const))
    },
  },
  {
    name: 'the wire is gone',
    change: ({ kernel }) => kernel.host.rtnl.apply({ change: 'delete link', link: 'veth01020304' }),
  },
  {
    name: 'the bridge is gone',
    change: ({ kernel }) => kernel.host.rtnl.apply({ change: 'delete link', link: 'br0' }),
  },
  {
    name: 'the record is lost',
    change: ({ ports }) =>
      ports.attachments.delete({
        plugin: 'cni-bridge',
        network: 'net',
        containerId: 'pod-1',
        ifname: 'eth0',
      }),
  },
]

for (const { name, netconf = NETCONF, pod = {}, change } of DELS) {
  test(`DEL takes everything away when ${name}`, async (t) => {
    const scene = makeScene()
    await attach(scene)
    await change?.(scene)
    await del(scene, netconf, pod)
    const left = scene.dump()
    t.notOk(/veth|elements|lease|attachment|eth0/.test(left), left)
  })
}

test('DEL forgets the connections of a pod that was masqueraded', async (t) => {
  const ofPod = { orig: ['10.1.0.5', '192.0.2.2'], reply: ['192.0.2.2', '192.0.2.1'] } as const
  const ofOther = { orig: ['10.1.0.6', '192.0.2.2'] } as const
  for (const [netconf, expected] of [
    [NETCONF, 'connection 10.1.0.6 > 192.0.2.2, 192.0.2.2 > 10.1.0.6\n'],
    [{ ...NETCONF, ipMasq: false }, /^connection 10.1.0.5 .*\nconnection 10.1.0.6/],
  ] as const) {
    const scene = makeScene()
    await attach(scene, netconf)
    const { conntrack } = scene.kernel.host
    conntrack.add(ofPod, ofOther)
    await del(scene, netconf)
    t.match(conntrack.dump(), typeof expected === 'string' ? new RegExp(`^${expected}$`) : expected)
  }
})

/** The ports of a node with another conntrack. */
function portsWith({ kernel, ports }: Scene, conntrack: Conntrack): Scene['ports'] {
  const { fd, inode, rtnl, nft, sysctl } = kernel.host
  return {
    ...ports,
    kernel: {
      host: { fd, inode, rtnl, nft, sysctl, conntrack, close: () => undefined },
      openNamespace: (path: string) => kernel.openNamespace(path),
      finish: async () => undefined,
      close: () => undefined,
    },
  }
}

test('ADD waits until the connections of its address are forgotten, where that was put off', async (t) => {
  const scene = makeScene()
  const { conntrack: tracked } = scene.kernel.host
  const conntrack = new ConntrackLater(tracked, { onError: (error) => t.fail(String(error)), pauseMs: 1e6 })
  tracked.add({ orig: ['10.1.0.5', '192.0.2.2'] })
  await conntrack.flush([IpAddress.parse('10.1.0.5')], 1)
  await plugin.add(portsWith(scene, conntrack), scene.request('ADD', NETCONF))
  t.equal(tracked.dump(), '')
})

/** Takes its time to forget, and then looks who has a lease. */
class LateConntrack extends ConntrackFake {
  readonly leases: string[] = []
  readonly #scene: Scene

  constructor(scene: Scene) {
    super((count) => scene.kernel.host.sysctl.announce('netfilter/nf_conntrack_count', String(count)))
    this.#scene = scene
  }

  override async flush(addresses: readonly IpAddress[]): Promise<number> {
    for (let turn = 0; turn < 20; turn++) await nextTurn()
    this.leases.push(...this.#scene.leases.keys())
    return super.flush(addresses)
  }
}

test('DEL gives the address back when its connections are forgotten', async (t) => {
  const scene = makeScene()
  await attach(scene)
  const conntrack = new LateConntrack(scene)
  conntrack.add({ orig: ['10.1.0.5', '192.0.2.2'] })
  await plugin.del(portsWith(scene, conntrack), scene.request('DEL', NETCONF))
  t.strictSame(conntrack.leases, ['pod-1 eth0'], 'held while they are forgotten')
  t.equal(conntrack.dump(), '')
  t.equal(scene.leases.size, 0)
})

test('DEL tries everything, keeps the record when something failed, and ends it the next time', async (t) => {
  const scene = makeScene()
  await attach(scene)
  scene.refuse = (operation) => (operation.startsWith('get element') ? 'EPERM' : undefined)
  await t.rejects(del(scene), { message: /get element.*EPERM/ })
  t.match(scene.dump(), /attachment net pod-1 eth0/)
  t.notOk(/veth.*veth up|lease/.test(scene.dump()), 'the wire and the lease are gone')
  scene.refuse = () => undefined
  await del(scene)
  t.notOk(/veth|elements|lease|attachment/.test(scene.dump()))
})

test('GC takes away what is not valid, recorded or not, and nothing else', async (t) => {
  const scene = makeScene()
  for (const containerId of ['pod-1', 'pod-2', 'pod-3']) await attach(scene, NETCONF, { containerId })
  scene.ports.attachments.delete({
    plugin: 'cni-bridge',
    network: 'net',
    containerId: 'pod-2',
    ifname: 'eth0',
  })
  const gc = (valid: object[]) =>
    plugin.gc?.(
      scene.ports,
      scene.request('GC', { ...NETCONF, 'cni.dev/valid-attachments': valid }, { containerId: '', netns: '' }),
    )
  await gc([{ containerID: 'pod-3', ifname: 'eth0' }])
  const left = scene.dump()
  t.notOk(/pod-1 eth0|pod-2 eth0"/.test(left), left)
  t.equal(
    [...left.matchAll(/comment "net pod-3 eth0"/g)].length,
    4,
    'a masquerade and a guard, for each family and key',
  )
  await gc([])
  t.notOk(/veth|elements|attachment/.test(scene.dump()))
})

/** A node, and the results of the pods that are there. */
class Node {
  readonly scene = makeScene()
  readonly results = new Map<string, Result>()

  readonly add = async (containerId: string): Promise<void> => {
    this.results.set(containerId, await attach(this.scene, NETCONF, { containerId }))
  }

  readonly tryAdd = (containerId: string): Promise<void> =>
    this.add(containerId).catch((error: unknown) => {
      if (!String(error).includes('EPERM')) throw error
    })

  readonly del = async (containerId: string): Promise<void> => {
    this.results.delete(containerId)
    await del(this.scene, NETCONF, { containerId })
  }
}

const MEETINGS: Readonly<Record<string, (node: Node) => Promise<Pick<Meeting, 'first' | 'second'>>>> = {
  'the first two': async ({ add }) => ({ first: () => add('pod-1'), second: () => add('pod-2') }),
  'the last one goes and another comes': async ({ add, del }) => {
    await add('pod-1')
    return { first: () => del('pod-1'), second: () => add('pod-2') }
  },
  'one comes and the last one goes': async ({ add, del }) => {
    await add('pod-1')
    return { first: () => add('pod-2'), second: () => del('pod-1') }
  },
  'the first two, of which one fails before the other is there': failing(1),
  'the first two, of which one fails when the other is past it': failing(2),
}

/** @param nth  to come to the route is refused */
function failing(nth: number): (node: Node) => Promise<Pick<Meeting, 'first' | 'second'>> {
  return async ({ scene, tryAdd }) => {
    let count = 0
    scene.refuse = (operation) =>
      operation.startsWith('ip route prepend default via 10.') && ++count === nth ? 'EPERM' : undefined
    return { first: () => tryAdd('pod-1'), second: () => tryAdd('pod-2') }
  }
}

for (const [name, prepare] of Object.entries(MEETINGS)) {
  test(`calls that meet are as if one came after the other: ${name}`, async (t) => {
    let after = 0
    for (let met = true; met; after++) {
      const node = new Node()
      met = await meet({ ...(await prepare(node)), after })
      const dump = node.scene.dump()
      t.equal(node.results.size, name === 'the first two' ? 2 : 1)
      for (const containerId of ['pod-1', 'pod-2']) {
        const prevResult = node.results.get(containerId)
        if (prevResult === undefined)
          t.notOk(dump.includes(`net ${containerId} eth0`), `after ${after}: ${dump}`)
        else
          await plugin
            .check(node.scene.ports, node.scene.request('CHECK', NETCONF, { containerId, prevResult }))
            .catch((error) => t.error(error, `after ${after}`))
      }
    }
    t.ok(after > 40, `${after} steps`)
  })
}
