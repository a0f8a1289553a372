// Ours beside upstream's: a foreign IPAM plugin under our bridge, and ours under upstream's bridge.

import type { Case } from '../harness/case.ts'
import { podwire, upstream } from '../harness/contestant.ts'
import type { Config } from '../harness/plugin.ts'
import type { Stage } from '../harness/stage.ts'

const OURS_ONLY = 'both are in it already'
const RANGES = { ranges: [[{ subnet: '10.1.0.0/24' }], [{ subnet: 'fd00:1::/64' }]] }

async function live(stage: Stage, config: Config, directories: readonly string[]): Promise<void> {
  const pod = await stage.addPod()
  const options = { type: String(config['type']), directories }
  const { json } = await stage.add(pod, config, options)
  stage.note('leases of upstream’s', upstream.listLeases(stage.node.dataDir))
  await stage.look()
  await stage.check(pod, config, json, options)
  await stage.del(pod, config, options)
  stage.note('leases of upstream’s', upstream.listLeases(stage.node.dataDir))
}

function underOurs(stage: Stage, ipam: Config): Promise<void> {
  return live(stage, stage.bridgeConfig({ isDefaultGateway: true, ipMasq: true, ipam }), [
    podwire.directory,
    upstream.directory,
  ])
}

const stories: Readonly<Record<string, (stage: Stage) => Promise<void>>> = {
  'upstream’s host-local serves our bridge': (stage) =>
    underOurs(stage, { type: 'host-local', dataDir: stage.node.dataDir, ...RANGES }),
  'upstream’s static serves our bridge': (stage) =>
    underOurs(stage, {
      type: 'static',
      addresses: [{ address: '10.1.0.77/24', gateway: '10.1.0.1' }, { address: 'fd00:1::77/64' }],
      routes: [{ dst: '10.9.0.0/16', gw: '10.1.0.9' }],
      dns: { nameservers: ['10.1.0.53'] },
    }),
  'our host-local serves upstream’s bridge': (stage) =>
    live(
      stage,
      { ...stage.bridgeConfig({ isDefaultGateway: true, ipam: stage.ipam(RANGES) }), type: 'bridge' },
      [upstream.directory, podwire.directory],
    ),
  'our bridge takes down what upstream’s bridge attached': async (stage) => {
    const pod = await stage.addPod()
    const config = stage.bridgeConfig({ isDefaultGateway: true, ipam: stage.ipam(RANGES) })
    const directories = [upstream.directory, podwire.directory]
    const { json } = await stage.add(
      pod,
      { ...config, type: 'bridge' },
      { type: 'bridge', directories, quiet: true },
    )
    await stage.check(pod, config, json)
    await stage.del(pod, config)
  },
}

export const foreignCases: readonly Case[] = Object.entries(stories).map(([title, play]) => ({
  title,
  play,
  oursOnly: OURS_ONLY,
}))
