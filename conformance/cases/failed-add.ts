// ADD that fails at one stage after another: the node is as it was, the bridge and other pods' things included.

import { chmodSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Case } from '../harness/case.ts'
import { withMounts } from '../harness/mounts.ts'
import type { Config } from '../harness/plugin.ts'
import type { Options, Stage } from '../harness/stage.ts'

const ALL = { isDefaultGateway: true, ipMasq: true }
const DUAL = { ranges: [[{ subnet: '10.1.0.0/24' }], [{ subnet: 'fd00:1::/64' }]] }

/** ADD fails, and DEL comes as after any failed ADD. */
async function failing(stage: Stage, fields: Config, options: Options = {}): Promise<void> {
  const pod = await stage.addPod()
  await fail(stage, pod, { ...ALL, ...fields }, options)
}

async function fail(
  stage: Stage,
  pod: Awaited<ReturnType<Stage['addPod']>>,
  fields: Config,
  options: Options = {},
) {
  const config = stage.bridgeConfig(fields)
  const { status } = await stage.add(pod, config, options)
  stage.require(status === 1, 'ADD fails')
  await stage.look()
  await stage.del(pod, config, { ...options, wrapper: [] })
}

/** @returns the directory with an executable called `ipam-fake` that runs `script` */
function fakeIpam(stage: Stage, script: string): string {
  const directory = join(stage.node.directory, 'fake')
  mkdirSync(directory)
  writeFileSync(join(directory, 'ipam-fake'), `#!/bin/sh\n${script}\n`)
  chmodSync(join(directory, 'ipam-fake'), 0o755)
  return directory
}

async function failingIpam(stage: Stage, script: string): Promise<void> {
  const { directory, contestant } = stage.node
  const calls = join(directory, 'calls')
  const fake = fakeIpam(stage, `echo "$CNI_COMMAND" >>${calls}\n${script}`)
  await failing(stage, { ipam: { type: 'ipam-fake' } }, { directories: [contestant.directory, fake] })
  stage.note('calls of the IPAM plugin', (await stage.sh(`cat ${calls}`)).split('\n'))
}

const stages: Readonly<Record<string, (stage: Stage) => Promise<void>>> = {
  'the bridge is another kind of link': async (stage) => {
    await stage.sh('ip link add cni0 type veth peer name other')
    await stage.settle()
    await failing(stage, {})
  },
  'the IPAM plugin is not there': (stage) => failing(stage, { ipam: { type: 'ipam-none' } }),
  'the IPAM plugin says no': (stage) =>
    failingIpam(
      stage,
      '[ "$CNI_COMMAND" = ADD ] || exit 0; echo \'{"code": 111, "msg": "no", "details": "never"}\'; exit 1',
    ),
  'the IPAM plugin crashes': (stage) =>
    failingIpam(stage, '[ "$CNI_COMMAND" = ADD ] || exit 0; echo "out of cheese" >&2; exit 3'),
  'the IPAM plugin prints no JSON': (stage) =>
    failingIpam(stage, '[ "$CNI_COMMAND" = ADD ] || exit 0; echo hello'),
  'the IPAM plugin gives no address': (stage) =>
    failingIpam(stage, '[ "$CNI_COMMAND" = ADD ] || exit 0; echo \'{"cniVersion": "1.0.0"}\''),
  'the IPAM plugin gives an address that is none': (stage) =>
    failingIpam(
      stage,
      '[ "$CNI_COMMAND" = ADD ] || exit 0; echo \'{"cniVersion": "1.0.0", "ips": [{"address": "10.1.0.999/24"}]}\'',
    ),
  'no address is left': async (stage) => {
    const other = await stage.addPod('pod2')
    const ipam = stage.ipam({ subnet: '10.1.0.0/30' })
    await stage.add(other, stage.bridgeConfig({ ...ALL, ipam }), { quiet: true })
    await stage.settle()
    await failing(stage, { ipam })
    await stage.del(other, stage.bridgeConfig({ ...ALL, ipam }))
  },
  'the interface exists': async (stage) => {
    const pod = await stage.addPod()
    await stage.sh('ip link add eth0 address 02:00:00:00:00:04 type bridge', pod)
    await stage.settle()
    const config = stage.bridgeConfig(ALL)
    await stage.add(pod, config)
    await stage.look()
  },
  'the interface is called lo': (stage) => failing(stage, {}, { ifname: 'lo' }),
  'the mtu is too small for the kernel': (stage) => failing(stage, { mtu: 50 }),
  'the mtu is too small for IPv6': (stage) => failing(stage, { mtu: 1000, ipam: stage.ipam(DUAL) }),
  'a route has a next hop that cannot be reached': (stage) =>
    failing(stage, { ipam: stage.ipam({ ...DUAL, routes: [{ dst: '10.9.0.0/16', gw: '203.0.113.1' }] }) }),
  'the bridge has another address': async (stage) => {
    await stage.sh('ip link add cni0 address 02:00:00:00:00:03 type bridge; ip addr add 10.1.0.7/24 dev cni0')
    await stage.settle()
    await failing(stage, {})
  },
  'the bridge has another IPv6 address that overlaps': async (stage) => {
    await stage.sh(
      'ip link add cni0 address 02:00:00:00:00:03 type bridge; ip addr add fd00:1::7/64 dev cni0 nodad',
    )
    await stage.settle()
    await failing(stage, { ipam: stage.ipam(DUAL) })
  },
  'forwarding cannot be switched on': (stage) =>
    failing(
      stage,
      { ipam: stage.ipam(DUAL) },
      { wrapper: withMounts('mount -o bind,ro /proc/sys /proc/sys') },
    ),
  'another pod is on the network and stays as it is': async (stage) => {
    const other = await stage.addPod('pod2')
    const config = stage.bridgeConfig({ ...ALL, ipam: stage.ipam(DUAL) })
    const { json } = await stage.add(other, config, { quiet: true })
    await stage.settle()
    await failing(stage, {
      ipam: stage.ipam({ ...DUAL, routes: [{ dst: '10.9.0.0/16', gw: '203.0.113.1' }] }),
    })
    await stage.check(other, config, json)
    await stage.del(other, config)
  },
}

const ours: Readonly<Record<string, (stage: Stage) => Promise<void>>> = {
  'the masquerade table is not as it must be': async (stage) => {
    await stage.sh(`nft 'table inet podwire { map masquerade_ipv4 { type ipv4_addr : mark; }; }'`)
    await stage.settle()
    await failing(stage, { ipam: stage.ipam(DUAL) })
  },
  'the attachment cannot be recorded': async (stage) => {
    writeFileSync(stage.node.stateDir, 'a file, not a directory')
    await failing(stage, {})
  },
}

export const failedAddCases: readonly Case[] = [
  ...Object.entries(stages).map(
    ([title, play]): Case => ({ title: `a failed ADD leaves nothing when ${title}`, play }),
  ),
  ...Object.entries(ours).map(
    ([title, play]): Case => ({
      title: `a failed ADD leaves nothing when ${title}`,
      play,
      oursOnly: 'it is about our own table and store',
    }),
  ),
]
