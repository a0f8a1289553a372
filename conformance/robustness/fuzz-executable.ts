// Cases of the fuzzer played with the executables, each in a process, on nodes with a pod that must not notice.

import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { podwire } from '../harness/contestant.ts'
import { withMounts } from '../harness/mounts.ts'
import { type Namespace, TestNode } from '../harness/node.ts'
import { callPlugin } from '../harness/plugin.ts'
import type { Exit } from '../harness/process.ts'
import { readWorld } from '../harness/world.ts'
import { inParallel } from './form.ts'
import { judgeAnswer } from './fuzz-judge.ts'
import { type FuzzCase, generate } from './fuzz-mutate.ts'
import type { Random } from './random.ts'

/** @returns what is wrong; empty when nothing is */
export async function playOnNodes(
  random: Random,
  { count, jobs }: { count: number; jobs: number },
): Promise<string[]> {
  const shares = Array.from({ length: jobs }, () => Math.ceil(count / jobs))
  return (await inParallel(shares, jobs, (share) => playOnNode(random, share))).flat()
}

async function playOnNode(random: Random, count: number): Promise<string[]> {
  const node = await TestNode.create(podwire)
  try {
    const resident = await node.addPod('resident')
    const { dataDir, contestant } = node
    const ipam = { type: contestant.hostLocal, dataDir, ranges: [[{ subnet: '10.9.0.0/29' }]] }
    const config = {
      cniVersion: '1.1.0',
      name: 'net',
      type: contestant.bridge,
      isGateway: true,
      ipMasq: true,
      ipam,
    }
    const { status, stdout } = await callPlugin(node, {
      type: contestant.bridge,
      command: 'ADD',
      pod: resident,
      config,
    })
    if (status !== 0) throw new Error(stdout)
    const faults: string[] = []
    const pod = await node.addPod('victim')
    for (let nth = 0; nth < count && faults.length === 0; nth++)
      faults.push(...(await playCase(node, pod, random)))
    return faults
  } finally {
    await node.remove()
  }
}

async function playCase(node: TestNode, pod: Namespace, random: Random): Promise<string[]> {
  const fuzz = generate(random, { pod: pod.path, node: node.path, dataDir: node.dataDir })
  const { CNI_COMMAND: command } = fuzz.environment
  // What the resident has may be taken from it by a DEL in its name, or by a GC that does not list it.
  if (fuzz.environment['CNI_CONTAINERID'] === 'resident' || command === 'GC') return []
  const stdin = bytesOf(fuzz, random)
  const before = await look(node)
  const exit = await execute(node, fuzz, stdin)
  const faults = judgeAnswer(command, { ...exit, exitStatus: exit.status })
  const undone = exit.status === 0 && command === 'ADD'
  if (undone) {
    const { status, stdout } = await execute(
      node,
      { ...fuzz, environment: { ...fuzz.environment, CNI_COMMAND: 'DEL' } },
      stdin,
    )
    if (status !== 0) faults.push(`DEL of what ADD made: ${stdout}`)
  }
  const after = await look(node)
  const kept = (line: string) => !undone || PER_POD.test(line)
  faults.push(...after.filter((line) => !before.includes(line) && kept(line)).map((line) => `left: ${line}`))
  faults.push(...before.filter((line) => !after.includes(line) && kept(line)).map((line) => `lost: ${line}`))
  return faults.map((fault) => `${reproduce(fuzz)}\n${fault}\n${exit.stdout}`)
}

const PER_POD = /^(?:lease |attachment |link \S+ kind veth|port |nft .*elements)/

/** Sometimes no text at all: bytes that are no UTF-8. */
function bytesOf({ stdin }: FuzzCase, random: Random): Buffer {
  const bytes = Buffer.from(stdin)
  if (random.chance(0.2))
    for (let nth = random.below(4); nth >= 0; nth--) bytes[random.below(bytes.length)] = random.below(256)
  return bytes
}

/** With all of the file system read-only but the node's own directory: who knows where a config points. */
function execute(node: TestNode, { plugin, environment }: FuzzCase, stdin: Buffer): Promise<Exit> {
  const file = join(node.directory, 'stdin')
  writeFileSync(file, stdin)
  const mounts = `mount --bind ${node.directory} ${node.directory}; mount -o remount,bind,ro /; exec <${file}`
  return callPlugin(node, {
    type: plugin,
    command: '',
    environment: { ...ABSENT, ...environment },
    wrapper: withMounts(mounts),
  })
}

const ABSENT = Object.fromEntries(
  ['COMMAND', 'CONTAINERID', 'NETNS', 'IFNAME', 'ARGS', 'PATH'].map((name) => [`CNI_${name}`, undefined]),
)

async function look(node: TestNode): Promise<string[]> {
  const { contestant, dataDir, stateDir, name } = node
  return [
    ...(await readWorld(name)),
    ...contestant.listLeases(dataDir).map((line) => `lease ${line}`),
    ...contestant.listAttachments(stateDir).map((line) => `attachment ${line}`),
  ]
}

function reproduce({ plugin, environment, stdin }: FuzzCase): string {
  const variables = Object.entries(environment).map(
    ([key, value]) => `${key}=${JSON.stringify(value.slice(0, 500))}`,
  )
  return `${variables.join(' ')} ${plugin} <<<'${stdin.slice(0, 2000)}'`
}
