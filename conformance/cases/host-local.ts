// The IPAM plugin by itself: which addresses it gives, to whom, and what it says when it cannot.

import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Case } from '../harness/case.ts'
import type { Namespace } from '../harness/node.ts'
import type { Config } from '../harness/plugin.ts'
import type { Options, Stage } from '../harness/stage.ts'

/** `ADD` and the like of the IPAM plugin, on one config. */
function client(stage: Stage, ipam: Config, more: Config = {}) {
  const type = stage.node.contestant.hostLocal
  const config = { cniVersion: '1.0.0', name: 'net', type: 'any', ipam: stage.ipam(ipam), ...more }
  return {
    add: (pod: Namespace, options: Options = {}) => stage.add(pod, config, { type, ...options }),
    check: (pod: Namespace, options: Options = {}) =>
      stage.check(pod, config, undefined, { type, ...options }),
    del: (pod: Namespace, options: Options = {}) => stage.del(pod, config, { type, ...options }),
  }
}

/** One pod comes, is checked, and goes. */
async function visit(
  stage: Stage,
  ipam: Config,
  { more = {}, ...options }: Options & { more?: Config } = {},
) {
  const pod = await stage.addPod()
  const plugin = client(stage, ipam, more)
  await plugin.add(pod, options)
  await stage.look()
  await plugin.check(pod, options)
  await plugin.del(pod, options)
}

const TWO_FAMILIES = { ranges: [[{ subnet: '10.1.0.0/24' }], [{ subnet: 'fd00:1::/64' }]] }

const visits: Readonly<Record<string, (stage: Stage) => Promise<void>>> = {
  'the old flat form is a range set': (stage) =>
    visit(stage, {
      subnet: '10.1.0.0/24',
      rangeStart: '10.1.0.100',
      rangeEnd: '10.1.0.200',
      gateway: '10.1.0.50',
      routes: [{ dst: '0.0.0.0/0' }, { dst: '10.9.0.0/16', gw: '10.1.0.9' }],
    }),
  'the old flat form comes before ranges': (stage) =>
    visit(stage, { subnet: '10.1.0.0/24', ranges: [[{ subnet: '10.2.0.0/24' }]] }),
  'runtimeConfig.ipRanges come before all': (stage) =>
    visit(
      stage,
      { subnet: '10.1.0.0/24' },
      { more: { runtimeConfig: { ipRanges: [[{ subnet: '10.3.0.0/24' }]] } } },
    ),
  'each range set gives an address': (stage) => visit(stage, TWO_FAMILIES),
  'a small subnet gives all but network, gateway and broadcast': async (stage) => {
    const plugin = client(stage, { subnet: '10.1.0.0/29' })
    const pod = await stage.addPod()
    const ids = ['a', 'b', 'c', 'd', 'e', 'f']
    for (const containerId of ids) await plugin.add(pod, { containerId })
    for (const containerId of ids) await plugin.del(pod, { containerId })
  },
  'the gateway of a range is not given to a pod': (stage) =>
    visit(stage, { subnet: '10.1.0.0/24', rangeStart: '10.1.0.7', gateway: '10.1.0.7' }),
  'an address is requested in CNI_ARGS': (stage) =>
    visit(stage, { subnet: '10.1.0.0/24' }, { args: 'IP=10.1.0.88' }),
  'an address is requested in CNI_ARGS with a prefix length': (stage) =>
    visit(stage, { subnet: '10.1.0.0/24' }, { args: 'IP=10.1.0.88/24' }),
  'an address is requested in args.cni.ips': (stage) =>
    visit(stage, { subnet: '10.1.0.0/24' }, { more: { args: { cni: { ips: ['10.1.0.88'] } } } }),
  'an address is requested in args.cni.ips with a prefix length': (stage) =>
    visit(stage, { subnet: '10.1.0.0/24' }, { more: { args: { cni: { ips: ['10.1.0.88/24'] } } } }),
  'addresses of two range sets are requested in args.cni.ips': (stage) =>
    visit(
      stage,
      { ranges: [[{ subnet: '10.1.0.0/24' }], [{ subnet: '10.2.0.0/24' }]] },
      { more: { args: { cni: { ips: ['10.1.0.88', '10.2.0.77'] } } } },
    ),
  'addresses of both families are requested in args.cni.ips': (stage) =>
    visit(stage, TWO_FAMILIES, { more: { args: { cni: { ips: ['fd00:1::88', '10.1.0.88'] } } } }),
  'addresses are requested in runtimeConfig.ips': (stage) =>
    visit(stage, TWO_FAMILIES, { more: { runtimeConfig: { ips: ['10.1.0.88/24', 'fd00:1::88/64'] } } }),
  'a requested address that is in no range is refused': (stage) =>
    visit(stage, { subnet: '10.1.0.0/24' }, { args: 'IP=10.2.0.88' }),
  'more requested addresses than range sets are refused': (stage) =>
    visit(stage, { subnet: '10.1.0.0/24' }, { more: { args: { cni: { ips: ['10.1.0.88', '10.1.0.89'] } } } }),
  'a requested address that is the gateway is refused': (stage) =>
    visit(stage, { subnet: '10.1.0.0/24' }, { args: 'IP=10.1.0.1' }),
  'a name server comes from resolvConf': async (stage) => {
    const resolvConf = join(stage.node.directory, 'resolv.conf')
    const lines = [
      '; a comment',
      'nameserver 192.0.2.53',
      'nameserver 2001:db8::53',
      'domain example.org',
      'search a.example b.example',
      'options ndots:5 edns0',
      '',
    ]
    writeFileSync(resolvConf, lines.join('\n'))
    await visit(stage, { subnet: '10.1.0.0/24', resolvConf })
  },
}

const stories: Readonly<Record<string, (stage: Stage) => Promise<void>>> = {
  'addresses go round before one is given again': async (stage) => {
    const plugin = client(stage, { subnet: '10.1.0.0/29' })
    const pod = await stage.addPod()
    for (const containerId of ['a', 'b', 'c', 'd', 'e', 'f', 'g']) {
      await plugin.add(pod, { containerId })
      await plugin.del(pod, { containerId })
    }
  },
  'the address that has been free longest is given again first': async (stage) => {
    const plugin = client(stage, { subnet: '10.1.0.0/29' })
    const pod = await stage.addPod()
    for (const containerId of ['a', 'b', 'c', 'd', 'e']) await plugin.add(pod, { containerId })
    for (const containerId of ['d', 'a', 'c']) await plugin.del(pod, { containerId })
    for (const containerId of ['x', 'y', 'z']) await plugin.add(pod, { containerId })
    for (const containerId of ['b', 'e', 'x', 'y', 'z']) await plugin.del(pod, { containerId })
  },
  'the ranges of a set serve one after another': async (stage) => {
    const plugin = client(stage, { ranges: [[{ subnet: '10.1.0.0/30' }, { subnet: '10.2.0.0/30' }]] })
    const pod = await stage.addPod()
    for (const containerId of ['a', 'b', 'c']) await plugin.add(pod, { containerId })
    for (const containerId of ['a', 'b']) await plugin.del(pod, { containerId })
  },
  'a second ADD of an attachment is refused and takes nothing from the first': async (stage) => {
    const plugin = client(stage, TWO_FAMILIES)
    const pod = await stage.addPod()
    await plugin.add(pod)
    await plugin.add(pod)
    await stage.look()
    await plugin.check(pod)
    await plugin.del(pod)
  },
  'a second ADD with a requested address takes nothing from the first': async (stage) => {
    const plugin = client(stage, TWO_FAMILIES)
    const pod = await stage.addPod()
    await plugin.add(pod)
    await plugin.add(pod, { args: 'IP=10.1.0.88' })
    await stage.look()
    await plugin.del(pod)
  },
  'another interface of a container has an address of its own': async (stage) => {
    const plugin = client(stage, { subnet: '10.1.0.0/24' })
    const pod = await stage.addPod()
    await plugin.add(pod, { ifname: 'eth0' })
    await plugin.add(pod, { ifname: 'eth1' })
    await plugin.del(pod, { ifname: 'eth0' })
    await stage.look()
    await plugin.check(pod, { ifname: 'eth0' })
    await plugin.check(pod, { ifname: 'eth1' })
    await plugin.del(pod, { ifname: 'eth1' })
  },
  'two networks in one dataDir do not share addresses': async (stage) => {
    const pod = await stage.addPod()
    const [one, other] = [
      client(stage, { subnet: '10.1.0.0/24' }),
      client(stage, { subnet: '10.1.0.0/24' }, { name: 'other' }),
    ]
    await one.add(pod)
    await other.add(pod)
    await one.del(pod)
    await stage.look()
    await other.del(pod)
  },
  'a requested address that another holds is refused': async (stage) => {
    const plugin = client(stage, { subnet: '10.1.0.0/24' })
    const [first, second] = [await stage.addPod('pod1'), await stage.addPod('pod2')]
    await plugin.add(first, { args: 'IP=10.1.0.88' })
    await plugin.add(second, { args: 'IP=10.1.0.88' })
    await plugin.del(second)
    await plugin.del(first)
  },
  'an exhausted set takes nothing from the sets before it': async (stage) => {
    const ranges = [[{ subnet: '10.1.0.0/24' }], [{ subnet: '10.2.0.0/30' }]]
    const plugin = client(stage, { ranges })
    const [first, second] = [await stage.addPod('pod1'), await stage.addPod('pod2')]
    await plugin.add(first)
    await plugin.add(second)
    await stage.look()
    await plugin.del(first)
  },
  'DEL releases what a file without interface names': (stage) => inherit(stage, 'pod1'),
  'DEL releases what a file names with space around it': (stage) => inherit(stage, ' pod1\r\neth0 \n\n'),
  'DEL of what was never added is fine': async (stage) => {
    const pod = await stage.addPod()
    await client(stage, { subnet: '10.1.0.0/24' }).del(pod)
  },
  'DEL is fine a second time': async (stage) => {
    const plugin = client(stage, { subnet: '10.1.0.0/24' })
    const pod = await stage.addPod()
    await plugin.add(pod)
    await plugin.del(pod)
    await plugin.del(pod)
  },
  'DEL releases the addresses when the ranges cannot be read any more': async (stage) => {
    const pod = await stage.addPod()
    await client(stage, { subnet: '10.1.0.0/24' }).add(pod)
    await client(stage, { subnet: 'no subnet', ranges: [] }).del(pod)
  },
  'CHECK fails when there is no lease': async (stage) => {
    const pod = await stage.addPod()
    await client(stage, { subnet: '10.1.0.0/24' }).check(pod)
  },
}

/** A file of upstream's for the only address there is: it is held until DEL of its container. */
async function inherit(stage: Stage, content: string): Promise<void> {
  const directory = join(stage.node.dataDir, 'net')
  mkdirSync(directory, { recursive: true })
  writeFileSync(join(directory, '10.1.0.2'), content)
  const plugin = client(stage, { subnet: '10.1.0.0/30' })
  const [holder, other] = [await stage.addPod('pod1'), await stage.addPod('pod2')]
  await plugin.add(other)
  await plugin.del(other)
  await plugin.check(holder)
  await plugin.del(holder)
  await plugin.add(other)
  await stage.look()
  await plugin.del(other)
}

export const hostLocalCases: readonly Case[] = Object.entries({ ...visits, ...stories }).map(
  ([title, play]) => ({
    title: `host-local: ${title}`,
    play,
  }),
)
