// What holds for the port `Rtnl` of links that lie on others, of their moves between namespaces, and of rules, on the
// real kernel and on the fake one. A kind that the kernel lacks is refused.

import { type Test, test } from 'tap'
import type { MacAddress } from '../ip/mac.ts'
import { Prefix } from '../ip/prefix.ts'
import { formatRule } from './format.ts'
import type { IfIndex, LinkSettings, NewLink } from './link.ts'
import type { RtnlWorld } from './rtnl.contract.ts'
import type { Change, Rtnl } from './rtnl.ts'
import type { Rule } from './rule.ts'

const mac = '02:00:00:00:00:09' as MacAddress
const nowhere = 99 as IfIndex
const create = (link: NewLink): Change => ({ change: 'create link', link })
const set = (link: string | IfIndex, settings: LinkSettings): Change => ({
  change: 'set link',
  link,
  set: settings,
})
const remove = (link: string | IfIndex): Change => ({ change: 'delete link', link })
const rule = (source: string | undefined, table: number, priority?: number): Rule => ({
  family: source?.includes(':') ? 6 : 4,
  ...(source === undefined ? {} : { source: Prefix.parse(source) }),
  table,
  ...(priority === undefined ? {} : { priority }),
})
const addRule = (one: Rule): Change => ({ change: 'add rule', rule: one })
const deleteRule = (one: Rule): Change => ({ change: 'delete rule', rule: one })

export function linkKindsContract(
  subject: string,
  makeWorld: (t: Test) => RtnlWorld | Promise<RtnlWorld>,
): void {
  const holds = (name: string, check: (t: Test, world: RtnlWorld) => Promise<unknown>) =>
    test(`${subject} ${name}`, async (t) => check(t, await makeWorld(t)))

  /** up0, up, with an end that is up, and MTU 1400. */
  const withUplink = async (host: Rtnl): Promise<IfIndex> => {
    await host.apply(create({ kind: 'veth', name: 'up0', mtu: 1400, up: true, peer: { name: 'far' } }))
    await host.apply(set('far', { up: true }))
    return (await host.getLink('up0')).index
  }

  holds('creates a macvlan in another namespace', async (t, { host, pod, podFd }) => {
    const parent = await withUplink(host)
    await host.apply(create({ kind: 'macvlan', name: 'tmp0', parent, mac, mode: 'bridge', netnsFd: podFd }))
    const { index } = await pod.getLink('tmp0')
    await pod.apply(set(index, { name: 'eth0' }), set(index, { up: true }))
    t.match(await pod.getLink('eth0'), {
      index,
      kind: 'macvlan',
      mac,
      mtu: 1400,
      up: true,
      parentIndex: parent,
      parentNetnsid: 0,
      macvlanMode: 'bridge',
    })
    await host.apply(remove('up0'))
    t.equal(await pod.findLink('eth0'), undefined, 'it goes with the link that it lies on')
  })

  holds('creates macvlans of all modes', async (t, { host }) => {
    const parent = await withUplink(host)
    for (const mode of ['private', 'vepa', 'bridge'] as const) {
      await host.apply(
        create({ kind: 'macvlan', name: mode, parent, mode, mtu: 1300, broadcastQueueLength: 500 }),
      )
      t.match(await host.getLink(mode), { macvlanMode: mode, mtu: 1300, parentIndex: parent })
      t.equal((await host.getLink(mode)).parentNetnsid, undefined)
    }
    const passthru: NewLink = { kind: 'macvlan', name: 'pass', parent, mode: 'passthru' }
    await t.rejects(host.apply(create(passthru)), { code: 'EINVAL' }, 'there are others')
    await host.apply(remove('private'), remove('vepa'), remove('bridge'), create(passthru))
    const [up0, pass] = [await host.getLink('up0'), await host.getLink('pass')]
    t.match(pass, { macvlanMode: 'passthru', mac: up0.mac })
    await t.rejects(host.apply(create({ ...passthru, name: 'more', mode: 'bridge' })), { code: 'EINVAL' })
  })

  const REFUSED: readonly (readonly [what: string, link: Partial<NewLink>, code: string])[] = [
    ['a parent that is not there', { parent: nowhere } as Partial<NewLink>, 'ENODEV'],
    ['a larger MTU than the parent’s', { mtu: 1401 }, 'EINVAL'],
    ['a name that is taken', { name: 'far' }, 'EEXIST'],
    ['a namespace that is none', { netnsFd: 987654 } as Partial<NewLink>, 'EBADF'],
  ]
  holds('refuses macvlans that cannot be', async (t, { host, pod, podFd }) => {
    const parent = await withUplink(host)
    const link: NewLink = { kind: 'macvlan', name: 'new', parent, mode: 'bridge' }
    for (const [what, wrong, code] of REFUSED)
      await t.rejects(host.apply(create({ ...link, ...wrong } as NewLink)), { code }, what)
    await pod.apply(create({ kind: 'veth', name: 'new', peer: { name: 'other' } }))
    await t.rejects(host.apply(create({ ...link, netnsFd: podFd })), { code: 'EEXIST' }, 'taken there')
    t.equal((await host.listLinks({ kind: 'macvlan' })).length, 0)
  })

  holds('moves a link to another namespace and back', async (t, { host, pod, podFd, hostFd }) => {
    const index = await withUplink(host)
    await host.apply(set(index, { alias: 'up0' }))
    await host.apply({ change: 'add address', address: { dev: index, prefix: Prefix.parse('10.1.0.1/24') } })
    await host.apply(set(index, { netnsFd: podFd, name: 'eth0' }))
    t.equal(await host.findLink('up0'), undefined)
    const moved = await pod.getLink('eth0')
    t.match(moved, { up: false, mtu: 1400, alias: 'up0' })
    t.strictSame(await pod.listAddresses(), [])
    await pod.apply(set(moved.index, { netnsFd: hostFd, name: 'up0' }))
    t.match(await host.getLink('up0'), { up: false, alias: 'up0' })
    t.equal(await pod.findLink('eth0'), undefined)
  })

  holds('refuses moves that cannot be', async (t, { host, pod, podFd }) => {
    const index = await withUplink(host)
    await pod.apply(create({ kind: 'veth', name: 'up0', peer: { name: 'eth0' } }))
    await t.rejects(host.apply(set(index, { netnsFd: podFd })), { code: 'EEXIST' }, 'its name is taken there')
    await t.rejects(host.apply(set(index, { netnsFd: podFd, name: 'eth0' })), { code: 'EEXIST' }, 'both are')
    t.match(await host.getLink(index), { name: 'up0', up: true })
    await t.rejects(host.apply(set('lo', { netnsFd: podFd })), { code: 'EINVAL' }, 'the loopback')
    await t.rejects(host.apply(set(index, { netnsFd: 987654 })), { code: 'EBADF' })
    await host.apply(set(index, { netnsFd: podFd, name: 'eth1' }))
    t.match(await pod.getLink('eth1'), { up: false })
  })

  holds('sets all-multicast mode and the length of the queue', async (t, { host }) => {
    const index = await withUplink(host)
    await host.apply(set(index, { allmulti: true, txQueueLength: 77 }))
    t.match(await host.getLink(index), { allmulti: true, txQueueLength: 77, promisc: false })
    await host.apply(set(index, { allmulti: false, txQueueLength: 1000 }))
    t.match(await host.getLink(index), { allmulti: undefined, txQueueLength: 1000 })
  })

  const OTHERS: readonly (readonly [link: NewLink, told: object])[] = [
    [{ kind: 'ipvlan', name: 'new', parent: nowhere, mode: 'l3s' }, { ipvlanMode: 'l3s' }],
    [{ kind: 'vlan', name: 'new', parent: nowhere, vlanId: 100 }, { vlanId: 100 }],
    [{ kind: 'vrf', name: 'new', table: 1001 }, { vrfTable: 1001 }],
    [{ kind: 'dummy', name: 'new', mac }, { mac }],
  ]
  for (const [link, told] of OTHERS)
    holds(`creates a link of kind ${link.kind} where the kernel can`, async (t, { host }) => {
      const parent = await withUplink(host)
      const change = create({ ...link, ...('parent' in link ? { parent } : {}) } as NewLink)
      if (await host.hasFeature(`link ${link.kind}`)) {
        await host.apply(change)
        return t.match(await host.getLink('new'), { kind: link.kind, ...told })
      }
      return t.rejects(host.apply(change), { code: 'EOPNOTSUPP', message: /Unknown device type/ })
    })

  holds('has rules, of which the first that fits is asked', async (t, { host }) => {
    const rules = async (family: 4 | 6) => (await host.listRules(family)).map(formatRule)
    const first4 = [
      'from all lookup 255 pref 0',
      'from all lookup 254 pref 32766',
      'from all lookup 253 pref 32767',
    ]
    const first6 = ['from all lookup 255 pref 0', 'from all lookup 254 pref 32766']
    t.strictSame([await rules(4), await rules(6)], [first4, first6])
    await host.apply(
      addRule(rule('10.1.0.5/32', 100)),
      addRule(rule('10.2.0.0/16', 1000)),
      addRule(rule('fd00::5/128', 100, 500)),
      addRule(rule(undefined, 300, 40000)),
    )
    t.strictSame(await rules(4), [
      'from all lookup 255 pref 0',
      'from 10.2.0.0/16 lookup 1000 pref 32764',
      'from 10.1.0.5/32 lookup 100 pref 32765',
      'from all lookup 254 pref 32766',
      'from all lookup 253 pref 32767',
      'from all lookup 300 pref 40000',
    ])
    t.strictSame(await rules(6), [first6[0], 'from fd00::5/128 lookup 100 pref 500', first6[1]])
    await t.rejects(host.apply(addRule(rule('fd00::5/128', 100, 500))), { code: 'EEXIST' })
    for (const wrong of [rule('10.1.0.6/32', 100), rule('10.1.0.5/32', 101), rule('10.1.0.5/32', 100, 9)])
      await t.rejects(host.apply(deleteRule(wrong)), { code: 'ENOENT' }, formatRule(wrong))
    await host.apply(
      deleteRule(rule('10.1.0.5/32', 100)),
      deleteRule(rule('10.2.0.0/16', 1000)),
      deleteRule(rule('fd00::5/128', 100, 500)),
      deleteRule(rule(undefined, 300, 40000)),
    )
    t.strictSame([await rules(4), await rules(6)], [first4, first6])
  })
}
