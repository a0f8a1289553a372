// VLANs of the pod's port. Where the kernel's bridges have none, that they are refused.

import type { Case } from '../harness/case.ts'
import { NO_VLANS, VLANS } from '../harness/kernel-feature.ts'
import type { Config } from '../harness/plugin.ts'
import type { Stage } from '../harness/stage.ts'
import { DUAL } from './attach.ts'

const L2 = { cniVersion: '0.4.0', ipam: undefined }
const NOT_IN_1_1_1 = 'upstream 1.1.1 does not know the field'
const TRUNK = [{ id: 101 }, { minID: 200, maxID: 202 }]

interface Visit {
  readonly fields: Config
  /** Of the pod's port, in order. */
  readonly vlans: string
  readonly oursOnly?: string
}

const visits: Readonly<Record<string, Visit>> = {
  'vlan is that of the port': { fields: { ...L2, vlan: 100 }, vlans: '100 pvid untagged' },
  'vlanTrunk keeps its tags at the port, and leaves the default VLAN': {
    fields: { ...L2, vlanTrunk: TRUNK },
    vlans: '1 pvid untagged, 101, 200, 201, 202',
    oursOnly: NOT_IN_1_1_1,
  },
  'vlan and vlanTrunk go together': {
    fields: { ...L2, vlan: 100, vlanTrunk: TRUNK },
    vlans: '100 pvid untagged, 101, 200, 201, 202',
    oursOnly: NOT_IN_1_1_1,
  },
  'preserveDefaultVlan keeps the port in VLAN 1, too': {
    fields: { ...L2, vlan: 100, preserveDefaultVlan: true },
    vlans: '1 untagged, 100 pvid untagged',
    oursOnly: NOT_IN_1_1_1,
  },
}

async function visit(stage: Stage, { fields, vlans }: Visit): Promise<void> {
  const pod = await stage.addPod()
  const config = stage.bridgeConfig(fields)
  const { json } = await stage.add(pod, config)
  const { interfaces = [] } = (json ?? {}) as { interfaces?: { name: string }[] }
  const found = await vlansOf(stage, interfaces[1]?.name ?? '')
  stage.note('VLANs of the port', [found])
  stage.require(found === vlans, `the port is in VLANs ${found}, not ${vlans}`)
  await stage.check(pod, config, json)
  await stage.del(pod, config)
}

async function vlansOf(stage: Stage, port: string): Promise<string> {
  const [{ vlans = [] } = {}] = JSON.parse(await stage.sh(`bridge -j vlan show dev ${port}`)) as {
    vlans?: { vlan: number; flags?: string[] }[]
  }[]
  return vlans
    .map(({ vlan, flags = [] }) => [vlan, ...flags.map((flag) => flag.toLowerCase()).sort()].join(' '))
    .join(', ')
}

/** A pod of the VLAN reaches its gateway, which is on an interface of its own; a pod outside the VLAN does not. */
async function reachGateway(stage: Stage, fields: Config): Promise<void> {
  const [pod, stranger] = [await stage.addPod('pod1'), await stage.addPod('pod2')]
  const config = stage.bridgeConfig({ isDefaultGateway: true, ipam: stage.ipam(DUAL), ...fields })
  const { json } = await stage.add(pod, config)
  await stage.add(stranger, { ...config, vlan: 200, isDefaultGateway: false })
  const answers: string[] = []
  for (const from of [pod, stranger]) {
    const { status } = await stage.node.exec(['ping', '-c', '1', '-W', '1', '10.1.0.1'], { inside: from })
    answers.push(`${from.label} ${status === 0}`)
  }
  stage.note('the gateway answers', answers)
  stage.require(answers.join() === 'pod1 true,pod2 false', `the gateway answers: ${answers}`)
  await stage.check(pod, config, json)
  for (const one of [pod, stranger]) await stage.del(one, config)
}

async function refuse(stage: Stage, fields: Config): Promise<void> {
  const pod = await stage.addPod()
  const config = stage.bridgeConfig({ isDefaultGateway: true, ipam: stage.ipam(DUAL), ...fields })
  const { json, status } = await stage.add(pod, config)
  const { msg = '' } = (json ?? {}) as { msg?: string }
  stage.require(status === 1 && /CONFIG_BRIDGE_VLAN_FILTERING/.test(msg), `the kernel is named: ${msg}`)
  await stage.look()
  await stage.del(pod, config)
}

export const vlanCases: readonly Case[] = [
  ...Object.entries(visits).map(
    ([title, { oursOnly, ...asked }]): Case => ({
      title,
      play: (stage) => visit(stage, asked),
      needs: VLANS,
      ...(oursOnly === undefined ? {} : { oursOnly }),
    }),
  ),
  {
    title: 'the gateway of a vlan serves the pods of that VLAN alone',
    play: (stage) => reachGateway(stage, { vlan: 100 }),
    needs: VLANS,
  },
  {
    title: 'the gateway of a vlan serves pods that stay in the default VLAN, too',
    play: (stage) => reachGateway(stage, { vlan: 100, preserveDefaultVlan: true }),
    needs: VLANS,
    oursOnly: NOT_IN_1_1_1,
  },
  {
    title: 'vlan is refused when the kernel has no VLANs, and nothing is left',
    play: (stage) => refuse(stage, { vlan: 100 }),
    needs: NO_VLANS,
  },
  {
    title: 'vlanTrunk is refused when the kernel has no VLANs, and nothing is left',
    play: (stage) => refuse(stage, { vlanTrunk: TRUNK }),
    needs: NO_VLANS,
    oursOnly: NOT_IN_1_1_1,
  },
]
