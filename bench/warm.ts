// Calls in a process that is warm, as the daemon is: a benchmark starts itself again inside a node, and makes its calls
// there without a process for each.

import { execFileSync } from 'node:child_process'
import { findPlugin } from '../cmd/podwire/registry.ts'
import { askForThreads } from '../cmd/podwire/threads.ts'
import { podwire } from '../conformance/harness/contestant.ts'
import { TestNode } from '../conformance/harness/node.ts'
import { invoke } from '../lib/cni/skel.ts'
import { openPorts } from '../lib/host/open-ports.ts'
import type { Ports } from '../lib/host/ports.ts'

/** What the first process tells the one that it starts inside the node. */
const INSIDE = 'BENCH_INSIDE'

export interface Inside {
  readonly pods: readonly Pod[]
  readonly stateDir: string
  readonly config: object
}

export interface Pod {
  readonly name: string
  readonly path: string
}

/** @returns undefined in the first process */
export function findInside(): Inside | undefined {
  const inside = process.env[INSIDE]
  return inside === undefined ? undefined : (JSON.parse(inside) as Inside)
}

export interface NodeOptions {
  readonly pods: number
  readonly ipMasq: boolean
  readonly subnets: readonly string[]
}

/** Starts the program anew, with its own arguments, inside a node with so many pods. */
export async function startInside(
  program: string,
  { pods: count, ipMasq, subnets }: NodeOptions,
): Promise<void> {
  const node = await TestNode.create(podwire)
  try {
    const pods: Pod[] = []
    for (let i = 0; i < count; i++) pods.push(await node.addPod(`p${i}`))
    const ranges = subnets.map((subnet) => [{ subnet }])
    const config = {
      cniVersion: '1.0.0',
      name: 'bench',
      type: podwire.bridge,
      isDefaultGateway: true,
      ipMasq,
      ipam: { type: podwire.hostLocal, ranges, dataDir: node.dataDir },
    }
    const env = { ...process.env, [INSIDE]: JSON.stringify({ pods, config, stateDir: node.stateDir }) }
    const command = ['netns', 'exec', node.name, process.execPath, program, ...process.argv.slice(2)]
    execFileSync('ip', command, { env, stdio: 'inherit' })
  } finally {
    await node.remove()
  }
}

/** As the daemon opens them. */
export function openWarmPorts({ stateDir }: Inside): Ports {
  const background = { deletionThreads: askForThreads(process.env), onConnectionsKept: () => undefined }
  const environment = { PODWIRE_STATE_DIR: stateDir }
  return openPorts({ environment, executable: process.execPath, findPlugin, background })
}

/** @throws with the plugin's answer when it is an error */
export async function call(
  verb: string,
  pod: Pod,
  { ports, config }: { ports: Ports; config: object },
): Promise<void> {
  const plugin = findPlugin(podwire.bridge)
  if (plugin === undefined) throw new Error('no plugin')
  const environment = {
    CNI_COMMAND: verb,
    CNI_CONTAINERID: pod.name,
    CNI_NETNS: pod.path,
    CNI_IFNAME: 'eth0',
    CNI_PATH: '/none',
  }
  const invocation = { environment, readStdin: () => JSON.stringify(config) }
  const { exitStatus, stdout } = await invoke(plugin, ports, invocation, { version: 'bench' })
  if (exitStatus !== 0) throw new Error(stdout)
}
