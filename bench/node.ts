// A throw-away node whose plugins are started without a program in between: what starts them is in its namespace.

import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { podwire } from '../conformance/harness/contestant.ts'
import { type Namespace, TestNode } from '../conformance/harness/node.ts'
import { Netns } from '../lib/netns/netns.ts'

export type Config = Readonly<Record<string, unknown>>

export interface BenchNode {
  readonly node: TestNode
  /** Waits for its end. @throws when it fails */
  readonly call: (verb: string, config: Config | undefined, pod?: Namespace) => void
  readonly close: () => Promise<void>
}

export async function openNode(): Promise<BenchNode> {
  const plugin = `${podwire.directory}/${podwire.bridge}`
  if (!existsSync(plugin)) throw new Error(`"${plugin}" is not there: npm run build`)
  const node = await TestNode.create(podwire)
  const netns = Netns.open(node.path)
  return {
    node,
    call(verb, config, pod) {
      const env = {
        CNI_COMMAND: verb,
        CNI_CONTAINERID: pod?.label ?? '',
        CNI_NETNS: pod?.path ?? '',
        CNI_IFNAME: 'eth0',
        CNI_PATH: podwire.directory,
        PODWIRE_STATE_DIR: node.stateDir,
      }
      const input = config === undefined ? '' : JSON.stringify(config)
      const { status, stdout, stderr } = netns.enter(() =>
        spawnSync(plugin, { env, input, encoding: 'utf8' }),
      )
      if (status !== 0) throw new Error(`${verb}: exit status ${status}: ${stdout}${stderr}`)
    },
    async close() {
      netns.close()
      await node.remove()
    },
  }
}
