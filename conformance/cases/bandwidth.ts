// Limits of bandwidth, as the answer and `tc` tell of them. How exact they are is tested in cmd/cni-bandwidth.

import type { Case } from '../harness/case.ts'
import type { Namespace } from '../harness/node.ts'
import type { Config } from '../harness/plugin.ts'
import type { Stage } from '../harness/stage.ts'

const BOTH = { ingressRate: 8_000_000, ingressBurst: 160_000, egressRate: 16_000_000, egressBurst: 320_000 }
const INGRESS = { ingressRate: 8_000_000, ingressBurst: 160_000 }
const EGRESS = { egressRate: 16_000_000, egressBurst: 320_000 }

/** A pod whose eth0 is the other end of the node's host0. */
async function wire(stage: Stage): Promise<{ pod: Namespace; prevResult: Config }> {
  const pod = await stage.addPod()
  await stage.sh(
    `ip link add host0 address 02:00:00:00:00:10 type veth peer name eth0 address 02:00:00:00:00:11 netns ${pod.name}; ip link set host0 up`,
  )
  await stage.sh('ip link set eth0 up', pod)
  await stage.settle()
  const prevResult = {
    cniVersion: '1.0.0',
    interfaces: [
      { name: 'host0', mac: '02:00:00:00:00:10' },
      { name: 'eth0', mac: '02:00:00:00:00:11', sandbox: pod.path },
    ],
  }
  return { pod, prevResult }
}

/** Rates, bursts and where what is received goes; without what changes from run to run. */
async function noteShaping(stage: Stage): Promise<void> {
  const qdiscs = await stage.sh(
    'tc qdisc show | grep -v noqueue | sed -E "s/ refcnt [0-9]+//" | sed "s/ *$//" | sort -k5',
  )
  const filters = await stage.sh('tc filter show dev host0 ingress 2>/dev/null | grep mirred || true')
  stage.note(
    'tc',
    `${qdiscs}\n${filters.trim()}`.split('\n').filter((line) => line !== ''),
  )
}

function configOf(stage: Stage, fields: Config): Config & { readonly type: string } {
  return { cniVersion: '1.0.0', name: 'net', type: stage.node.contestant.typeOf('bandwidth'), ...fields }
}

/** ADD, a look, CHECK, DEL, DEL. */
async function live(stage: Stage, fields: Config): Promise<void> {
  const { pod, prevResult } = await wire(stage)
  const config = configOf(stage, { ...fields, prevResult })
  const { type } = config
  const { json } = await stage.add(pod, config, { type })
  await stage.look()
  await noteShaping(stage)
  await stage.check(pod, config, json, { type })
  await stage.del(pod, config, { type })
  await stage.del(pod, config, { type, as: 'DEL again' })
}

async function refused(stage: Stage, fields: Config): Promise<void> {
  const { pod, prevResult } = await wire(stage)
  const config = configOf(stage, { ...fields, prevResult })
  await stage.add(pod, config, { type: config.type })
  await noteShaping(stage)
}

const stories: Readonly<Record<string, (stage: Stage) => Promise<void>>> = {
  'bandwidth limits both directions': (stage) => live(stage, BOTH),
  'bandwidth limits what is received only': (stage) => live(stage, INGRESS),
  'bandwidth limits what is sent only': (stage) => live(stage, EGRESS),
  'bandwidth limits what the runtime says': (stage) => live(stage, { runtimeConfig: { bandwidth: BOTH } }),
  'bandwidth of the config comes before that of the runtime': (stage) =>
    live(stage, { ...INGRESS, runtimeConfig: { bandwidth: EGRESS } }),
  'bandwidth does nothing without rates': (stage) => live(stage, {}),
  'bandwidth refuses a rate without a burst': (stage) => refused(stage, { ingressRate: 8_000_000 }),
  'bandwidth refuses a burst without a rate': (stage) => refused(stage, { egressBurst: 160_000 }),
  'bandwidth refuses a burst of 4 GB': (stage) =>
    refused(stage, { ingressRate: 8_000_000, ingressBurst: 8 * (2 ** 32 - 1) }),
  'bandwidth refuses to be the first of its chain': async (stage) => {
    const config = configOf(stage, BOTH)
    await stage.add(await stage.addPod(), config, { type: config.type })
  },
  'bandwidth refuses an interface that is no veth': async (stage) => {
    const { pod, prevResult } = await wire(stage)
    await stage.sh('ip link add br1 type bridge', pod)
    await stage.settle()
    const config = configOf(stage, { ...BOTH, prevResult })
    await stage.add(pod, config, { type: config.type, ifname: 'br1' })
  },
  'bandwidth is deleted without its namespace and its config': async (stage) => {
    const { pod, prevResult } = await wire(stage)
    const config = configOf(stage, { ...BOTH, prevResult })
    await stage.add(pod, config, { type: config.type, quiet: true })
    await stage.removePod(pod)
    // The kernel takes a namespace's links away some time after it.
    await stage.sh('while ip link show host0 >/dev/null 2>&1; do sleep 0.02; done')
    const { type } = config
    await stage.del(pod, configOf(stage, {}), { type, environment: { CNI_NETNS: '' } })
  },
}

export const bandwidthCases: readonly Case[] = Object.entries(stories).map(([title, play]) => ({
  title,
  play,
}))
