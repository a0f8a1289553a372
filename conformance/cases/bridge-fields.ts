// What each field of the bridge's config makes on the node and in the pod.

import type { Case } from '../harness/case.ts'
import type { Config } from '../harness/plugin.ts'
import type { Options, Stage } from '../harness/stage.ts'
import { ping } from '../harness/traffic.ts'

const DUAL = { ranges: [[{ subnet: '10.1.0.0/24' }], [{ subnet: 'fd00:1::/64' }]] }

/** ADD, a look, CHECK, DEL. */
async function live(stage: Stage, fields: Config, options: Options = {}): Promise<void> {
  const pod = await stage.addPod()
  const config = stage.bridgeConfig(fields)
  const { json } = await stage.add(pod, config, options)
  await stage.look()
  await stage.check(pod, config, json, options)
  await stage.del(pod, config, options)
}

/** Two pods: whom the first one reaches. */
async function meet(stage: Stage, fields: Config): Promise<void> {
  const pods = [await stage.addPod('pod1'), await stage.addPod('pod2')] as const
  const config = stage.bridgeConfig({ isGateway: true, ...fields })
  for (const pod of pods) await stage.add(pod, config, { quiet: true })
  await stage.look()
  const reached = [await ping(stage, pods[0], '10.1.0.1'), await ping(stage, pods[0], '10.1.0.3')]
  stage.note('pod1 reaches', [`gateway ${reached[0]}`, `pod2 ${reached[1]}`])
  stage.require(reached.join() === `true,${fields['portIsolation'] !== true}`, 'pods meet as they may')
  for (const pod of pods) await stage.del(pod, config)
}

/** A pod that takes another MAC, and then its own again. */
async function spoof(stage: Stage): Promise<void> {
  const pod = await stage.addPod()
  const config = stage.bridgeConfig({ isGateway: true, macspoofchk: true })
  const { json } = await stage.add(pod, config)
  await stage.look()
  const { interfaces = [] } = (json ?? {}) as { interfaces?: { mac: string }[] }
  const answers: boolean[] = []
  for (const mac of [interfaces[2]?.mac, '02:00:00:00:00:09', interfaces[2]?.mac]) {
    await stage.sh(`ip link set eth0 address ${mac}`, pod)
    await stage.sh('ip neigh flush dev cni0')
    answers.push(await ping(stage, pod, '10.1.0.1'))
  }
  const [before, spoofed, after] = answers
  stage.note('the gateway answers', [`its own MAC ${before}`, `another ${spoofed}`, `its own again ${after}`])
  stage.require(answers.join() === 'true,false,true', `the gateway answers ${answers}`)
  await stage.check(pod, config, json)
  await stage.del(pod, config)
}

const lives: Readonly<Record<string, (stage: Stage) => Promise<void>>> = {
  'bridge makes a pod with an address when nothing else is asked for': (stage) => live(stage, {}),
  'bridge makes a pod with two addresses when there are ranges of both families': (stage) =>
    live(stage, { ipam: stage.ipam(DUAL) }),
  'bridge makes a pod with three addresses when there are three range sets': (stage) =>
    live(stage, {
      isDefaultGateway: true,
      ipam: stage.ipam({ ranges: [...DUAL.ranges, [{ subnet: 'fd00:2::/64', gateway: 'fd00:2::9' }]] }),
    }),
  'bridge has the name that is asked for': (stage) => live(stage, { bridge: 'br-pods' }),
  'isGateway puts the gateway on the bridge': (stage) =>
    live(stage, { isGateway: true, ipam: stage.ipam(DUAL) }),
  'isGateway takes the gateway of the range when it has one': (stage) =>
    live(stage, { isGateway: true, ipam: stage.ipam({ subnet: '10.1.0.0/24', gateway: '10.1.0.254' }) }),
  'isDefaultGateway gives the pod default routes': (stage) =>
    live(stage, { isDefaultGateway: true, ipam: stage.ipam(DUAL) }),
  'isDefaultGateway leaves the default route of the ipam section alone': (stage) =>
    live(stage, {
      isDefaultGateway: true,
      ipam: stage.ipam({ subnet: '10.1.0.0/24', routes: [{ dst: '0.0.0.0/0', gw: '10.1.0.9' }] }),
    }),
  'isDefaultGateway serves the default route of the ipam section that has no next hop': (stage) =>
    live(stage, {
      isDefaultGateway: true,
      ipam: stage.ipam({ subnet: '10.1.0.0/24', routes: [{ dst: '0.0.0.0/0' }] }),
    }),
  'routes go through the gateway of their family when they name none': (stage) =>
    live(stage, {
      isGateway: true,
      ipam: stage.ipam({
        ...DUAL,
        routes: [{ dst: '10.9.0.0/16' }, { dst: 'fd00:9::/48' }, { dst: '0.0.0.0/0' }],
      }),
    }),
  'ipMasq hides IPv4 pods behind the node': (stage) => live(stage, { isGateway: true, ipMasq: true }),
  'ipMasq hides pods of both families behind the node': (stage) =>
    live(stage, { isGateway: true, ipMasq: true, ipam: stage.ipam(DUAL) }),
  'mtu is that of the wire and of a new bridge': (stage) => live(stage, { mtu: 1400 }),
  'mtu is above that of Ethernet when asked for': (stage) => live(stage, { mtu: 8950 }),
  'hairpinMode lets a pod reach itself through its port': (stage) => live(stage, { hairpinMode: true }),
  'promiscMode makes the bridge promiscuous': (stage) => live(stage, { promiscMode: true }),
  'dns of the config comes before that of the ipam section': (stage) =>
    live(stage, {
      dns: {
        nameservers: ['10.1.0.53'],
        domain: 'cluster.local',
        search: ['svc.cluster.local'],
        options: ['ndots:5'],
      },
    }),
  'a pod without ipam has a link and no address': (stage) =>
    live(stage, { ipam: undefined, cniVersion: '0.4.0' }),
  'a pod with an empty ipam section has a link and no address': (stage) => live(stage, { ipam: {} }),
  'an interface may have another name': (stage) => live(stage, {}, { ifname: 'net1' }),
  'the MAC comes from CNI_ARGS when nothing else gives one': (stage) =>
    live(stage, {}, { args: 'IgnoreUnknown=1;MAC=c2:11:22:33:44:55' }),
  'an empty MAC in CNI_ARGS is none': (stage) => live(stage, {}, { args: 'IgnoreUnknown=1;MAC=' }),
  'the MAC comes from args.cni before CNI_ARGS': (stage) =>
    live(
      stage,
      { args: { cni: { mac: 'c2:11:22:33:44:66' } } },
      { args: 'IgnoreUnknown=1;MAC=c2:11:22:33:44:55' },
    ),
  'the MAC comes from runtimeConfig before all others': (stage) =>
    live(
      stage,
      { args: { cni: { mac: 'c2:11:22:33:44:66' } }, runtimeConfig: { mac: 'C2:11:22:33:44:77' } },
      { args: 'IgnoreUnknown=1;MAC=c2:11:22:33:44:55' },
    ),
  'keys of the config are read in any letter case': (stage) =>
    live(stage, { ISGATEWAY: true, Mtu: 1400, HairpinMode: true }),
  'ipMasqBackend may be iptables': (stage) => live(stage, { ipMasq: true, ipMasqBackend: 'iptables' }),
  'ipMasqBackend may be nftables': (stage) => live(stage, { ipMasq: true, ipMasqBackend: 'nftables' }),
  'disableContainerInterface leaves the interface of the pod down': (stage) =>
    live(stage, { cniVersion: '0.4.0', ipam: undefined, disableContainerInterface: true }),
  'portIsolation keeps pods apart, not from the gateway': (stage) => meet(stage, { portIsolation: true }),
  'without portIsolation pods meet': (stage) => meet(stage, { portIsolation: false }),
  'macspoofchk drops what comes from another MAC': (stage) => spoof(stage),
  'unknown keys of the config are ignored': (stage) =>
    live(stage, { capabilities: { mac: true }, 'cni.dev/x': 1, y: [] }),
}

const together: readonly Case[] = [
  {
    title: 'routes are in the table and with the metric that they name, and IPv6 ones have no scope',
    oursOnly: 'upstream 1.1.1 does not know these fields; 1.9.1 makes the same routes',
    async play(stage) {
      const routes = [
        { dst: '0.0.0.0/0', table: 100 },
        { dst: '::/0', priority: 50 },
        { dst: '10.9.0.0/16', table: 0 },
        { dst: 'fd00:8::/48', scope: 253 },
        { dst: 'fd00:9::/48', gw: 'fd00:1::9', scope: 254 },
      ]
      await live(stage, { isDefaultGateway: true, ipam: stage.ipam({ ...DUAL, routes }) })
    },
  },
  {
    title: 'lo comes up when it is down',
    async play(stage) {
      const pod = await stage.addPod()
      await stage.sh('ip link set lo down', pod)
      await stage.settle()
      const config = stage.bridgeConfig()
      await stage.add(pod, config, { quiet: true })
      await stage.look()
      await stage.del(pod, config)
    },
  },
  {
    title: 'an existing bridge is used as it is',
    async play(stage) {
      await stage.node.must('sh', '-c', 'ip link add cni0 address 02:00:00:00:00:03 mtu 1450 type bridge')
      await stage.settle()
      await live(stage, { mtu: 1400 })
    },
  },
  {
    title: 'the bridge keeps its MAC and its ports theirs when pods come and go',
    async play(stage) {
      const [first, second] = [await stage.addPod('pod1'), await stage.addPod('pod2')]
      const config = stage.bridgeConfig({ isGateway: true })
      await stage.add(first, config)
      await stage.look()
      await stage.add(second, config)
      await stage.look()
      await stage.del(first, config)
      await stage.look()
      await stage.del(second, config)
    },
  },
  {
    title: 'the bridge keeps its MAC when it has no address',
    async play(stage) {
      const config = stage.bridgeConfig({ cniVersion: '0.4.0', ipam: undefined })
      const pods = [await stage.addPod('pod1'), await stage.addPod('pod2'), await stage.addPod('pod3')]
      for (const pod of pods) await stage.add(pod, config)
      await stage.look()
      for (const pod of pods) await stage.del(pod, config)
    },
  },
  {
    title: 'two interfaces of a pod on one network come and go by themselves',
    async play(stage) {
      const pod = await stage.addPod()
      const config = stage.bridgeConfig({ isGateway: true, ipMasq: true })
      await stage.add(pod, config, { ifname: 'eth0' })
      await stage.settle()
      await stage.add(pod, config, { ifname: 'eth1' })
      await stage.del(pod, config, { ifname: 'eth1' })
      await stage.look()
      await stage.del(pod, config, { ifname: 'eth0' })
    },
  },
  {
    title: 'forceAddress replaces another IPv4 address of the bridge',
    async play(stage) {
      await stage.node.must('sh', '-c', 'ip link add cni0 type bridge; ip addr add 10.1.0.7/24 dev cni0')
      await stage.settle()
      await live(stage, { isGateway: true, forceAddress: true })
    },
  },
  {
    title: 'forceAddress leaves IPv6 addresses of other subnets on the bridge',
    async play(stage) {
      await stage.node.must(
        'sh',
        '-c',
        'ip link add cni0 type bridge; ip addr add fd00:7::7/64 dev cni0 nodad',
      )
      await stage.settle()
      const ipam = stage.ipam({ subnet: 'fd00:1::/64' })
      await live(stage, { isGateway: true, forceAddress: true, ipam })
    },
  },
  {
    title: 'an IPv6 address of another subnet stays on the bridge',
    async play(stage) {
      await stage.node.must(
        'sh',
        '-c',
        'ip link add cni0 type bridge; ip addr add fd00:7::7/64 dev cni0 nodad',
      )
      await stage.settle()
      const ipam = stage.ipam({ subnet: 'fd00:1::/64' })
      await live(stage, { isGateway: true, ipam })
    },
  },
]

export const bridgeFieldCases = [
  ...Object.entries(lives).map(([title, play]): Case => ({ title, play })),
  ...together,
]
