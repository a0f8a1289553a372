// What holds for the port `Sysctl`, on the real kernel and on the fake one.

import { type Test, test } from 'tap'
import type { Sysctl } from './sysctl.ts'

/** A fresh namespace. */
export interface SysctlWorld {
  readonly sysctl: Sysctl
  addLink(name: string): void
  renameLink(name: string, to: string): void
  removeLink(name: string): void
}

export function sysctlContract(subject: string, makeWorld: (t: Test) => SysctlWorld): void {
  const holds = (name: string, check: (t: Test, world: SysctlWorld) => Promise<unknown>) =>
    test(`${subject} ${name}`, async (t) => check(t, makeWorld(t)))

  holds('writes and reads values', async (t, { sysctl }) => {
    sysctl.set(
      { key: 'ipv4/conf/all/arp_notify', value: '1' },
      { key: 'ipv6/conf/all/accept_ra', value: '0' },
    )
    t.equal(sysctl.find('ipv4/conf/all/arp_notify'), '1')
    t.equal(sysctl.find('ipv6/conf/all/accept_ra'), '0')
  })

  holds('knows no parameter that the kernel has not', async (t, { sysctl }) => {
    t.strictSame(sysctl.find('ipv4/nope'), undefined)
    t.strictSame(sysctl.find('ipv4/conf/nope/forwarding'), undefined)
    const setting = { key: 'ipv4/conf/nope/forwarding', value: '1' }
    t.throws(() => sysctl.set(setting), {
      name: 'SysctlError',
      code: 'ENOENT',
      key: 'ipv4/conf/nope/forwarding',
      message: 'write "1" to sysctl net/ipv4/conf/nope/forwarding: ENOENT: no such file or directory',
    })
    sysctl.set({ ...setting, optional: true })
  })

  holds('refuses what is no number', async (t, { sysctl }) => {
    t.throws(() => sysctl.set({ key: 'ipv4/ip_forward', value: 'on', optional: true }), {
      code: 'EINVAL',
      message: 'write "on" to sysctl net/ipv4/ip_forward: EINVAL: invalid argument',
    })
  })

  holds('stops at the first setting that is refused', async (t, { sysctl }) => {
    const one = (key: string, value = '1') => ({ key, value })
    const settings = [one('ipv6/conf/all/proxy_ndp'), one('ipv4/nope'), one('ipv6/conf/default/proxy_ndp')]
    t.throws(() => sysctl.set(...settings), { code: 'ENOENT' })
    t.equal(sysctl.find('ipv6/conf/all/proxy_ndp'), '1')
    t.equal(sysctl.find('ipv6/conf/default/proxy_ndp'), '0')
  })

  holds(
    'has parameters of links that come and go with them',
    async (t, { sysctl, addLink, renameLink, removeLink }) => {
      const find = (name: string) => sysctl.find(`ipv6/conf/${name}/keep_addr_on_down`)
      t.strictSame(find('a'), undefined)
      addLink('a')
      t.equal(find('a'), '0')
      sysctl.set({ key: 'ipv6/conf/a/keep_addr_on_down', value: '1' })
      renameLink('a', 'b')
      t.strictSame([find('a'), find('b')], [undefined, '1'])
      removeLink('b')
      addLink('b')
      t.equal(find('b'), '0', 'another link of that name')
    },
  )

  holds('takes the name of a link as it is', async (t, { sysctl, addLink }) => {
    addLink('eth0.100')
    sysctl.set({ key: 'ipv6/conf/eth0.100/accept_ra', value: '0' })
    t.equal(sysctl.find('ipv6/conf/eth0.100/accept_ra'), '0')
  })

  holds('gives new links the values of default', async (t, { sysctl, addLink }) => {
    addLink('old')
    sysctl.set(
      { key: 'ipv6/conf/default/accept_ra', value: '0' },
      { key: 'ipv4/conf/default/proxy_arp', value: '1' },
    )
    addLink('new')
    const find = (key: string) => [
      sysctl.find(`ipv6/conf/${key}/accept_ra`),
      sysctl.find(`ipv4/conf/${key}/proxy_arp`),
    ]
    t.strictSame(find('new'), ['0', '1'])
  })

  holds('switches forwarding for the namespace and its links', async (t, { sysctl, addLink }) => {
    addLink('a')
    for (const { family, key } of [
      { family: 'ipv4', key: 'ipv4/ip_forward' },
      { family: 'ipv6', key: 'ipv6/conf/all/forwarding' },
    ]) {
      const all = () =>
        ['all', 'default', 'a'].map((name) => sysctl.find(`${family}/conf/${name}/forwarding`))
      sysctl.set({ key, value: '1' })
      t.strictSame([sysctl.find(key), ...all()], ['1', '1', '1', '1'], `${key} on`)
      sysctl.set({ key, value: '0' })
      t.strictSame([sysctl.find(key), ...all()], ['0', '0', '0', '0'], `${key} off`)
    }
  })

  holds('switches IPv6 for all links', async (t, { sysctl, addLink }) => {
    addLink('a')
    sysctl.set({ key: 'ipv6/conf/all/disable_ipv6', value: '1' })
    t.equal(sysctl.find('ipv6/conf/a/disable_ipv6'), '1')
    t.equal(sysctl.find('ipv6/conf/default/disable_ipv6'), '1')
  })

  holds('has the parameters that Podwire sets, with their usual values', async (t, { sysctl, addLink }) => {
    addLink('a')
    const usual = {
      accept_dad: '1',
      accept_ra: '1',
      autoconf: '1',
      disable_ipv6: '0',
      enhanced_dad: '1',
      keep_addr_on_down: '0',
      ndisc_notify: '0',
      proxy_ndp: '0',
    }
    for (const [parameter, value] of Object.entries(usual)) {
      t.equal(sysctl.find(`ipv6/conf/a/${parameter}`), value, parameter)
    }
    // Those of IPv4 begin as they are on the node (devconf_inherit_init_net).
    for (const parameter of [
      'accept_local',
      'arp_announce',
      'arp_ignore',
      'arp_notify',
      'promote_secondaries',
      'proxy_arp',
      'route_localnet',
      'rp_filter',
      'send_redirects',
    ]) {
      t.match(sysctl.find(`ipv4/conf/a/${parameter}`), /^\d$/, parameter)
    }
    t.match(sysctl.find('core/somaxconn'), /^\d+$/)
    t.match(sysctl.find('ipv4/ip_unprivileged_port_start'), /^\d+$/)
  })
}
