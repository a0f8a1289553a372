// What it is all for: packets between pods, to the gateway, and to the world beyond the node.

import type { Case } from '../harness/case.ts'
import type { Namespace } from '../harness/node.ts'
import type { Stage } from '../harness/stage.ts'
import { askPeer, ping, serve } from '../harness/traffic.ts'
import { DUAL } from './attach.ts'

const OUTSIDE = { 4: '192.0.2.2', 6: '2001:db8:ffff::2' }

/** Two pods and a host beyond the node, each of which says under which address it is called. */
async function world(stage: Stage, ipMasq: boolean) {
  const outside = await stage.addOutside()
  const pods = [await stage.addPod('pod1'), await stage.addPod('pod2')] as const
  const config = stage.bridgeConfig({ isDefaultGateway: true, ipMasq, ipam: stage.ipam(DUAL) })
  for (const pod of pods) await stage.add(pod, config, { quiet: true })
  const servers = [await serve(outside), await serve(pods[1])]
  const close = async () => {
    for (const end of servers) await end()
    for (const pod of pods) await stage.del(pod, config)
  }
  return { outside, pods, config, close }
}

async function ask(stage: Stage, from: Namespace, peers: Readonly<Record<string, string>>): Promise<void> {
  for (const [peer, address] of Object.entries(peers)) {
    stage.note(`${from.label} calls ${peer}`, [await askPeer(stage, from, address)])
  }
}

const stories: Readonly<Record<string, (stage: Stage) => Promise<void>>> = {
  'a masqueraded pod is the node to the world and itself to other pods': async (stage) => {
    const { pods, close } = await world(stage, true)
    const [pod] = pods
    await ask(stage, pod, { outside: OUTSIDE[4], 'outside over IPv6': OUTSIDE[6] })
    await ask(stage, pod, { pod2: '10.1.0.3', 'pod2 over IPv6': 'fd00:1::3' })
    await close()
  },
  'a pod that is not masqueraded is itself to the world': async (stage) => {
    const { outside, pods, close } = await world(stage, false)
    await stage.sh(
      'ip route add 10.1.0.0/24 via 192.0.2.1; ip route add fd00:1::/64 via 2001:db8:ffff::1',
      outside,
    )
    await ask(stage, pods[0], { outside: OUTSIDE[4], 'outside over IPv6': OUTSIDE[6] })
    await close()
  },
  'DEL of one pod leaves the way of the other': async (stage) => {
    const { pods, config, close } = await world(stage, true)
    await stage.del(pods[0], config)
    await ask(stage, pods[1], { outside: OUTSIDE[4], 'outside over IPv6': OUTSIDE[6] })
    await close()
  },
  'the first packet after ADD arrives': async (stage) => {
    const pod = await stage.addPod()
    const config = stage.bridgeConfig({ isDefaultGateway: true, ipam: stage.ipam(DUAL) })
    await stage.add(pod, config, { quiet: true })
    const [v6, v4] = [await ping(stage, pod, 'fd00:1::1'), await ping(stage, pod, '10.1.0.1')]
    stage.require(v6 && v4, 'the gateway answers the first packet')
    stage.note('gateway answers at once', [`IPv6 ${v6}`, `IPv4 ${v4}`])
    await stage.del(pod, config)
  },
  'the first packet from the gateway arrives in the pod': async (stage) => {
    const pod = await stage.addPod()
    const config = stage.bridgeConfig({ isGateway: true, ipam: stage.ipam({ subnet: 'fd00:1::/64' }) })
    await stage.add(pod, config, { quiet: true })
    const answers = await ping(stage, stage.node, 'fd00:1::2')
    stage.require(answers, 'the pod answers the first packet')
    stage.note('pod answers at once', [`IPv6 ${answers}`])
    await stage.del(pod, config)
  },
}

export const trafficCases: readonly Case[] = Object.entries(stories).map(([title, play]) => ({ title, play }))
