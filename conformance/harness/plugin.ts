// One call of a plugin, as libcni makes it: six variables and a config on stdin.

import { join } from 'node:path'
import type { Namespace, TestNode } from './node.ts'
import type { Exit } from './process.ts'

export type Config = Readonly<Record<string, unknown>>

export interface Call {
  /** File name of the plugin. */
  readonly type: string
  readonly command: string
  readonly pod?: Namespace
  readonly config?: Config | string
  readonly ifname?: string
  readonly containerId?: string
  readonly args?: string
  /** Laid over the six; undefined takes one away. */
  readonly environment?: Readonly<Record<string, string | undefined>>
  /** Where the plugin is, and where it looks for delegates; the node's contestant's. */
  readonly directories?: readonly string[]
  /** A program to run it by, such as `unshare -m …`. */
  readonly wrapper?: readonly string[]
}

/** Of pods on a bridge that is their gateway, masqueraded. */
export function bridgeConfig({ contestant, dataDir }: TestNode, ipam: Config) {
  return {
    cniVersion: '1.0.0',
    name: 'net',
    type: contestant.bridge,
    isDefaultGateway: true,
    ipMasq: true,
    ipam: { type: contestant.hostLocal, dataDir, ...ipam },
  }
}

export function callPlugin(node: TestNode, call: Call): Promise<Exit> {
  const { type, command, pod, config = '', ifname = 'eth0', args = '', wrapper = [] } = call
  const { directories = [node.contestant.directory] } = call
  const environment = {
    ...call.environment, // libcni has those of the call last
    CNI_COMMAND: command,
    CNI_CONTAINERID: call.containerId ?? pod?.label ?? '',
    CNI_NETNS: pod?.path ?? '',
    CNI_IFNAME: ifname,
    CNI_ARGS: args,
    CNI_PATH: directories.join(':'),
    PODWIRE_STATE_DIR: node.stateDir,
    ...(node.contestant.hasDaemon ? { PODWIRE_SOCKET: node.socketPath } : {}),
    ...call.environment,
  }
  const program = join(directories[0] ?? '', type)
  return node.exec([...wrapper, program], {
    environment: defined(environment),
    stdin: typeof config === 'string' ? config : JSON.stringify(config),
  })
}

function defined(environment: Readonly<Record<string, string | undefined>>): Record<string, string> {
  const entries = Object.entries(environment).filter(
    (entry): entry is [string, string] => entry[1] !== undefined,
  )
  return Object.fromEntries(entries)
}
