// The other plugins of the suite: those that make an interface of another kind, and those that come later in a chain.

import type { Case } from '../harness/case.ts'
import type { Namespace } from '../harness/node.ts'
import type { Config } from '../harness/plugin.ts'
import type { Answer, Options, Stage } from '../harness/stage.ts'

const DUAL = { ranges: [[{ subnet: '10.1.0.0/24' }], [{ subnet: 'fd00:1::/64' }]] }
const DEFAULT_ROUTES = [{ dst: '0.0.0.0/0' }, { dst: '::/0' }]
const POD_MAC = '02:00:00:00:00:11'

function configOf(stage: Stage, plugin: string, fields: Config): Config {
  return { cniVersion: '1.0.0', name: 'net', type: stage.node.contestant.typeOf(plugin), ...fields }
}

const typed = (config: Config): Options => ({ type: String(config['type']) })

/** ADD, a look, CHECK, DEL, DEL. */
async function live(
  stage: Stage,
  { plugin, pod, fields, options }: { plugin: string; pod: Namespace; fields: Config; options?: Options },
): Promise<Answer> {
  const config = configOf(stage, plugin, fields)
  const call = { ...typed(config), ...options }
  const answer = await stage.add(pod, config, call)
  await stage.look()
  await stage.check(pod, config, answer.json, call)
  await stage.del(pod, config, call)
  await stage.del(pod, config, { ...call, as: 'DEL again' })
  return answer
}

/** A pod whose eth0 another plugin has made, with an address, and what that one answered. */
async function podWithInterface(stage: Stage): Promise<{ pod: Namespace; prevResult: Config }> {
  const pod = await stage.addPod()
  await stage.sh(
    `ip link add host0 address 02:00:00:00:00:10 type veth peer name eth0 address ${POD_MAC} netns ${pod.name} && ip link set host0 up`,
  )
  await stage.sh(
    'ip addr add 10.1.0.5/24 dev eth0 && ip addr add fd00:1::5/64 dev eth0 nodad && ip link set eth0 up',
    pod,
  )
  await stage.sh('ip route add default via 10.1.0.1 && ip route add default via fd00:1::1', pod)
  await stage.settle()
  const prevResult = {
    cniVersion: '1.0.0',
    interfaces: [
      { name: 'host0', mac: '02:00:00:00:00:10' },
      { name: 'eth0', mac: POD_MAC, sandbox: pod.path },
    ],
    ips: [
      { address: '10.1.0.5/24', gateway: '10.1.0.1', interface: 1 },
      { address: 'fd00:1::5/64', gateway: 'fd00:1::1', interface: 1 },
    ],
  }
  return { pod, prevResult }
}

async function chained(stage: Stage, plugin: string, fields: Config): Promise<void> {
  const { pod, prevResult } = await podWithInterface(stage)
  await live(stage, { plugin, pod, fields: { ...fields, prevResult } })
  await stage.look()
}

/** A link that pods' interfaces lie on, with an end that is up. */
async function withUplink(stage: Stage): Promise<void> {
  await stage.sh(
    'ip link add up0 address 02:00:00:00:00:20 type veth peer name far address 02:00:00:00:00:21 && ip link set up0 up && ip link set far up',
  )
  await stage.settle()
}

async function asStatic(stage: Stage, fields: Config, options: Options = {}): Promise<void> {
  const pod = await stage.addPod()
  const config = configOf(stage, 'static', fields)
  await stage.add(pod, config, { ...typed(config), ...options })
}

const ping = async (stage: Stage, inside: Namespace, to: string, patience = '-W 2') =>
  stage.sh(`ping -c 1 ${patience} ${to} >/dev/null && echo reached || echo not reached`, inside)

/** Of several packets one that is answered will do: upstream's node may still look for duplicates of its address. */
const PATIENTLY = '-w 8'

const stories: Readonly<Record<string, (stage: Stage) => Promise<void>>> = {
  'loopback brings lo up, and down again': async (stage) => {
    const pod = await stage.addPod()
    await stage.sh('ip link set lo down && ip addr flush dev lo', pod)
    await stage.settle()
    const config = { ...configOf(stage, 'loopback', {}), name: 'cni-loopback', cniVersion: '0.3.1' }
    await stage.add(pod, config, typed(config))
    await stage.look()
    await stage.check(pod, { ...config, cniVersion: '0.4.0' }, undefined, typed(config))
    await stage.del(pod, config, typed(config))
    await stage.look()
    await stage.removePod(pod)
    await stage.del(pod, config, { ...typed(config), as: 'DEL of a pod that is gone' })
  },
  'static gives the addresses of the config, with routes and dns': (stage) =>
    asStatic(stage, {
      ipam: {
        type: 'static',
        addresses: [{ address: '10.1.0.5/24', gateway: '10.1.0.1' }, { address: 'fd00:1::5/64' }],
        routes: [{ dst: '0.0.0.0/0' }, { dst: '10.9.0.0/16', gw: '10.1.0.9' }],
        dns: { nameservers: ['10.1.0.53'] },
      },
    }),
  'static gives the addresses of CNI_ARGS, too': (stage) =>
    asStatic(
      stage,
      { ipam: { type: 'static', addresses: [{ address: '10.1.0.5/24' }] } },
      { args: 'IP=10.2.0.5/24,fd00:2::5/64;GATEWAY=10.2.0.1,fd00:2::1' },
    ),
  'static gives the addresses of the runtime instead': (stage) =>
    asStatic(stage, {
      args: { cni: { ips: ['10.4.0.5/24'] } },
      runtimeConfig: { ips: ['10.5.0.5/24'] },
      ipam: { type: 'static', addresses: [{ address: '10.1.0.5/24' }] },
    }),
  'tuning sets attributes and sysctls, and restores them': (stage) =>
    chained(stage, 'tuning', {
      mac: '02:00:00:00:00:99',
      mtu: 1400,
      promisc: true,
      allmulti: true,
      sysctl: { 'net.ipv4.conf.IFNAME.arp_filter': '1' },
    }),
  'tuning refuses a sysctl outside net': async (stage) => {
    const { pod, prevResult } = await podWithInterface(stage)
    const config = configOf(stage, 'tuning', { sysctl: { 'kernel.hostname': 'x' }, prevResult })
    await stage.add(pod, config, typed(config))
  },
  'tuning refuses to be the first of its chain': async (stage) => {
    const config = configOf(stage, 'tuning', { mtu: 1400 })
    await stage.add(await stage.addPod(), config, typed(config))
  },
  'sbr gives the interface a table of its own': (stage) => chained(stage, 'sbr', {}),
  'ptp wires a pod to the node': async (stage) => {
    const pod = await stage.addPod()
    await live(stage, {
      plugin: 'ptp',
      pod,
      fields: { ipam: stage.ipam({ ...DUAL, routes: DEFAULT_ROUTES }) },
    })
  },
  'ptp makes routes by any next hop in the pod’s subnet': async (stage) => {
    const pod = await stage.addPod()
    const routes = [
      ...DEFAULT_ROUTES,
      { dst: '10.9.0.0/16', gw: '10.1.0.9' },
      { dst: 'fd00:9::/48', gw: 'fd00:1::9' },
    ]
    await live(stage, { plugin: 'ptp', pod, fields: { ipam: stage.ipam({ ...DUAL, routes }) } })
  },
  'ptp hides pods behind the node, and they reach each other': async (stage) => {
    const [one, two] = [await stage.addPod('pod1'), await stage.addPod('pod2')]
    await stage.addOutside()
    const config = configOf(stage, 'ptp', {
      ipMasq: true,
      mtu: 1400,
      ipam: stage.ipam({ ...DUAL, routes: DEFAULT_ROUTES }),
    })
    for (const pod of [one, two]) await stage.add(pod, config, { ...typed(config), quiet: true })
    for (const [pod, to] of [
      [one, '10.1.0.3'],
      [two, 'fd00:1::2'],
      [one, '192.0.2.2'],
      [one, '2001:db8:ffff::2'],
    ] as const)
      stage.note(`${pod.label} to ${to}`, [await ping(stage, pod, to, PATIENTLY)])
    for (const pod of [one, two]) await stage.del(pod, config, typed(config))
  },
  'macvlan gives a pod an address on a link of the node': async (stage) => {
    await withUplink(stage)
    const pod = await stage.addPod()
    const fields = {
      master: 'up0',
      mac: '02:00:00:00:00:31',
      mode: 'private',
      mtu: 1400,
      ipam: stage.ipam(DUAL),
    }
    await live(stage, { plugin: 'macvlan', pod, fields })
    await stage.look()
  },
  'macvlan pods on one link reach each other': async (stage) => {
    await withUplink(stage)
    const [one, two] = [await stage.addPod('pod1'), await stage.addPod('pod2')]
    const config = configOf(stage, 'macvlan', { master: 'up0', ipam: stage.ipam(DUAL) })
    for (const pod of [one, two]) await stage.add(pod, config, { ...typed(config), quiet: true })
    stage.note('pod1 to pod2', [await ping(stage, one, '10.1.0.3')])
    stage.note('pod2 to pod1', [await ping(stage, two, '10.1.0.2')])
    for (const pod of [one, two]) await stage.del(pod, config, typed(config))
  },
  'macvlan without ipam gives a link': async (stage) => {
    await withUplink(stage)
    const pod = await stage.addPod()
    await live(stage, {
      plugin: 'macvlan',
      pod,
      fields: { master: 'up0', mac: '02:00:00:00:00:31', cniVersion: '0.4.0' },
    })
  },
  'macvlan refuses an MTU above that of its master': async (stage) => {
    await withUplink(stage)
    const config = configOf(stage, 'macvlan', { master: 'up0', mtu: 9000 })
    await stage.add(await stage.addPod(), config, typed(config))
  },
  'host-device moves a link into the pod and back': async (stage) => {
    await withUplink(stage)
    const pod = await stage.addPod()
    const config = configOf(stage, 'host-device', { device: 'up0', ipam: stage.ipam(DUAL) })
    const { json } = await stage.add(pod, config, typed(config))
    await stage.look()
    await stage.check(pod, config, json, typed(config))
    await stage.del(pod, config, typed(config))
    await stage.look()
  },
  'host-device refuses a link that is not there': async (stage) => {
    const config = configOf(stage, 'host-device', { device: 'gone' })
    await stage.add(await stage.addPod(), config, typed(config))
  },
}

/** Of each plugin ADD with the result of the one before, CHECK with the last, DEL from the last on. */
async function playChain(stage: Stage): Promise<void> {
  const pod = await stage.addPod()
  const chain = [
    stage.bridgeConfig({ isDefaultGateway: true, ipam: stage.ipam(DUAL) }),
    configOf(stage, 'tuning', {
      mac: '02:00:00:00:00:99',
      mtu: 1300,
      sysctl: { 'net.ipv4.conf.IFNAME.arp_filter': '1' },
    }),
    configOf(stage, 'sbr', {}),
  ]
  let prevResult: Answer['json']
  for (const config of chain) {
    const { json } = await stage.add(
      pod,
      { ...config, prevResult },
      { ...typed(config), quiet: true, as: `ADD of ${config['type']}` },
    )
    prevResult = json
  }
  await stage.look()
  stage.note('pod1 to its gateway', [
    await ping(stage, pod, '-I 10.1.0.2 10.1.0.1'),
    await ping(stage, pod, '-I fd00:1::2 fd00:1::1'),
  ])
  for (const config of chain)
    await stage.check(pod, config, prevResult, { ...typed(config), as: `CHECK of ${config['type']}` })
  for (const config of chain.toReversed())
    await stage.del(pod, config, { ...typed(config), as: `DEL of ${config['type']}` })
  await stage.look()
}

const chain: Case = {
  title: 'a chain of bridge, tuning and sbr is checked, and taken apart',
  play: playChain,
  oursOnly: 'upstream’s CHECK of the bridge does not find the routes that sbr has moved',
}

/** Its route is the IPAM's, as `routes` of host-local with `table` makes one. */
async function playNamedTable(stage: Stage): Promise<void> {
  const { pod, prevResult } = await podWithInterface(stage)
  await stage.sh('ip route add default via 10.1.0.9 dev eth0 table 77', pod)
  await stage.settle()
  await live(stage, { plugin: 'sbr', pod, fields: { table: 77, prevResult } })
}

const namedTable: Case = {
  title: 'sbr with a table makes rules, and leaves all routes alone',
  play: playNamedTable,
  oursOnly: 'upstream 1.1.1 knows no table; 1.9.1 does the same',
}

export const chainCases: readonly Case[] = [
  ...Object.entries(stories).map(([title, play]) => ({ title, play })),
  chain,
  namedTable,
]
