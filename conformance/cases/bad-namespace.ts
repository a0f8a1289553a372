// Namespace paths that lead somewhere else: the node's own, a FIFO that nobody writes to.

import { join } from 'node:path'
import type { Case } from '../harness/case.ts'
import type { Stage } from '../harness/stage.ts'

const FIELDS = { isDefaultGateway: true, ipMasq: true }

async function refused(stage: Stage, path: string): Promise<void> {
  const pod = await stage.addPod()
  const config = stage.bridgeConfig(FIELDS)
  const environment = { CNI_NETNS: path }
  const { json } = await stage.add(pod, config, { environment })
  stage.require((json as { code?: number } | undefined)?.code === 8, 'code 8')
  await stage.look()
  await stage.del(pod, config, { environment, as: 'DEL with the same path' })
  await stage.del(pod, config)
}

const stories: Readonly<Record<string, (stage: Stage) => Promise<void>>> = {
  'the node’s own by name': (stage) => refused(stage, stage.node.path),
  'the plugin’s own': (stage) => refused(stage, '/proc/self/ns/net'),
  'a FIFO': async (stage) => {
    const path = join(stage.node.directory, 'fifo')
    await stage.sh(`mkfifo ${path}`)
    await refused(stage, path)
  },
}

/** What is on the node under the name of the pod's interface, and is of the kind that the plugin makes or moves. */
const LOOKALIKES: Readonly<Record<string, string>> = {
  bridge: 'ip link add eth0 type veth peer name far0',
  ptp: 'ip link add eth0 type veth peer name far0',
  macvlan: 'ip link add up0 type veth peer name far0 && ip link add eth0 link up0 type macvlan mode bridge',
  'host-device': 'ip link add eth0 type veth peer name far0 && ip link set eth0 alias enp1s0',
}

/** Which no record has, so that DEL goes by what it finds. */
async function delOfTheNode(stage: Stage, plugin: string): Promise<void> {
  await stage.sh(`${LOOKALIKES[plugin]} && ip link set eth0 up`)
  await stage.settle()
  const type = stage.node.contestant.typeOf(plugin)
  const { status } = await stage.del(stage.node, { ...stage.bridgeConfig(), type }, { type })
  stage.require(status === 0, 'exit status 0')
}

export const badNamespaceCases: readonly Case[] = [
  ...Object.entries(stories).map(([title, play]) => ({
    title: `bridge refuses a namespace path that is ${title}`,
    play,
  })),
  ...Object.keys(LOOKALIKES).map((plugin) => ({
    title: `DEL of ${plugin} leaves the node its links when the namespace path is the node’s own`,
    play: (stage: Stage) => delOfTheNode(stage, plugin),
    oursOnly: 'upstream deletes the node’s link, or moves it',
  })),
]
