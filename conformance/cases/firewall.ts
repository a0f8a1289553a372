// Firewalls: who may reach a pod from behind a bridge, and pods beside the firewalls of others.

import type { Case } from '../harness/case.ts'
import { NamedPeers } from '../harness/named-peers.ts'
import type { Namespace } from '../harness/node.ts'
import type { Config } from '../harness/plugin.ts'
import type { Stage } from '../harness/stage.ts'
import { addChain, type Chained, chainedConfig, delChain, prepareNode } from './bridge-chain.ts'

const OUTSIDE = { 4: '192.0.2.2', 6: '2001:db8:ffff::2' }

interface World {
  readonly stage: Stage
  readonly peers: NamedPeers
  readonly outside: Namespace
  /** Two on one bridge, the third on another. */
  readonly pods: readonly [Namespace, Namespace, Namespace]
  readonly attach: (pod: Namespace, fields: Config, main?: Config) => Promise<Chained>
  readonly attachAll: (fields: Config) => Promise<readonly [Chained, Chained, Chained]>
  readonly detach: (...attached: readonly Chained[]) => Promise<void>
}

async function inWorld(stage: Stage, prepare: string, play: (world: World) => Promise<void>): Promise<void> {
  const type = stage.node.contestant.typeOf('firewall')
  const outside = await stage.addOutside()
  const other = {
    name: 'other',
    bridge: 'cni1',
    ipam: stage.ipam({ ranges: [[{ subnet: '10.2.0.0/24' }], [{ subnet: 'fd00:2::/64' }]] }),
  }
  if (prepare !== '') await stage.sh(prepare)
  await prepareNode(stage, { type, fields: {} })
  const pods = [await stage.addPod('pod1'), await stage.addPod('pod2'), await stage.addPod('pod3')] as const
  const peers = await NamedPeers.start([stage.node, outside, ...pods])
  const attach = (pod: Namespace, fields: Config, main: Config = {}) => {
    const name = main['name'] === undefined ? {} : { name: main['name'] }
    return addChain(
      stage,
      pod,
      { type, fields: { ...fields, ...name } },
      { main: { ipMasq: false, ...main } },
    )
  }
  await stage.sh(
    `ip route add 10.1.0.0/24 via 192.0.2.1; ip route add 10.2.0.0/24 via 192.0.2.1
     ip route add fd00:1::/64 via 2001:db8:ffff::1; ip route add fd00:2::/64 via 2001:db8:ffff::1`,
    outside,
  )
  await play({
    stage,
    peers,
    outside,
    pods,
    attach,
    attachAll: async (fields) => [
      await attach(pods[0], fields),
      await attach(pods[1], fields),
      await attach(pods[2], fields, other),
    ],
    detach: async (...attached) => {
      for (const one of attached.toReversed()) await delChain(stage, one)
    },
  })
  await peers.end()
}

type Call = readonly [from: Namespace, address: string]

const BLOCKED = 'no answer'

/** Asks one after the other; what is answered, and in ours must be. */
async function ask(
  { stage, peers }: World,
  calls: Readonly<Record<string, readonly [Call, expected: string]>>,
): Promise<void> {
  for (const [what, [[from, address], expected]] of Object.entries(calls)) {
    const answer = (await peers.call(from, { address })).split(' sees ')[0] ?? ''
    stage.note(what, [answer])
    stage.require(answer === expected, `${what}: ${expected}, not ${answer}`)
  }
}

function addressesOf({ result }: Chained): { v4: string; v6: string } {
  const { ips = [] } = (result ?? {}) as { ips?: { address: string }[] }
  const [v4 = '', v6 = ''] = ips.map(({ address }) => address.split('/')[0] ?? '')
  return { v4, v6 }
}

/** Pods of one policy: what each answers. */
async function policy(
  world: World,
  ingressPolicy: string,
  { neighbour, other }: { neighbour: string; other: string },
): Promise<void> {
  const { outside, pods, attachAll, detach, stage } = world
  const attached = await attachAll({ ingressPolicy })
  const [, second, third] = attached.map(addressesOf)
  await ask(world, {
    [`${ingressPolicy}: outside calls a pod`]: [[outside, second?.v4 ?? ''], 'pod2'],
    [`${ingressPolicy}: the node calls a pod`]: [[stage.node, second?.v4 ?? ''], 'pod2'],
    [`${ingressPolicy}: a pod calls outside`]: [[pods[0], OUTSIDE[4]], 'outside'],
    [`${ingressPolicy}: a pod calls its neighbour`]: [[pods[0], second?.v4 ?? ''], neighbour],
    [`${ingressPolicy}: a pod calls its neighbour over IPv6`]: [[pods[0], second?.v6 ?? ''], neighbour],
    [`${ingressPolicy}: a pod calls one on another bridge`]: [[pods[0], third?.v4 ?? ''], other],
    [`${ingressPolicy}: one on another bridge calls a pod over IPv6`]: [
      [pods[2], second?.v6 ?? ''],
      other === BLOCKED ? BLOCKED : 'pod2',
    ],
  })
  await detach(...attached)
}

/** The chain’s third plugin. */
async function askHostPort({ stage, peers, outside }: World, { pod, result }: Chained): Promise<void> {
  const type = stage.node.contestant.typeOf('portmap')
  const portMappings = [{ hostPort: 18080, containerPort: 8080, protocol: 'tcp' }]
  const config = chainedConfig(stage, { type, fields: { runtimeConfig: { portMappings } } }, result)
  await stage.add(pod, config, { type, quiet: true, as: 'portmap ADD' })
  const answer = await peers.call(outside, { address: '192.0.2.1', port: 18080 })
  stage.note('outside calls the host port', [answer])
  stage.require(answer === 'pod1 sees 192.0.2.2', 'the host port is open')
  await stage.del(pod, config, { type, as: 'portmap DEL' })
}

/** What is switched from port to port passes the chains of the bridge family only. */
const NO_BR_NETFILTER =
  'for file in /proc/sys/net/bridge/bridge-nf-call-*tables; do [ ! -e $file ] || echo 0 >$file; done'

/** As Docker leaves it. */
const DOCKER = ['iptables', 'ip6tables']
  .map(
    (iptables) =>
      `${iptables} -P FORWARD DROP; ${iptables} -N DOCKER-USER; ${iptables} -A DOCKER-USER -j RETURN; ${iptables} -A FORWARD -j DOCKER-USER`,
  )
  .join('; ')

/** As firewalld leaves it: links that are in no zone are rejected. */
const FIREWALLD = `nft -f - <<'END'
table inet firewalld {
  chain filter_FORWARD {
    type filter hook forward priority filter + 10; policy accept;
    ct state { established, related } accept
    ct status dnat accept
    iifname "lo" accept
    ct state invalid drop
    jump filter_FORWARD_POLICIES
    reject with icmpx admin-prohibited
  }
  chain filter_FORWARD_POLICIES { iifname "eth9" accept; }
}
END`

async function besideOthers(world: World): Promise<void> {
  const { stage, outside, pods, attach, detach } = world
  const type = stage.node.contestant.typeOf('firewall')
  const bare = await attach(pods[1], {}, {})
  const first = await attach(pods[0], {})
  const [{ v4 }] = [addressesOf(first)]
  await ask(world, {
    'a pod calls outside': [[pods[0], OUTSIDE[4]], 'outside'],
    'a pod calls outside over IPv6': [[pods[0], OUTSIDE[6]], 'outside'],
    'outside calls a pod': [[outside, v4], BLOCKED],
  })
  await stage.call('CHECK', pods[0], first.config, { type })
  await stage.del(pods[0], first.config, { type })
  await ask(world, { 'a pod without the plugin calls outside': [[pods[0], OUTSIDE[4]], BLOCKED] })
  await detach(first, bare)
}

const stories: Readonly<Record<string, (stage: Stage) => Promise<void>>> = {
  'ingressPolicy says who may reach a pod from behind a bridge': (stage) =>
    inWorld(stage, '', async (world) => {
      await policy(world, 'open', { neighbour: 'pod2', other: 'pod3' })
    }),
  'pods pass a firewall that drops, as Docker leaves it': (stage) => inWorld(stage, DOCKER, besideOthers),
}

const oursOnly: Readonly<Record<string, [why: string, play: (stage: Stage) => Promise<void>]>> = {
  'ingressPolicy same-bridge and isolated close a pod': [
    'upstream 1.1.1 knows no isolated, and leaves its chains',
    (stage) =>
      inWorld(stage, NO_BR_NETFILTER, async (world) => {
        await policy(world, 'same-bridge', { neighbour: 'pod2', other: BLOCKED })
        await policy(world, 'isolated', { neighbour: BLOCKED, other: BLOCKED })
      }),
  ],
  'pods pass a firewall that rejects, as firewalld leaves it': [
    'upstream asks firewalld over D-Bus',
    (stage) =>
      inWorld(stage, FIREWALLD, async (world) => {
        const {
          stage: { node },
          pods,
          attach,
          detach,
        } = world
        const first = await attach(pods[0], {})
        await ask(world, { 'a pod calls outside': [[pods[0], OUTSIDE[4]], 'outside'] })
        const { directory } = node.contestant
        const type = node.contestant.typeOf('firewall')
        // As `firewall-cmd --reload` does.
        await stage.sh(`nft delete table inet firewalld; ${FIREWALLD}`)
        const { status } = await stage.call('CHECK', pods[0], first.config, { type })
        stage.require(status === 1, 'CHECK says that a reload has closed it')
        await stage.sh(`PODWIRE_STATE_DIR=${node.stateDir} ${directory}/podwire repair`)
        await ask(world, { 'after podwire repair': [[pods[0], OUTSIDE[6]], 'outside'] })
        await detach(first)
      }),
  ],
  'a host port passes a firewall that drops, and an administrator’s chain stops what others let through': [
    'upstream’s host ports do not, and its chain is one of iptables',
    (stage) =>
      inWorld(stage, DOCKER, async (world) => {
        const { pods, attach, detach } = world
        const first = await attach(pods[0], { iptablesAdminChainName: 'MINE' })
        await askHostPort(world, first)
        await stage.sh(`nft add rule inet podwire MINE ip daddr ${OUTSIDE[4]} drop`)
        await ask(world, {
          'what is dropped there': [[pods[0], OUTSIDE[4]], BLOCKED],
          'what is not': [[pods[0], OUTSIDE[6]], 'outside'],
        })
        await stage.sh('iptables -S FORWARD; iptables-save >/dev/null')
        await detach(first)
      }),
  ],
}

const BAD: Readonly<Record<string, Config>> = {
  'there is no prevResult': { prevResult: undefined },
  'the ingress policy is unknown': { ingressPolicy: 'closed' },
  'a policy needs a bridge and there is none': { ingressPolicy: 'same-bridge' },
}

const badInput: Case = {
  title: 'firewall refuses what is wrong',
  async play(stage) {
    const pod = await stage.addPod()
    const type = stage.node.contestant.typeOf('firewall')
    const result = { cniVersion: '1.0.0', interfaces: [], ips: [{ address: '10.1.0.2/24' }] }
    for (const [what, fields] of Object.entries(BAD)) {
      const config = chainedConfig(stage, { type, fields }, result)
      for (const command of ['ADD', 'CHECK'])
        await stage.call(command, pod, config, { type, as: `${command} when ${what}` })
      await stage.del(pod, { ...config, ingressPolicy: '' }, { type, as: `DEL when ${what}` })
    }
    await stage.settle() // upstream leaves its chains
  },
}

export const firewallCases: readonly Case[] = [
  ...Object.entries(stories).map(([title, play]) => ({ title, play })),
  ...Object.entries(oursOnly).map(([title, [why, play]]) => ({ title, oursOnly: why, play })),
  badInput,
]
