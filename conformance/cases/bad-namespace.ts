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

export const badNamespaceCases: readonly Case[] = Object.entries(stories).map(([title, play]) => ({
  title: `bridge refuses a namespace path that is ${title}`,
  play,
}))
