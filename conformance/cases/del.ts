// DEL under all circumstances in which a runtime calls it: what ADD made is gone, and that is no error.

import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Case } from '../harness/case.ts'
import type { Config } from '../harness/plugin.ts'
import type { Options, Stage } from '../harness/stage.ts'
import { type Attached, attach } from './attach.ts'

function afterwards(circumstance: (attached: Attached) => Promise<unknown>) {
  return async (stage: Stage) => {
    const attached = await attach(stage)
    await circumstance({ ...attached, config: attached.withResult })
  }
}

function edited(change: Config, options: Options = {}) {
  return afterwards(({ stage, pod, config }) => stage.del(pod, { ...config, ...change }, options))
}

const circumstances: Readonly<Record<string, (stage: Stage) => Promise<void>>> = {
  'everything is as ADD left it': edited({}),
  'the namespace is gone': afterwards(async ({ stage, pod, config }) => {
    await stage.removePod(pod)
    await stage.del(pod, config)
  }),
  'CNI_NETNS is empty': edited({}, { environment: { CNI_NETNS: '' } }),
  'CNI_NETNS is not set, and the namespace is gone': afterwards(async ({ stage, pod, config }) => {
    await stage.removePod(pod)
    await stage.del(pod, config, { environment: { CNI_NETNS: undefined } })
  }),
  'CNI_NETNS is a file': afterwards(async ({ stage, pod, config }) => {
    const path = join(stage.node.directory, 'file')
    writeFileSync(path, '')
    await stage.del(pod, config, { environment: { CNI_NETNS: path } })
  }),
  'it comes a second time': afterwards(async ({ stage, pod, config }) => {
    await stage.del(pod, config)
    await stage.del(pod, config)
  }),
  'the attachment was never added': async (stage) => {
    const pod = await stage.addPod()
    await stage.del(pod, stage.bridgeConfig({ isDefaultGateway: true, ipMasq: true }))
  },
  'the attachment was never added and the namespace is not there': async (stage) => {
    const pod = await stage.addPod()
    await stage.removePod(pod)
    await stage.del(pod, stage.bridgeConfig({ isDefaultGateway: true, ipMasq: true }))
  },
  'there is no prevResult': edited({ prevResult: undefined }),
  'prevResult cannot be read': edited({ prevResult: { ips: 'many' } }),
  'the config names another bridge': edited({ bridge: 'cni1' }),
  'the config has another subnet': afterwards(({ stage, pod, config }) =>
    stage.del(pod, { ...config, ipam: stage.ipam({ subnet: '10.77.0.0/24' }) }),
  ),
  'the config has no ipMasq any more': edited({ ipMasq: false }),
  'the config has no ipam section any more': edited({ ipam: undefined }),
  'the config has an ipam section that cannot be read': afterwards(({ stage, pod, config }) =>
    stage.del(pod, { ...config, ipam: stage.ipam({ subnet: 'nonsense', ranges: 7 }) }),
  ),
  'the config has an IPAM plugin that is not there': edited({ ipam: { type: 'ipam-none' } }),
  'the config has a field that cannot be read': edited({ mtu: 'large' }),
  'the interface is gone': afterwards(async ({ stage, pod, config }) => {
    await stage.sh('ip link del eth0', pod)
    await stage.del(pod, config)
  }),
  'the bridge is gone': afterwards(async ({ stage, pod, config }) => {
    await stage.sh('ip link del cni0')
    await stage.del(pod, config)
  }),
  'the firewall was flushed': afterwards(async ({ stage, pod, config }) => {
    await stage.sh('nft flush ruleset')
    await stage.del(pod, config)
  }),
  'the address was released': afterwards(async ({ stage, pod, config }) => {
    const type = stage.node.contestant.hostLocal
    await stage.del(pod, config, { type, as: 'DEL of the IPAM plugin' })
    await stage.del(pod, config)
  }),
  'the stores are gone': afterwards(async ({ stage, pod, config }) => {
    await stage.sh(`rm -rf ${stage.node.dataDir} ${stage.node.stateDir}`)
    await stage.del(pod, config)
  }),
  'another pod stays': afterwards(async ({ stage, pod, config }) => {
    const other = await stage.addPod('pod2')
    const { json } = await stage.add(other, config, { quiet: true })
    await stage.del(pod, config)
    await stage.check(other, config, json)
    await stage.del(other, config)
  }),
}

export const delCases: readonly Case[] = Object.entries(circumstances).map(([title, play]) => ({
  title: `DEL takes everything back when ${title}`,
  play,
}))
