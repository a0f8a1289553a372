// Pods, and programs in them that talk, for the benchmarks of packets: datapath.ts and hostport.ts.

import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import type { Contestant } from '../conformance/harness/contestant.ts'
import { type Namespace, TestNode } from '../conformance/harness/node.ts'
import { bridgeConfig, type Config, callPlugin } from '../conformance/harness/plugin.ts'
import { mustRun } from '../conformance/harness/process.ts'

export interface PortMapping {
  readonly hostPort: number
  readonly containerPort: number
}

const children: ChildProcess[] = []

/** @returns round-trip.c as a program in the directory */
export async function compileRoundTrip(directory: string): Promise<string> {
  const program = join(directory, 'round-trip')
  await mustRun('gcc', '-O2', '-o', program, join(import.meta.dirname, 'round-trip.c'))
  return program
}

export async function createNode(contestant: Contestant): Promise<TestNode> {
  if (!existsSync(join(contestant.directory, contestant.bridge)))
    throw new Error(`${contestant.name}: no plugins in ${contestant.directory}`)
  return TestNode.create(contestant)
}

/** On a bridge with masquerading. */
export async function attach(
  node: TestNode,
  pod: Namespace,
  ports: readonly PortMapping[] = [],
): Promise<void> {
  const ranges = [[{ subnet: '10.1.0.0/16' }], [{ subnet: 'fd00:1::/64' }]]
  const config = { ...bridgeConfig(node, { ranges }), hairpinMode: true }
  const prevResult = await add(node, pod, config)
  if (ports.length === 0) return
  const portMappings = ports.map((port) => ({ ...port, protocol: 'tcp' }))
  const { cniVersion, name } = config
  const type = node.contestant.typeOf('portmap')
  await add(node, pod, { cniVersion, name, type, runtimeConfig: { portMappings }, prevResult })
}

/** @returns the plugin's answer */
async function add(
  node: TestNode,
  pod: Namespace,
  config: Config & { readonly type: string },
): Promise<unknown> {
  const { type } = config
  const { status, stdout, stderr } = await callPlugin(node, { type, command: 'ADD', pod, config })
  if (status !== 0) throw new Error(`${type}: ${stdout}${stderr}`)
  return JSON.parse(stdout)
}

/** Until endServers. It is there when something listens on its port, which is its last argument. */
export async function serve({ name }: Namespace, command: readonly string[]): Promise<void> {
  const child = spawn('ip', ['netns', 'exec', name, ...onCpu(0), ...command], { stdio: 'ignore' })
  children.push(child)
  const port = command.at(-1)
  const isThere = async () =>
    (await mustRun('ip', 'netns', 'exec', name, 'ss', '-Hltn', `sport = :${port}`)) !== ''
  for (let attempt = 0; !(await isThere()); attempt++) {
    if (child.exitCode !== null) throw new Error(`"${command.join(' ')}" ended: is ${command[0]} installed?`)
    if (attempt === 200) throw new Error(`"${command.join(' ')}" does not listen`)
  }
}

export function endServers(): void {
  for (const child of children.splice(0)) child.kill()
}

/** @returns what it prints */
export async function ask({ name }: Namespace, cpu: 0 | 1, ...command: readonly string[]): Promise<string> {
  return mustRun('ip', 'netns', 'exec', name, ...onCpu(cpu), ...command)
}

/**
 * Where a program runs makes more of a difference than what is compared here. Servers and those who ask for round trips
 * share a CPU, streams have one for each end. They come before what else the machine does.
 */
function onCpu(number: 0 | 1): string[] {
  const cpu = Math.min(number, availableParallelism() - 1)
  return ['nice', '-n', '-20', 'taskset', '--cpu-list', String(cpu)]
}
