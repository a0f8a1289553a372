// What holds for the port `Rtnl`, on the real kernel and on the fake one.

import { type Test, test } from 'tap'
import { IpAddress } from '../ip/address.ts'
import type { MacAddress } from '../ip/mac.ts'
import { Prefix } from '../ip/prefix.ts'
import type { BridgeVlanChange } from './bridge-vlan.ts'
import { formatRoute, formatVlan } from './format.ts'
import { type IfIndex, type LinkSettings, LOOPBACK_INDEX, type NewLink } from './link.ts'
import type { Route } from './route.ts'
import type { Change, Rtnl } from './rtnl.ts'

/** Two fresh namespaces. */
export interface RtnlWorld {
  readonly host: Rtnl
  readonly pod: Rtnl
  /** Names the pod's namespace. */
  readonly podFd: number
  /** Names the host's. */
  readonly hostFd: number
  readonly bridgeVlanFiltering: boolean
}

const prefix = (text: string) => Prefix.parse(text)
const address = (text: string) => IpAddress.parse(text)
const mac = (last: number) => `02:00:00:00:00:0${last}` as MacAddress
const nowhere = 99 as IfIndex
/** Longer than a test may take: a wait that ends, ends by a notification, not by the last look. */
const patience = { deadlineMs: 300_000 }

const bridge = (name: string, more: object = {}): Change => ({
  change: 'create link',
  link: { kind: 'bridge', name, ...more },
})
const veth = (name: string, peer: string, more: object = {}): Change => ({
  change: 'create link',
  link: { kind: 'veth', name, peer: { name: peer }, ...more },
})
const set = (link: string | IfIndex, settings: LinkSettings): Change => ({
  change: 'set link',
  link,
  set: settings,
})
const remove = (link: string | IfIndex): Change => ({ change: 'delete link', link })
const add = (dev: IfIndex, text: string, noDad = true): Change => ({
  change: 'add address',
  address: { dev, prefix: prefix(text), noDad },
})
const withdraw = (dev: IfIndex, text: string): Change => ({
  change: 'delete address',
  address: { dev, prefix: prefix(text) },
})
const way = (dst: string, more: Omit<Route, 'dst'> = {}): Route => ({ dst: prefix(dst), ...more })
const addRoute = (route: Route): Change => ({ change: 'add route', route })
const deleteRoute = (route: Route): Change => ({ change: 'delete route', route })

const index = async (rtnl: Rtnl, name: string) => (await rtnl.getLink(name)).index
const isLinkLocal = (one: Prefix) => prefix('fe80::/10').contains(one.address)

/** Sorted lines. MACs only where a test gave them, link-local addresses never: the kernel makes them when it likes. */
async function links(rtnl: Rtnl): Promise<string[]> {
  const all = await rtnl.listLinks()
  const name = (index: number) => all.find((link) => link.index === index)?.name
  return all
    .map((link) =>
      [
        `${link.name} ${link.kind ?? 'loopback'} ${link.up ? 'up' : 'down'} mtu ${link.mtu}`,
        ...(link.mac?.startsWith('02:00:00:00:00:') ? [link.mac] : []),
        ...(link.promisc ? ['promisc'] : []),
        ...(link.master ? [`master ${name(link.master)}`] : []),
        ...(link.bridgePort?.hairpin ? ['hairpin'] : []),
        ...(link.bridgePort?.isolated ? ['isolated'] : []),
        ...(link.peerIndex && link.peerNetnsid === undefined ? [`peer ${name(link.peerIndex)}`] : []),
        ...(link.peerNetnsid === undefined ? [] : [`peer in ${link.peerNetnsid}`]),
        ...(link.alias ? [`alias ${link.alias}`] : []),
        ...(link.vlanFiltering ? ['vlan_filtering'] : []),
      ].join(' '),
    )
    .sort()
}

async function addresses(rtnl: Rtnl): Promise<string[]> {
  const all = await rtnl.listAddresses()
  const lines = all
    .filter((one) => !isLinkLocal(one.prefix))
    .map(
      async (one) =>
        `${(await rtnl.getLink(one.dev)).name} ${one.prefix}${one.tentative ? ' tentative' : ''}`,
    )
  return (await Promise.all(lines)).sort()
}

async function routes(rtnl: Rtnl): Promise<string[]> {
  const all = (await rtnl.listRoutes()).filter((route) => !isLinkLocal(route.dst))
  const lines = all.map(async ({ dev, connected, ...route }) => {
    const link = dev === undefined ? {} : { dev: (await rtnl.getLink(dev)).name }
    return formatRoute({ ...route, ...link }) + (connected ? ' connected' : '')
  })
  return (await Promise.all(lines)).sort()
}

export function rtnlContract(subject: string, makeWorld: (t: Test) => RtnlWorld | Promise<RtnlWorld>): void {
  const holds = (name: string, check: (t: Test, world: RtnlWorld) => Promise<unknown>) =>
    test(`${subject} ${name}`, async (t) => check(t, await makeWorld(t)))

  holds('has a loopback link that is down in a new namespace', async (t, { host }) => {
    t.strictSame(await links(host), ['lo loopback down mtu 65536'])
    t.equal((await host.getLink('lo')).index, LOOPBACK_INDEX)
    t.strictSame(await addresses(host), [])
    t.strictSame(await routes(host), [])
  })

  holds('gives loopback its addresses when it comes up', async (t, { host }) => {
    await host.apply(set('lo', { up: true }))
    t.strictSame(await addresses(host), ['lo 127.0.0.1/8', 'lo ::1/128'])
    t.strictSame(await routes(host), [])
    t.match(await host.getLink(LOOPBACK_INDEX), { up: true, lowerUp: true, operstate: 'UNKNOWN' })
  })

  holds('creates a bridge', async (t, { host }) => {
    await host.apply(
      bridge('br0', { up: true }),
      bridge('br1', { mac: mac(1), mtu: 1400, up: true }),
      bridge('br2'),
    )
    t.strictSame(await links(host), [
      'br0 bridge up mtu 1500',
      'br1 bridge up mtu 1400 02:00:00:00:00:01',
      'br2 bridge down mtu 1500',
      'lo loopback down mtu 65536',
    ])
    // br_stp_change_bridge_id: a bridge that was given a MAC has looked at its ports, and knows that there are none.
    t.match(await host.getLink('br0'), { operstate: 'UNKNOWN', lowerUp: true, vlanFiltering: false })
    t.match(await host.getLink('br1'), { operstate: 'DOWN', lowerUp: false })
    t.match(await host.getLink('br2'), { operstate: 'DOWN', lowerUp: false })
  })

  holds('creates a bridge with VLANs where the kernel can', async (t, { host, bridgeVlanFiltering }) => {
    const created = host.apply(bridge('br0', { vlanFiltering: true }))
    if (bridgeVlanFiltering) {
      await created
      t.equal((await host.getLink('br0')).vlanFiltering, true)
    } else {
      await t.rejects(created, { code: 'EOPNOTSUPP' })
      await t.rejects(host.apply(bridge('br0', { vlanFiltering: false })), { code: 'EOPNOTSUPP' })
      t.strictSame(await host.findLink('br0'), undefined)
    }
  })

  holds('puts a port into VLANs where the kernel can', async (t, { host, bridgeVlanFiltering }) => {
    await host.apply(bridge('br0'), veth('a', 'b'))
    const [br0, port] = [await host.getLink('br0'), await index(host, 'a')]
    await host.apply(set(port, { master: br0.index }))
    const addVlan = (link: IfIndex, vlan: BridgeVlanChange): Change => ({
      change: 'add bridge vlan',
      link,
      vlan,
    })
    const leave: Change = { change: 'delete bridge vlan', link: port, vlan: { vid: 1 } }
    const vlans = async (link: IfIndex) => (await host.listBridgeVlans(link)).map(formatVlan)
    if (!bridgeVlanFiltering) {
      t.equal(br0.vlanDefaultPvid, undefined)
      await host.apply(leave)
      await t.rejects(host.apply(addVlan(port, { vid: 100 })), { code: 'EOPNOTSUPP' })
      return t.strictSame(await vlans(port), [])
    }
    t.equal(br0.vlanDefaultPvid, 1)
    t.strictSame([await vlans(br0.index), await vlans(port)], [['1 pvid untagged'], ['1 pvid untagged']])
    await host.apply(
      addVlan(port, { vid: 200, vidEnd: 202 }),
      addVlan(port, { vid: 100, pvid: true, untagged: true }),
    )
    t.strictSame(await vlans(port), ['1 untagged', '100 pvid untagged', '200', '201', '202'])
    await host.apply(leave, leave, addVlan(port, { vid: 100 }), addVlan(br0.index, { vid: 5, self: true }))
    t.strictSame(await vlans(port), ['100', '200', '201', '202'])
    t.strictSame(await vlans(br0.index), ['1 pvid untagged', '5'])
    await t.rejects(host.apply(addVlan(port, { vid: 4095 })), { code: 'EINVAL' })
    await host.apply(set(port, { master: 0 }))
    t.strictSame(await vlans(port), [])
    await t.rejects(host.apply(addVlan(port, { vid: 100 })), { code: 'EOPNOTSUPP' })
    await t.rejects(host.apply(addVlan(nowhere, { vid: 100 })), { code: 'ENODEV' })
  })

  holds('creates a pair in one namespace', async (t, { host }) => {
    await host.apply(veth('a', 'b', { mac: mac(1), mtu: 1400, peer: { name: 'b', mac: mac(2) } }))
    t.strictSame(await links(host), [
      'a veth down mtu 1400 02:00:00:00:00:01 peer b',
      'b veth down mtu 1500 02:00:00:00:00:02 peer a',
      'lo loopback down mtu 65536',
    ])
  })

  holds('creates a pair across namespaces', async (t, { host, pod, podFd }) => {
    await host.apply(bridge('br0', { up: true }))
    const master = await index(host, 'br0')
    const peer = { name: 'eth0', mac: mac(2), mtu: 1450, netnsFd: podFd }
    await host.apply(veth('veth0', '', { mac: mac(1), mtu: 1450, master, up: true, peer }))
    t.strictSame(await links(host), [
      'br0 bridge up mtu 1450 02:00:00:00:00:01',
      'lo loopback down mtu 65536',
      'veth0 veth up mtu 1450 02:00:00:00:00:01 master br0 peer in 0',
    ])
    t.strictSame(await links(pod), [
      'eth0 veth down mtu 1450 02:00:00:00:00:02 peer in 0',
      'lo loopback down mtu 65536',
    ])
    const [veth0, eth0] = [await host.getLink('veth0'), await pod.getLink('eth0')]
    t.strictSame([veth0.peerIndex, eth0.peerIndex], [eth0.index, veth0.index])
  })

  const REFUSED_LINKS: readonly (readonly [link: Partial<NewLink> & { name: string }, error: string])[] = [
    [{ name: 'taken' }, 'EEXIST: file already exists'],
    [{ name: '' }, 'EINVAL: invalid argument'],
    [{ name: 'a/b' }, 'EINVAL: invalid argument'],
    [{ name: 'a b' }, 'EINVAL: invalid argument'],
    [{ name: '..' }, 'EINVAL: invalid argument'],
    [{ name: 'a23456789012345x' }, 'ERANGE: Attribute failed policy validation (IFLA_IFNAME)'],
    [{ name: 'new', mtu: 67 }, 'EINVAL: invalid argument'],
    [{ name: 'new', mtu: 65536 }, 'EINVAL: invalid argument'],
    [{ name: 'new', mac: '01:00:00:00:00:01' as MacAddress }, 'EADDRNOTAVAIL: address not available'],
    [{ name: 'new', master: nowhere }, 'EINVAL: invalid argument'],
    [{ name: 'new', master: 2 as IfIndex }, 'EOPNOTSUPP: operation not supported'],
    [{ name: 'new', kind: 'veth', peer: { name: 'new' } }, 'EEXIST: file already exists'],
    [{ name: 'new', kind: 'veth', peer: { name: 'taken' } }, 'EEXIST: file already exists'],
    [{ name: 'new', kind: 'veth', peer: { name: 'a b' } }, 'EINVAL: invalid argument'],
    [{ name: 'new', kind: 'veth', peer: { name: 'far', mtu: 67 } }, 'EINVAL: invalid argument'],
    [{ name: 'new', kind: 'veth', peer: { name: 'far', netnsFd: 987654 } }, 'EBADF: bad file descriptor'],
  ]

  holds('refuses links that cannot be, and leaves nothing of them', async (t, { host }) => {
    await host.apply(veth('taken', 'other'))
    const before = await links(host)
    for (const [link, error] of REFUSED_LINKS) {
      const change = veth(link.name, 'far', link)
      const failed = await host.apply(change).then(
        () => 'nothing',
        (refusal: Error) => refusal.message.replace(/^ip link add .*?: (?=E[A-Z]+: )/, ''),
      )
      t.equal(failed, error, JSON.stringify(link))
      t.strictSame(await links(host), before)
    }
  })

  holds('changes links', async (t, { host }) => {
    await host.apply(bridge('br0'), veth('a', 'b'))
    const [br0, a] = [await index(host, 'br0'), await index(host, 'a')]
    await host.apply(
      set(a, { name: 'c', mtu: 1300, mac: mac(3), alias: 'some words', promisc: true }),
      set('c', { master: br0 }),
      set('c', { hairpin: true, isolated: true, up: true }),
    )
    const port = 'c veth up mtu 1300 02:00:00:00:00:03 promisc'
    t.strictSame(
      (await links(host)).filter((line) => line.startsWith('c ')),
      [`${port} master br0 hairpin isolated peer b alias some words`],
    )
    await host.apply(set('c', { master: br0 }), set('c', { hairpin: false, promisc: false, alias: '' }))
    await host.apply(set('c', { master: 0, up: false }))
    t.match(await links(host), [
      'b veth down mtu 1500 peer c',
      'br0 bridge down',
      'c veth down mtu 1300 02:00:00:00:00:03 peer b',
    ])
  })

  holds('resets a port that leaves its bridge', async (t, { host }) => {
    await host.apply(bridge('br0'), veth('a', 'b'))
    const master = await index(host, 'br0')
    await host.apply(
      set('a', { master }),
      set('a', { hairpin: true }),
      set('a', { master: 0 }),
      set('a', { master }),
    )
    t.match(await host.getLink('a'), { master, bridgePort: { hairpin: false, state: 'disabled' } })
  })

  const REFUSED_SETTINGS: readonly (readonly [link: string, settings: LinkSettings, error: string])[] = [
    ['nope', { up: true }, 'ENODEV: no such device'],
    ['', { up: true }, 'ENODEV: no such device'],
    ['nope', { hairpin: true }, 'ENODEV: no such device'],
    ['a', { hairpin: true }, 'EOPNOTSUPP: operation not supported'],
    ['a', { master: nowhere }, 'EINVAL: invalid argument'],
    ['a', { mtu: 67 }, 'EINVAL: mtu less than device minimum'],
    ['br0', { mtu: 67 }, 'EINVAL: mtu less than device minimum'],
    ['a', { mtu: 65536 }, 'EINVAL: mtu greater than device maximum'],
    ['a', { mac: '01:00:00:00:00:01' as MacAddress }, 'EADDRNOTAVAIL: address not available'],
    ['a', { mac: '00:00:00:00:00:00' as MacAddress }, 'EADDRNOTAVAIL: address not available'],
    ['a', { alias: 'x'.repeat(256) }, 'ERANGE: Attribute failed policy validation (IFLA_IFALIAS)'],
  ]

  holds('refuses settings that cannot be', async (t, { host }) => {
    await host.apply(bridge('br0'), veth('a', 'b'))
    const before = await links(host)
    for (const [link, settings, error] of REFUSED_SETTINGS) {
      const message = new RegExp(`^ip link set dev .*: ${error.replaceAll(/[()]/g, '\\$&')}$`)
      await t.rejects(host.apply(set(link, settings)), { message }, JSON.stringify(settings))
    }
    const [a, br0] = [await index(host, 'a'), await index(host, 'br0')]
    await t.rejects(host.apply(set(a, { name: 'b' })), { code: 'EEXIST' })
    await t.rejects(host.apply(set(a, { master: br0, hairpin: true })), { code: 'EOPNOTSUPP' }, 'no port yet')
    await t.rejects(host.apply(set('b', { master: a })), { code: 'EOPNOTSUPP' }, 'no bridge')
    await t.rejects(host.apply(set('lo', { master: br0 })), { code: 'EINVAL' }, 'loopback')
    await host.apply(bridge('br1'))
    await t.rejects(host.apply(set('br1', { master: br0 })), { code: 'ELOOP' }, 'a bridge in a bridge')
    await host.apply(remove('br1'))
    t.strictSame(await links(host), before)
  })

  holds('lets a bridge follow its ports until it is given its own MAC and MTU', async (t, { host }) => {
    await host.apply(bridge('br0'), bridge('br1', { mac: mac(9) }))
    const [br0, br1] = [await index(host, 'br0'), await index(host, 'br1')]
    await host.apply(veth('a', 'x', { mac: mac(2), mtu: 1400, master: br0 }))
    await host.apply(veth('b', 'y', { mac: mac(1), mtu: 1450, master: br0 }))
    t.match(await host.getLink('br0'), { mac: mac(1), mtu: 1400 }, 'the lowest of each')
    await host.apply(remove('b'))
    t.match(await host.getLink('br0'), { mac: mac(2), mtu: 1400 })
    await host.apply(veth('c', 'z', { mac: mac(3), mtu: 1400, master: br1 }))
    t.match(await host.getLink('br1'), { mac: mac(9), mtu: 1400 })
    await host.apply(set('br1', { mtu: 1300 }), set('c', { mtu: 1200 }))
    t.match(await host.getLink('br1'), { mac: mac(9), mtu: 1300 })
  })

  holds('shows carriers and the states that follow', async (t, { host, pod, podFd }) => {
    await host.apply(bridge('br0', { up: true }))
    const master = await index(host, 'br0')
    await host.apply(veth('veth0', '', { master, up: true, peer: { name: 'eth0', netnsFd: podFd } }))
    const becomes = (rtnl: Rtnl, name: string, operstate: string) =>
      rtnl.waitForLink(name, {
        ...patience,
        description: operstate,
        holds: (link) => link.operstate === operstate,
      })
    t.match(await host.getLink('veth0'), { up: true, lowerUp: false, bridgePort: { state: 'disabled' } })
    t.match(await becomes(host, 'br0', 'DOWN'), { lowerUp: false })
    await pod.apply(set('eth0', { up: true }))
    t.match(await becomes(pod, 'eth0', 'UP'), { lowerUp: true })
    t.match(await becomes(host, 'veth0', 'UP'), { lowerUp: true, bridgePort: { state: 'forwarding' } })
    t.match(await becomes(host, 'br0', 'UP'), { lowerUp: true })
    await host.apply(set('veth0', { up: false }))
    t.match(await becomes(host, 'veth0', 'DOWN'), { lowerUp: false, bridgePort: { state: 'disabled' } })
    t.match(await becomes(pod, 'eth0', 'DOWN'), { up: true, lowerUp: false })
    t.match(await becomes(host, 'br0', 'DOWN'), { lowerUp: false })
  })

  holds('shows that the other end is down when it is here', async (t, { host }) => {
    await host.apply(veth('a', 'b', { up: true }))
    const lower = {
      ...patience,
      description: 'the lower layer',
      holds: (link: { operstate: string }) => link.operstate === 'LOWERLAYERDOWN',
    }
    t.match(await host.waitForLink('a', lower), { up: true, lowerUp: false })
    t.equal((await host.getLink('b')).operstate, 'DOWN')
  })

  holds('deletes a link with its other end, addresses and routes', async (t, { host, pod, podFd }) => {
    await host.apply(veth('veth0', '', { up: true, peer: { name: 'eth0', netnsFd: podFd } }))
    const dev = await index(pod, 'eth0')
    await pod.apply(set(dev, { up: true }), add(dev, '10.1.0.2/24'), add(dev, 'fd00::2/64'))
    await pod.apply(addRoute(way('0.0.0.0/0', { gateway: address('10.1.0.1') })))
    await host.apply(remove('veth0'))
    t.strictSame(await links(host), ['lo loopback down mtu 65536'])
    t.strictSame(await links(pod), ['lo loopback down mtu 65536'])
    t.strictSame([await addresses(pod), await routes(pod)], [[], []])
  })

  holds('deletes a bridge from under its ports', async (t, { host }) => {
    await host.apply(bridge('br0'))
    await host.apply(veth('a', 'b', { master: await index(host, 'br0') }), remove('br0'))
    t.strictSame(await links(host), [
      'a veth down mtu 1500 peer b',
      'b veth down mtu 1500 peer a',
      'lo loopback down mtu 65536',
    ])
  })

  holds('refuses to delete what is not there, and loopback', async (t, { host }) => {
    await t.rejects(host.apply(remove('nope')), { message: 'ip link del dev nope: ENODEV: no such device' })
    await t.rejects(host.apply(remove(nowhere)), { message: 'ip link del dev #99: ENODEV: no such device' })
    await t.rejects(host.apply(remove('')), { code: 'ENODEV' })
    await t.rejects(host.apply(remove('lo')), { code: 'EOPNOTSUPP' })
  })

  holds('finds links by name and by index', async (t, { host }) => {
    await host.apply(bridge('br0'))
    const found = await host.getLink('br0')
    t.strictSame(await host.findLink(found.index), found)
    t.strictSame(await host.findLink('nope'), undefined)
    t.strictSame(await host.findLink(nowhere), undefined)
    t.strictSame(await host.findLink(''), undefined)
    await t.rejects(host.getLink('nope'), { message: 'ip link show dev nope: ENODEV: no such device' })
    await t.rejects(host.getLink(nowhere), { code: 'ENODEV' })
  })

  holds('lists links by kind and by master', async (t, { host }) => {
    await host.apply(bridge('br0'), veth('a', 'b'))
    const br0 = await index(host, 'br0')
    await host.apply(set('b', { master: br0 }))
    const names = async (filter: object) => (await host.listLinks(filter)).map(({ name }) => name).sort()
    t.strictSame(await names({ kind: 'veth' }), ['a', 'b'])
    t.strictSame(await names({ kind: 'bridge' }), ['br0'])
    t.strictSame(await names({ master: br0 }), ['b'])
    t.strictSame(await names({ kind: 'veth', master: br0 }), ['b'])
    t.strictSame(await names({ kind: 'bridge', master: br0 }), [])
    t.strictSame(await names({ master: nowhere }), [])
  })

  holds('answers lists that are asked for at once', async (t, { host }) => {
    await host.apply(set('lo', { up: true }), veth('a', 'b'))
    const lists = [host.listLinks(), host.listAddresses(), host.listRoutes(), host.listLinks()]
    t.strictSame(
      (await Promise.all(lists)).map((list) => list.length),
      [3, 2, 0, 3],
    )
  })

  holds('tries every change, and throws the error of the first that failed', async (t, { host }) => {
    const changes = [bridge('br0'), remove('nope'), bridge('br0'), bridge('br1')]
    await t.rejects(host.apply(...changes), { message: 'ip link del dev nope: ENODEV: no such device' })
    t.strictSame(await links(host), [
      'br0 bridge down mtu 1500',
      'br1 bridge down mtu 1500',
      'lo loopback down mtu 65536',
    ])
    await host.apply()
  })

  holds('adds addresses, and routes to their subnets', async (t, { host }) => {
    await host.apply(bridge('br0', { up: true }))
    const dev = await index(host, 'br0')
    const texts = [
      '10.1.0.1/24',
      '10.1.0.2/24',
      '10.1.0.1/16',
      '10.2.0.1/32',
      '10.3.0.0/31',
      'fd00::1/64',
      'fd01::1/128',
    ]
    await host.apply(...texts.map((text) => add(dev, text)))
    t.strictSame(await addresses(host), texts.map((text) => `br0 ${text}`).sort())
    t.strictSame(await routes(host), [
      '10.1.0.0/16 dev br0 src 10.1.0.1 scope link connected',
      '10.1.0.0/24 dev br0 src 10.1.0.1 scope link connected',
      '10.3.0.0/31 dev br0 src 10.3.0.0 scope link connected',
      'fd00::/64 dev br0 scope global metric 256 connected',
      'fd01::1/128 dev br0 scope global metric 256 connected',
    ])
    const [first] = await host.listAddresses({ dev, family: 6 })
    t.match(first, { dev, noDad: true, permanent: true, tentative: false, dadFailed: false, scope: 0 })
  })

  holds('adds addresses without routes to their subnets', async (t, { host }) => {
    await host.apply(bridge('br0', { up: true }))
    const dev = await index(host, 'br0')
    for (const text of ['10.1.0.1/24', 'fd00::1/64']) {
      const bare = { dev, prefix: prefix(text), noDad: true, noPrefixRoute: true }
      await host.apply({ change: 'add address', address: bare })
    }
    t.strictSame(await addresses(host), ['br0 10.1.0.1/24', 'br0 fd00::1/64'])
    t.strictSame(await routes(host), [])
    t.match(await host.listAddresses({ dev, family: 4 }), [{ noPrefixRoute: true }])
    await host.apply(set(dev, { up: false }), set(dev, { up: true }))
    t.strictSame(await routes(host), [], 'nor when the link comes up')
  })

  holds('holds IPv6 addresses back until duplicates are ruled out', async (t, { host }) => {
    await host.apply(veth('a', 'b', { up: true }))
    const dev = await index(host, 'a')
    await host.apply(add(dev, 'fd00::1/64', false), add(dev, 'fd00::2/64'), add(dev, '10.1.0.1/24', false))
    t.strictSame(await addresses(host), ['a 10.1.0.1/24', 'a fd00::1/64 tentative', 'a fd00::2/64'])
  })

  holds('lists addresses by link and by family', async (t, { host }) => {
    await host.apply(bridge('br0', { up: true }), set('lo', { up: true }))
    const dev = await index(host, 'br0')
    await host.apply(add(dev, '10.1.0.1/24'), add(dev, 'fd00::1/64'))
    const texts = async (filter: object) =>
      (await host.listAddresses(filter))
        .filter((a) => !isLinkLocal(a.prefix))
        .map((a) => String(a.prefix))
        .sort()
    t.strictSame(await texts({ dev }), ['10.1.0.1/24', 'fd00::1/64'])
    t.strictSame(await texts({ family: 4 }), ['10.1.0.1/24', '127.0.0.1/8'])
    t.strictSame(await texts({ dev, family: 6 }), ['fd00::1/64'])
    await t.rejects(host.listAddresses({ dev: nowhere }), {
      message: 'list addresses: ENODEV: no such device',
    })
  })

  const REFUSED_ADDRESSES: readonly (readonly [
    verb: typeof add,
    dev: 'br0' | 'none',
    text: string,
    error: string,
  ])[] = [
    [add, 'br0', '10.1.0.1/24', 'EEXIST: ipv4: Address already assigned'],
    [add, 'none', '10.1.0.1/24', 'ENODEV: ipv4: Device not found'],
    [add, 'br0', 'fd00::1/64', 'EEXIST: ipv6: address already assigned'],
    [add, 'br0', 'fd00::1/48', 'EEXIST: ipv6: address already assigned'],
    [add, 'none', 'fd00::1/64', 'ENODEV: ipv6: Unable to find the interface'],
    [add, 'br0', '::/64', 'EADDRNOTAVAIL: ipv6: Invalid address'],
    [
      add,
      'br0',
      'ff02::1/64',
      'EADDRNOTAVAIL: ipv6: Cannot assign multicast address without "IFA_F_MCAUTOJOIN" flag',
    ],
    [withdraw, 'br0', '10.1.0.9/24', 'EADDRNOTAVAIL: ipv4: Address not found'],
    [withdraw, 'br0', '10.1.0.1/16', 'EADDRNOTAVAIL: ipv4: Address not found'],
    [withdraw, 'none', '10.1.0.1/24', 'ENODEV: ipv4: Device not found'],
    [withdraw, 'br0', 'fd00::9/64', 'EADDRNOTAVAIL: ipv6: address not found'],
    [withdraw, 'none', 'fd00::1/64', 'ENODEV: ipv6: Unable to find the interface'],
  ]

  holds('refuses addresses that cannot be', async (t, { host }) => {
    await host.apply(bridge('br0', { up: true }))
    const br0 = await index(host, 'br0')
    await host.apply(add(br0, '10.1.0.1/24'), add(br0, 'fd00::1/64'))
    for (const [verb, dev, text, error] of REFUSED_ADDRESSES) {
      const failed = await host.apply(verb(dev === 'br0' ? br0 : nowhere, text)).then(
        () => 'nothing',
        (refusal: Error) => refusal.message.replace(/^ip addr .*?: (?=E[A-Z]+: )/, ''),
      )
      t.equal(failed, error, `${verb.name} ${dev} ${text}`)
    }
    t.strictSame(await addresses(host), ['br0 10.1.0.1/24', 'br0 fd00::1/64'])
  })

  holds('deletes addresses with the routes that were made for them', async (t, { host }) => {
    await host.apply(bridge('br0', { up: true }))
    const dev = await index(host, 'br0')
    await host.apply(
      ...['10.1.0.1/24', '10.1.0.2/24', '10.2.0.1/24', 'fd00::1/64'].map((text) => add(dev, text)),
    )
    await host.apply(
      addRoute(way('10.8.0.0/24', { dev, source: address('10.1.0.2') })),
      addRoute(way('10.9.0.0/24', { dev, source: address('10.2.0.1') })),
      withdraw(dev, '10.1.0.1/24'),
      withdraw(dev, 'fd00::1/64'),
    )
    t.strictSame(await addresses(host), ['br0 10.2.0.1/24'], 'secondaries go with the first of their subnet')
    t.strictSame(await routes(host), [
      '10.2.0.0/24 dev br0 src 10.2.0.1 scope link connected',
      '10.9.0.0/24 dev br0 src 10.2.0.1 scope link',
    ])
  })

  holds('makes routes to subnets when the link comes up', async (t, { host, pod, podFd }) => {
    await host.apply(veth('veth0', '', { up: true, peer: { name: 'eth0', netnsFd: podFd } }))
    const dev = await index(pod, 'eth0')
    await pod.apply(add(dev, '10.1.0.2/24'), add(dev, 'fd00::2/64'))
    t.strictSame(await routes(pod), [])
    await pod.apply(set(dev, { up: true }))
    await pod.waitForLink(dev, { ...patience, description: 'up', holds: (link) => link.operstate === 'UP' })
    t.strictSame(await routes(pod), [
      '10.1.0.0/24 dev eth0 src 10.1.0.2 scope link connected',
      'fd00::/64 dev eth0 scope global metric 256 connected',
    ])
  })

  holds('takes routes and IPv6 addresses when the link goes down', async (t, { host }) => {
    await host.apply(bridge('br0', { up: true }))
    const dev = await index(host, 'br0')
    await host.apply(add(dev, '10.1.0.1/24'), add(dev, 'fd00::1/64'))
    await host.apply(addRoute(way('0.0.0.0/0', { gateway: address('10.1.0.9') })), set(dev, { up: false }))
    t.strictSame([await addresses(host), await routes(host)], [['br0 10.1.0.1/24'], []])
    await host.apply(set(dev, { up: true }))
    t.strictSame(await routes(host), ['10.1.0.0/24 dev br0 src 10.1.0.1 scope link connected'])
  })

  /** br0, up, with 10.1.0.1/24 and fd00::1/64. */
  const withBridge = async (host: Rtnl): Promise<IfIndex> => {
    await host.apply(bridge('br0', { up: true }))
    const dev = await index(host, 'br0')
    await host.apply(add(dev, '10.1.0.1/24'), add(dev, 'fd00::1/64'))
    return dev
  }
  const ownRoutes = async (host: Rtnl) => (await routes(host)).filter((line) => !line.endsWith('connected'))

  holds('adds routes', async (t, { host }) => {
    const dev = await withBridge(host)
    await host.apply(
      addRoute(way('0.0.0.0/0', { gateway: address('10.1.0.9') })),
      addRoute(way('10.5.0.7/16', { dev })),
      addRoute(
        way('10.6.0.0/16', { gateway: address('10.1.0.9'), dev, priority: 7, mtu: 1400, advmss: 1360 }),
      ),
      addRoute(way('10.7.0.0/16', { dev, scope: 0, source: address('10.1.0.1') })),
      addRoute(way('10.8.0.0/16', { dev, table: 1000 })),
      addRoute(way('::/0', { gateway: address('fd00::9') })),
      addRoute(way('fd05::/64', { dev })),
      addRoute(way('fd06::/64', { dev, gateway: address('fe80::9'), priority: 5 })),
      addRoute(way('10.9.0.0/16', { dev, gateway: address('10.77.0.9'), onLink: true })),
      addRoute(way('fd07::/64', { dev, gateway: address('fd77::9'), onLink: true })),
    )
    t.strictSame(await ownRoutes(host), [
      '10.5.0.0/16 dev br0 scope link',
      '10.6.0.0/16 via 10.1.0.9 dev br0 scope global metric 7 mtu 1400 advmss 1360',
      '10.7.0.0/16 dev br0 src 10.1.0.1 scope global',
      '10.8.0.0/16 dev br0 table 1000 scope link',
      '10.9.0.0/16 via 10.77.0.9 dev br0 onlink scope global',
      'default via 10.1.0.9 dev br0 scope global',
      'default via fd00::9 dev br0 scope global metric 1024',
      'fd05::/64 dev br0 scope global metric 1024',
      'fd06::/64 via fe80::9 dev br0 scope global metric 5',
      'fd07::/64 via fd77::9 dev br0 onlink scope global metric 1024',
    ])
  })

  holds('takes an IPv4 address of the link itself for a next hop', async (t, { host }) => {
    const dev = await withBridge(host)
    const own = { dev, prefix: prefix('10.3.0.1/24'), noPrefixRoute: true }
    await host.apply(
      { change: 'add address', address: own },
      addRoute(way('10.5.0.0/16', { dev, gateway: address('10.3.0.1') })),
    )
    t.strictSame(await ownRoutes(host), ['10.5.0.0/16 via 10.3.0.1 dev br0 scope global'])
    const beside = addRoute(way('10.6.0.0/16', { dev, gateway: address('10.3.0.2') }))
    await t.rejects(host.apply(beside), { code: 'ENETUNREACH' })
  })

  holds('adds a second way to a destination, but none twice', async (t, { host }) => {
    await withBridge(host)
    const ways = [
      way('0.0.0.0/0', { gateway: address('10.1.0.8') }),
      way('0.0.0.0/0', { gateway: address('10.1.0.9') }),
      way('0.0.0.0/0', { gateway: address('10.1.0.9'), priority: 5 }),
      way('::/0', { gateway: address('fd00::8') }),
      way('::/0', { gateway: address('fd00::9') }),
    ]
    await host.apply(...ways.map(addRoute))
    const expected = [
      'default via 10.1.0.8 dev br0 scope global',
      'default via 10.1.0.9 dev br0 scope global',
      'default via 10.1.0.9 dev br0 scope global metric 5',
      'default via fd00::8 dev br0 scope global metric 1024',
      'default via fd00::9 dev br0 scope global metric 1024',
    ]
    t.strictSame(await ownRoutes(host), expected)
    for (const again of ways)
      await t.rejects(host.apply(addRoute(again)), { code: 'EEXIST' }, formatRoute(again))
    t.strictSame(await ownRoutes(host), expected)
    const [used] = await host.listRoutes({ family: 4 })
    t.equal(String(used?.gateway), '10.1.0.9', 'the later IPv4 route is used')
  })

  const REFUSED_ROUTES: readonly (readonly [
    route: Route,
    dev: 'br0' | 'down' | 'lo' | 'none' | '',
    error: string,
  ])[] = [
    [way('10.5.0.0/16'), '', 'ENODEV: no such device'],
    [way('10.5.0.0/16'), 'none', 'ENODEV: no such device'],
    [way('10.5.0.0/16'), 'down', 'ENETDOWN: Device for nexthop is not up'],
    [way('10.5.0.0/16', { gateway: address('10.77.0.1') }), '', 'ENETUNREACH: Nexthop has invalid gateway'],
    [
      way('10.5.0.0/16', { gateway: address('10.77.0.1') }),
      'br0',
      'ENETUNREACH: Nexthop has invalid gateway',
    ],
    [way('10.5.0.0/16', { gateway: address('10.1.0.9') }), 'lo', 'ENETUNREACH: Nexthop has invalid gateway'],
    [
      way('10.5.0.0/16', { gateway: address('10.1.0.9'), scope: 253 }),
      'br0',
      'ENETUNREACH: Nexthop has invalid gateway',
    ],
    [
      way('10.5.0.0/16', { gateway: address('10.77.0.1'), scope: 253, onLink: true }),
      'br0',
      'EINVAL: Nexthop has invalid scope',
    ],
    [
      way('10.5.0.0/16', { gateway: address('10.1.0.1'), onLink: true }),
      'br0',
      'EINVAL: Nexthop has invalid gateway',
    ],
    [way('10.5.0.0/16', { source: address('10.77.0.1') }), 'br0', 'EINVAL: Invalid prefsrc address'],
    [way('fd05::/64'), '', 'ENODEV: no such device'],
    [way('fd05::/64'), 'none', 'ENODEV: no such device'],
    [way('fd05::/64'), 'down', 'ENETDOWN: Nexthop device is not up'],
    [way('fd05::/64', { gateway: address('fd77::1') }), '', 'EHOSTUNREACH: host is unreachable'],
    [way('fd05::/64', { gateway: address('fd00::1') }), '', 'EINVAL: Gateway can not be a local address'],
    [way('fd05::/64', { gateway: address('fe80::1') }), '', 'EINVAL: Egress device not specified'],
    [
      way('fd05::/64', { gateway: address('fd00::1'), onLink: true }),
      'br0',
      'EINVAL: Gateway can not be a local address',
    ],
    [way('fd05::/64', { source: address('fd77::1') }), 'br0', 'EINVAL: Invalid source address'],
  ]

  holds('refuses routes that cannot be', async (t, { host }) => {
    const br0 = await withBridge(host)
    await host.apply(bridge('down'), set('lo', { up: true }))
    const devs = { br0, down: await index(host, 'down'), lo: LOOPBACK_INDEX, none: nowhere }
    for (const [route, dev, error] of REFUSED_ROUTES) {
      const failed = await host.apply(addRoute(dev === '' ? route : { ...route, dev: devs[dev] })).then(
        () => 'nothing',
        (refusal: Error) => refusal.message.replace(/^ip route .*?: (?=E[A-Z]+: )/, ''),
      )
      t.equal(failed, error, `${formatRoute(route)} ${dev}`)
    }
    t.strictSame(await ownRoutes(host), [])
  })

  holds('deletes the first route that is like the given', async (t, { host }) => {
    const dev = await withBridge(host)
    await host.apply(
      addRoute(way('10.5.0.0/16', { dev, priority: 5 })),
      addRoute(way('10.6.0.0/16', { gateway: address('10.1.0.8') })),
      addRoute(way('10.6.0.0/16', { gateway: address('10.1.0.9') })),
      addRoute(way('fd05::/64', { gateway: address('fd00::8') })),
      addRoute(way('fd05::/64', { gateway: address('fd00::9') })),
    )
    const wrong = [
      way('10.5.0.0/16', { priority: 6 }),
      way('10.5.0.0/16', { scope: 0 }),
      way('10.5.0.0/16', { dev: LOOPBACK_INDEX }),
      way('10.5.0.0/16', { table: 1000 }),
      way('10.5.0.0/24'),
      way('10.6.0.0/16', { gateway: address('10.1.0.7') }),
      way('fd05::/64', { gateway: address('fd00::7') }),
      way('fd06::/64', { dev }),
    ]
    for (const route of wrong)
      await t.rejects(host.apply(deleteRoute(route)), { code: 'ESRCH' }, formatRoute(route))
    await host.apply(
      deleteRoute(way('10.5.0.0/16')),
      deleteRoute(way('10.6.0.0/16', { gateway: address('10.1.0.8') })),
      deleteRoute(way('fd05::/64', { gateway: address('fd00::8') })),
    )
    t.strictSame(await ownRoutes(host), [
      '10.6.0.0/16 via 10.1.0.9 dev br0 scope global',
      'fd05::/64 via fd00::9 dev br0 scope global metric 1024',
    ])
  })

  holds('deletes every route as it is listed, also those of the kernel', async (t, { host }) => {
    const dev = await withBridge(host)
    await host.apply(
      addRoute(way('10.5.0.0/16', { dev, table: 1000, mtu: 1400 })),
      addRoute(way('10.6.0.0/16', { dev, gateway: address('10.1.0.9') })),
      addRoute(way('10.6.0.0/16', { dev, gateway: address('10.1.0.9'), onLink: true })),
      addRoute(way('::/0', { gateway: address('fd00::8') })),
      addRoute(way('::/0', { gateway: address('fd00::9') })),
      addRoute(way('fd07::/64', { dev, gateway: address('fd77::8'), onLink: true })),
      addRoute(way('fd07::/64', { dev, gateway: address('fd77::9'), onLink: true })),
    )
    for (const route of await host.listRoutes()) await host.apply(deleteRoute(route))
    t.strictSame(await routes(host), [])
  })

  holds('moves the routes that the kernel made to another table', async (t, { host }) => {
    const dev = await withBridge(host)
    const own = (await host.listRoutes({ dev })).filter(({ dst }) => !isLinkLocal(dst))
    for (const route of own) await host.apply(addRoute({ ...route, table: 100 }), deleteRoute(route))
    t.strictSame(await routes(host), [
      '10.1.0.0/24 dev br0 src 10.1.0.1 table 100 scope link connected',
      'fd00::/64 dev br0 table 100 scope global metric 256 connected',
    ])
    const through = [
      way('10.9.0.0/16', { gateway: address('10.1.0.9'), dev, table: 100 }),
      way('fd09::/64', { gateway: address('fd00::9'), dev, table: 100 }),
    ]
    for (const route of through) {
      await host.apply(addRoute(route), deleteRoute(route))
      await t.rejects(host.apply(addRoute({ ...route, table: 101 })), /UNREACH/, 'not from another table')
    }
    for (const route of own) await host.apply(addRoute(route), deleteRoute({ ...route, table: 100 }))
    t.strictSame(await routes(host), [
      '10.1.0.0/24 dev br0 src 10.1.0.1 scope link connected',
      'fd00::/64 dev br0 scope global metric 256 connected',
    ])
  })

  holds('lists routes by link, family and table', async (t, { host }) => {
    const dev = await withBridge(host)
    await host.apply(addRoute(way('10.5.0.0/16', { dev, table: 1000 })), veth('a', 'b', { up: true }))
    const texts = async (filter: object) =>
      (await host.listRoutes(filter))
        .filter((r) => !isLinkLocal(r.dst))
        .map(({ dst }) => String(dst))
        .sort()
    t.strictSame(await texts({ dev }), ['10.1.0.0/24', '10.5.0.0/16', 'fd00::/64'])
    t.strictSame(await texts({ dev: await index(host, 'a') }), [])
    t.strictSame(await texts({ family: 6 }), ['fd00::/64'])
    t.strictSame(await texts({ table: 1000 }), ['10.5.0.0/16'])
    t.strictSame(await texts({ table: 1000, family: 4 }), ['10.5.0.0/16'])
    t.strictSame(await texts({ table: 2000, family: 4 }), [], 'no such table')
    t.strictSame(await texts({ table: 2000, family: 6 }), [], 'no such table, IPv6')
    await t.rejects(host.listRoutes({ dev: nowhere }), { message: 'list routes: ENODEV: no such device' })
  })

  holds('tells which way a packet takes', async (t, { host }) => {
    const dev = await withBridge(host)
    await host.apply(set(LOOPBACK_INDEX, { up: true }), bridge('br1', { up: true }))
    const other = await index(host, 'br1')
    const take = async (dst: string, from = {}) => {
      const found = await host.lookUpRoute({ dst: address(dst), ...from })
      const { kind, gateway, source } = found
      const name = kind === 'local' ? '' : ` dev ${(await host.getLink(found.dev)).name}`
      return `${kind}${gateway ? ` via ${gateway}` : ''}${name}${source ? ` src ${source}` : ''}`
    }
    t.equal(await take('10.1.0.7'), 'unicast dev br0 src 10.1.0.1')
    t.equal(await take('10.1.0.1'), 'local src 10.1.0.1')
    t.equal(await take('10.1.0.1', { source: address('10.1.0.7'), from: dev }), 'local', 'from outside')
    t.equal(await take('fd00::7'), 'unicast dev br0 src fd00::1')
    for (const dst of ['10.9.0.1', 'fd09::1'])
      await t.rejects(host.lookUpRoute({ dst: address(dst) }), { code: 'ENETUNREACH' })
    await host.apply(
      addRoute(way('0.0.0.0/0', { gateway: address('10.1.0.9') })),
      addRoute(way('10.9.0.0/16', { dev: other, source: address('10.1.0.1') })),
      addRoute(way('::/0', { gateway: address('fd00::9') })),
    )
    t.equal(await take('10.8.0.1'), 'unicast via 10.1.0.9 dev br0 src 10.1.0.1')
    t.equal(await take('10.9.0.1'), 'unicast dev br1 src 10.1.0.1', 'the longest prefix')
    t.equal(await take('fd09::1'), 'unicast via fd00::9 dev br0 src fd00::1')
    t.equal(await take('10.8.0.1', { source: address('10.1.0.1') }), 'unicast via 10.1.0.9 dev br0')
  })

  holds('knows which routes were advertised by a router', async (t, { host }) => {
    const dev = await withBridge(host)
    const gateway = address('fe80::9')
    await host.apply(
      addRoute(way('fd05::/64', { dev, gateway })),
      addRoute(way('::/0', { dev, gateway, advertised: true })),
    )
    t.strictSame(await ownRoutes(host), [
      'default via fe80::9 dev br0 proto ra scope global metric 1024',
      'fd05::/64 via fe80::9 dev br0 scope global metric 1024',
    ])
  })

  const isUp = {
    ...patience,
    description: 'operstate up',
    holds: (link: { operstate: string }) => link.operstate === 'UP',
  }

  holds('waits until a link is as wanted', async (t, { host, pod, podFd }) => {
    await host.apply(veth('veth0', '', { up: true, peer: { name: 'eth0', netnsFd: podFd } }))
    const waiting = host.waitForLink('veth0', isUp)
    await host.listLinks() // so that the wait has begun
    await pod.apply(set('eth0', { up: true }))
    t.match(await waiting, { name: 'veth0', operstate: 'UP', lowerUp: true })
    t.match(await host.waitForLink('veth0', { ...isUp, deadlineMs: 0 }), { operstate: 'UP' }, 'it is already')
  })

  holds('waits no longer than the deadline', async (t, { host }) => {
    await host.apply(veth('a', 'b', { up: true }))
    const message = 'wait for operstate up of dev a: ETIMEDOUT: connection timed out'
    await t.rejects(host.waitForLink('a', { ...isUp, deadlineMs: 20 }), { message })
  })

  holds('stops waiting for a link that goes', async (t, { host, pod, podFd }) => {
    await host.apply(veth('veth0', '', { up: true, peer: { name: 'eth0', netnsFd: podFd } }))
    const waiting = t.rejects(host.waitForLink('veth0', isUp), {
      message: 'wait for operstate up of dev veth0: ENODEV: no such device',
    })
    await host.listLinks()
    await pod.apply(remove('eth0'))
    await waiting
    await t.rejects(host.waitForLink('veth0', isUp), { code: 'ENODEV' }, 'it was gone before')
  })

  holds('goes on waiting when a port leaves its bridge', async (t, { host }) => {
    await host.apply(bridge('br0', { up: true }), veth('a', 'b', { up: true }))
    await host.apply(set('a', { master: await index(host, 'br0') }))
    const waiting = host.waitForLink('a', isUp)
    await host.listLinks()
    await host.apply(set('a', { master: 0 }))
    await host.apply(set('b', { up: true }))
    t.match(await waiting, { name: 'a', operstate: 'UP' })
  })

  holds('waits for a bridge to forward', async (t, { host, pod, podFd }) => {
    await host.apply(bridge('br0', { up: true }))
    const master = await index(host, 'br0')
    await host.apply(veth('veth0', '', { master, up: true, peer: { name: 'eth0', netnsFd: podFd } }))
    const forwards = (link: { bridgePort?: { state: string } }) => link.bridgePort?.state === 'forwarding'
    const waiting = host.waitForLink('veth0', { ...patience, description: 'forwarding', holds: forwards })
    await host.listLinks()
    await pod.apply(set('eth0', { up: true }))
    t.match(await waiting, { bridgePort: { state: 'forwarding' } })
  })

  holds('is of no use when closed', async (t, { host }) => {
    host.close()
    await t.rejects(host.listLinks(), { code: 'ENOTCONN' })
    await t.rejects(host.apply(remove('lo')), { code: 'ENOTCONN' })
  })
}
