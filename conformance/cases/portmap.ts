// Host ports: who reaches them, who does not, and what is left of them.

import type { Case } from '../harness/case.ts'
import { NamedPeers } from '../harness/named-peers.ts'
import type { Namespace } from '../harness/node.ts'
import type { Config } from '../harness/plugin.ts'
import type { Stage } from '../harness/stage.ts'
import { addChain, type Chained, chainedConfig, delChain, prepareNode } from './bridge-chain.ts'

const NODE = { 4: '192.0.2.1', 6: '2001:db8:ffff::1' }
/** The server of the tests listens here. */
const POD_PORT = 8080
const HOST_PORT = 18080

const mapping = (fields: Config = {}): Config => ({
  hostPort: HOST_PORT,
  containerPort: POD_PORT,
  protocol: 'tcp',
  ...fields,
})

const BOTH = [mapping(), mapping({ protocol: 'udp' })]

function withPorts(portMappings: readonly Config[], fields: Config = {}): Config {
  return { capabilities: { portMappings: true }, ...fields, runtimeConfig: { portMappings } }
}

interface World {
  readonly stage: Stage
  readonly peers: NamedPeers
  readonly outside: Namespace
  readonly pods: readonly [Namespace, Namespace]
  readonly attach: (pod: Namespace, fields: Config) => Promise<Chained>
  readonly detach: (...attached: readonly Chained[]) => Promise<void>
}

/** A host beyond the node, and two namespaces for pods; each says its name and who calls. */
async function inWorld(stage: Stage, play: (world: World) => Promise<void>): Promise<void> {
  const type = stage.node.contestant.typeOf('portmap')
  const outside = await stage.addOutside()
  await stage.sh('ip addr add 192.0.2.7/24 dev eth0')
  await prepareNode(stage, { type, fields: withPorts([mapping({ hostPort: 1 })]) })
  const pods = [await stage.addPod('pod1'), await stage.addPod('pod2')] as const
  const peers = await NamedPeers.start([stage.node, outside, ...pods])
  const attach = (pod: Namespace, fields: Config) => addChain(stage, pod, { type, fields })
  const detach = async (...attached: readonly Chained[]) => {
    for (const one of attached.toReversed()) await delChain(stage, one)
  }
  await play({ stage, peers, outside, pods, attach, detach })
  await peers.end()
}

type Call = readonly [caller: Namespace, address: string, port: number, protocol?: 'udp', from?: number]

/** Asks one after the other; what is answered, and in ours must be. */
async function ask(
  { stage, peers }: World,
  calls: Readonly<Record<string, readonly [Call, expected: string]>>,
): Promise<void> {
  for (const [what, [[caller, address, port, protocol = 'tcp', from = 0], expected]] of Object.entries(
    calls,
  )) {
    const answer = await peers.call(caller, { address, port, protocol, from })
    stage.note(what, [answer])
    stage.require(answer.startsWith(expected), `${what}: ${expected}, not ${answer}`)
  }
}

const REFUSED = 'connect ECONNREFUSED'

/** The pod's IPv4 address. */
function addressOf({ result }: Chained): string {
  const { ips = [] } = (result ?? {}) as { ips?: { address: string }[] }
  return ips[0]?.address.split('/')[0] ?? ''
}

async function everybody(world: World): Promise<void> {
  const { stage, outside, pods, attach, detach } = world
  const chained = await attach(pods[0], withPorts(BOTH))
  const tcp = [HOST_PORT] as const
  const udp = [HOST_PORT, 'udp'] as const
  await ask(world, {
    'outside over TCP': [[outside, NODE[4], ...tcp], 'pod1 sees 192.0.2.2'],
    'outside over TCP and IPv6': [[outside, NODE[6], ...tcp], 'pod1 sees 2001:db8:ffff::2'],
    'outside over UDP': [[outside, NODE[4], ...udp], 'pod1 sees 192.0.2.2'],
    'outside over UDP and IPv6': [[outside, NODE[6], ...udp], 'pod1 sees 2001:db8:ffff::2'],
    'the node over TCP': [[stage.node, NODE[4], ...tcp], 'pod1 sees 192.0.2.1'],
    'the node over UDP and IPv6': [[stage.node, NODE[6], ...udp], 'pod1 sees 2001:db8:ffff::1'],
    'the node by 127.0.0.1': [[stage.node, '127.0.0.1', ...tcp], 'pod1 sees 10.1.0.1'],
    'the node by 127.0.0.1 over UDP': [[stage.node, '127.0.0.1', ...udp], 'pod1 sees 10.1.0.1'],
    'the pod itself': [[pods[0], NODE[4], ...tcp], 'pod1 sees 10.1.0.1'],
    'the pod itself over UDP and IPv6': [[pods[0], NODE[6], ...udp], 'pod1 sees fd00:1::1'],
  })
  const neighbour = await attach(pods[1], withPorts([]))
  await ask(world, {
    'a neighbour': [[pods[1], NODE[4], ...tcp], 'pod1 sees 10.1.0.1'],
    'a neighbour over UDP and IPv6': [[pods[1], NODE[6], ...udp], 'pod1 sees fd00:1::1'],
    'a neighbour by the gateway': [[pods[1], '10.1.0.1', ...tcp], 'pod1 sees 10.1.0.1'],
  })
  await detach(chained, neighbour)
}

async function byAddressAndProtocol(world: World): Promise<void> {
  const { outside, pods, attach, detach } = world
  const first = await attach(pods[0], withPorts([mapping({ hostIP: '192.0.2.7' })]))
  await ask(world, {
    'its address': [[outside, '192.0.2.7', HOST_PORT], 'pod1 sees 192.0.2.2'],
    'another address': [[outside, NODE[4], HOST_PORT], REFUSED],
    'another family': [[outside, NODE[6], HOST_PORT], REFUSED],
  })
  const others = [mapping({ hostIP: '192.0.2.1' }), mapping({ protocol: 'udp' })]
  const second = await attach(pods[1], withPorts(others))
  await ask(world, {
    'the first’s address': [[outside, '192.0.2.7', HOST_PORT], 'pod1 sees 192.0.2.2'],
    'the second’s address': [[outside, NODE[4], HOST_PORT], 'pod2 sees 192.0.2.2'],
    'the second’s protocol': [[outside, '192.0.2.7', HOST_PORT, 'udp'], 'pod2 sees 192.0.2.2'],
  })
  await detach(first, second)
}

async function masqAll(world: World): Promise<void> {
  const { outside, pods, attach, detach } = world
  // In capitals, as go-cni sends them.
  const goCni = { HostPort: HOST_PORT, ContainerPort: POD_PORT, Protocol: 'tcp', HostIP: '' }
  const chained = await attach(pods[0], withPorts([goCni], { masqAll: true }))
  await ask(world, {
    outside: [[outside, NODE[4], HOST_PORT], 'pod1 sees 10.1.0.1'],
    'outside over IPv6': [[outside, NODE[6], HOST_PORT], 'pod1 sees fd00:1::1'],
  })
  await detach(chained)
}

async function passingThrough(world: World): Promise<void> {
  const { stage, pods, attach, detach } = world
  const first = await attach(pods[0], withPorts([mapping({ hostPort: POD_PORT })]))
  const second = await attach(pods[1], withPorts([]))
  await ask(world, {
    'a pod calls outside': [[pods[1], '192.0.2.2', POD_PORT], 'outside sees 192.0.2.1'],
    'the node calls outside': [[stage.node, '192.0.2.2', POD_PORT], 'outside sees 192.0.2.1'],
    'the node calls another pod': [[stage.node, addressOf(second), POD_PORT], 'pod2 sees 10.1.0.1'],
  })
  await detach(first, second)
}

async function translatedByOthers(world: World): Promise<void> {
  const { stage, outside, pods, attach, detach } = world
  const second = await attach(pods[1], withPorts([]))
  const to = `-j DNAT --to-destination ${addressOf(second)}:${POD_PORT}`
  const rule = `PREROUTING -p tcp -d 192.0.2.1 --dport ${HOST_PORT} ${to}`
  await stage.sh(`iptables -t nat -A ${rule}`)
  const first = await attach(pods[0], withPorts([mapping()]))
  await ask(world, { 'somebody’s rule was first': [[outside, NODE[4], HOST_PORT], 'pod2 sees 192.0.2.2'] })
  await stage.sh(`iptables -t nat -D ${rule}`)
  await ask(world, { 'it is gone': [[outside, NODE[4], HOST_PORT], 'pod1 sees 192.0.2.2'] })
  await detach(first, second)
  await stage.sh('nft delete table ip nat 2>/dev/null || true')
}

async function sendingOn(world: World): Promise<void> {
  const { outside, pods, attach, detach } = world
  const call: Call = [outside, NODE[4], HOST_PORT, 'udp', 40_000]
  await ask(world, { 'nobody has the port': [call, 'no answer'] })
  const ports = withPorts([mapping({ protocol: 'udp' })])
  const first = await attach(pods[0], ports)
  await ask(world, { 'the first has it': [call, 'pod1 sees 192.0.2.2'] })
  await detach(first)
  const second = await attach(pods[1], ports)
  await ask(world, { 'the second has it': [call, 'pod2 sees 192.0.2.2'] })
  await detach(second)
}

async function delWithNothing(world: World): Promise<void> {
  const { stage, outside, pods, attach, detach } = world
  const type = stage.node.contestant.typeOf('portmap')
  const chained = await attach(pods[0], withPorts(BOTH))
  const bare = { cniVersion: '1.0.0', name: 'net', type }
  await stage.del(pods[0], bare, { type, environment: { CNI_NETNS: '' } })
  await ask(world, { 'nobody has it': [[outside, NODE[4], HOST_PORT], REFUSED] })
  await detach(chained)
}

async function twoNetworks(world: World): Promise<void> {
  const { stage, outside, pods, attach, detach } = world
  const type = stage.node.contestant.typeOf('portmap')
  const chained = await attach(pods[0], withPorts([mapping()]))
  const main = {
    name: 'other',
    ipam: stage.ipam({ subnet: '10.1.1.0/24', dataDir: `${stage.node.dataDir}2` }),
  }
  const fields = { name: 'other', ...withPorts([mapping({ hostPort: 18081 })]) }
  const more = { bridge: 'cni1', isDefaultGateway: false, ipMasq: false, ...main }
  const other = await addChain(stage, pods[0], { type, fields }, { main: more, ifname: 'net1' })
  await stage.del(pods[0], other.config, { type, ifname: 'net1' })
  await stage.del(pods[0], other.main, { ifname: 'net1', as: 'bridge DEL net1' })
  await ask(world, {
    'the port of the other network': [[outside, NODE[4], HOST_PORT], 'pod1 sees 192.0.2.2'],
    'the port that is gone': [[outside, NODE[4], 18081], REFUSED],
  })
  await detach(chained)
}

const stories: Readonly<Record<string, (stage: Stage) => Promise<void>>> = {
  'a host port is reached from everywhere': (stage) => inWorld(stage, everybody),
  'a host port is one pod’s by address and protocol, and nobody’s when it only passes through': (stage) =>
    inWorld(stage, async (world) => {
      await byAddressAndProtocol(world)
      await masqAll(world)
      await passingThrough(world)
      await translatedByOthers(world)
    }),
  'a host port goes with its pod': (stage) =>
    inWorld(stage, async (world) => {
      await sendingOn(world)
      await delWithNothing(world)
      await twoNetworks(world)
    }),
  'portmap passes a result on as it came': async (stage) => {
    const type = stage.node.contestant.typeOf('portmap')
    await prepareNode(stage, { type, fields: withPorts([mapping({ hostPort: 1 })]) })
    const pod = await stage.addPod()
    for (const cniVersion of ['0.3.1', '0.4.0', '1.0.0']) {
      const link = { type, fields: { cniVersion, ...withPorts(BOTH) } }
      const chained = await addChain(stage, pod, link, { main: { cniVersion }, as: cniVersion })
      const isSame = JSON.stringify(chained.answer.json) === JSON.stringify(chained.result)
      stage.note(`${cniVersion} is the same`, [String(isSame)])
      stage.require(isSame, `${cniVersion} is passed on`)
      if (cniVersion !== '0.3.1') await stage.call('CHECK', pod, chained.config, { type })
      await delChain(stage, chained)
    }
  },
}

async function refusedWhenTaken(world: World): Promise<void> {
  const { stage, outside, pods, attach, detach } = world
  const first = await attach(pods[0], withPorts([mapping()]))
  const second = await attach(pods[1], withPorts([mapping({ containerPort: 9 })]))
  stage.require(second.answer.status === 1, 'the second is refused')
  await ask(world, { 'the first has it still': [[outside, NODE[4], HOST_PORT], 'pod1 sees 192.0.2.2'] })
  await detach(first, second)
}

/** Without the guard route_localnet opens it to the pods of the bridge (plugins#729). */
async function loopbackStaysClosed(world: World): Promise<void> {
  const { stage, pods, attach, detach } = world
  const forTheNode = [mapping({ hostPort: 18081, hostIP: '127.0.0.1' })]
  const chained = await attach(pods[0], withPorts([mapping(), ...forTheNode]))
  const neighbour = await attach(pods[1], withPorts([]))
  for (const pod of [pods[0], pods[1]])
    await stage.sh(
      `echo 1 >/proc/sys/net/ipv4/conf/eth0/route_localnet
       ip address del 127.0.0.1/8 dev lo; ip route add 127.0.0.1 via 10.1.0.1`,
      pod,
    )
  await ask(world, {
    'the node itself': [[stage.node, '127.0.0.1', POD_PORT], 'node sees 127.0.0.1'],
    'the pod': [[pods[0], '127.0.0.1', POD_PORT], 'no answer'],
    'the pod over UDP': [[pods[0], '127.0.0.1', POD_PORT, 'udp'], 'no answer'],
    'the node by its port': [[stage.node, '127.0.0.1', HOST_PORT], 'pod1 sees 10.1.0.1'],
    'the node by a port of 127.0.0.1': [[stage.node, '127.0.0.1', 18081], 'pod1 sees 10.1.0.1'],
    'a neighbour by a port of 127.0.0.1': [[pods[1], '127.0.0.1', 18081], 'no answer'],
  })
  await stage.sh(`nft -f - <<'END'
    table ip other {
      chain prerouting { type nat hook prerouting priority -100; tcp dport 18082 dnat to 127.0.0.1:${POD_PORT}; }
      chain untracked { type filter hook prerouting priority -300; ip daddr 127.0.0.1 udp dport ${POD_PORT} notrack; }
    }
END`)
  await ask(world, {
    'the pod, when nobody follows connections': [[pods[0], '127.0.0.1', POD_PORT, 'udp'], 'no answer'],
    'the pod, where somebody else translates': [[pods[0], NODE[4], 18082], `node sees ${addressOf(chained)}`],
  })
  await stage.sh('nft delete table ip other')
  await detach(chained, neighbour)
}

async function flushed(world: World): Promise<void> {
  const { stage, outside, pods, attach, detach } = world
  const { directory } = stage.node.contestant
  const type = stage.node.contestant.typeOf('portmap')
  const first = await attach(pods[0], withPorts([mapping()]))
  await stage.sh('nft flush ruleset')
  const { status } = await stage.call('CHECK', pods[0], first.config, { type })
  stage.require(status === 1, 'CHECK says so')
  await ask(world, { 'it is lost': [[outside, NODE[4], HOST_PORT], REFUSED] })
  const second = await attach(pods[1], withPorts([mapping({ protocol: 'udp' })]))
  await ask(world, {
    'another pod’s ADD has brought it back': [[outside, NODE[4], HOST_PORT], 'pod1 sees 192.0.2.2'],
    'beside its own': [[outside, NODE[4], HOST_PORT, 'udp'], 'pod2 sees 192.0.2.2'],
  })
  await stage.sh('nft delete table inet podwire')
  await stage.sh(`PODWIRE_STATE_DIR=${stage.node.stateDir} ${directory}/podwire repair`)
  await ask(world, { 'podwire repair, too': [[outside, NODE[4], HOST_PORT], 'pod1 sees 192.0.2.2'] })
  await stage.call(
    'GC',
    undefined,
    { cniVersion: '1.1.0', name: 'net', type, 'cni.dev/valid-attachments': [] },
    { type },
  )
  await ask(world, { 'GC has taken it': [[outside, NODE[4], HOST_PORT], REFUSED] })
  await detach(first, second)
}

const oursOnly: Readonly<Record<string, [why: string, play: (stage: Stage) => Promise<void>]>> = {
  'a host port has one pod, which keeps it when rules are flushed': [
    'upstream lets two pods believe that they have it, opens 127.0.0.1 to pods, has no GC and a chain for each pod',
    (stage) =>
      inWorld(stage, async (world) => {
        await refusedWhenTaken(world)
        await flushed(world)
        await loopbackStaysClosed(world)
      }),
  ],
}

const BAD: Readonly<Record<string, Config>> = {
  'there is no prevResult': { prevResult: undefined, ...withPorts(BOTH) },
  'a host port is 0': withPorts([mapping({ hostPort: 0 })]),
  'a container port is negative': withPorts([mapping({ containerPort: -1 })]),
  'there are a mark and a chain for it': withPorts(BOTH, { markMasqBit: 3, externalSetMarkChain: 'X' }),
  'the bit of the mark is 32': withPorts(BOTH, { markMasqBit: 32 }),
}

const badInput: Case = {
  title: 'portmap refuses what is wrong',
  async play(stage) {
    const pod = await stage.addPod()
    const type = stage.node.contestant.typeOf('portmap')
    const result = { cniVersion: '1.0.0', interfaces: [], ips: [{ address: '10.1.0.2/24' }] }
    for (const [what, fields] of Object.entries(BAD)) {
      const config = chainedConfig(stage, { type, fields }, result)
      for (const command of ['ADD', 'CHECK', 'DEL'])
        await stage.call(command, pod, config, { type, as: `${command} when ${what}` })
    }
  },
}

export const portmapCases: readonly Case[] = [
  ...Object.entries(stories).map(([title, play]) => ({ title, play })),
  ...Object.entries(oursOnly).map(([title, [why, play]]) => ({ title, oursOnly: why, play })),
  badInput,
]
