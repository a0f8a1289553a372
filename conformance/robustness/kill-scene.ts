// A node on which a plugin is killed in the middle of a call, and what must hold once the runtime has cleaned up.

import { readdirSync, readFileSync, statSync } from 'node:fs'
import { podwire } from '../harness/contestant.ts'
import { type Namespace, TestNode } from '../harness/node.ts'
import { type Config, callPlugin } from '../harness/plugin.ts'
import { readWorld } from '../harness/world.ts'
import { type Point, type TracedCall, traceCall } from './killed-call.ts'

export interface Scene {
  readonly verb: 'ADD' | 'DEL'
  /** `first`: no other pod ever was on this node. `busy`: one lives there, and must not notice. */
  readonly node: 'first' | 'busy'
  readonly recovery: Recovery
}

export type Recovery = 'DEL' | 'DEL without the namespace' | 'GC'

export interface Play {
  /** What was to be killed. */
  readonly call: TracedCall
  /** What must not be; empty when all is well. */
  readonly faults: readonly string[]
}

/** @param at  where the verb is killed; undefined to let it run */
export async function play(scene: Scene, at?: Point): Promise<Play> {
  const node = await TestNode.create(podwire)
  try {
    return await new KillScene(node).play(scene, at)
  } finally {
    await node.remove()
  }
}

class KillScene {
  readonly #node: TestNode
  readonly #faults: string[] = []

  constructor(node: TestNode) {
    this.#node = node
  }

  async play({ verb, node, recovery }: Scene, at: Point | undefined): Promise<Play> {
    const resident = node === 'busy' ? await this.#node.addPod('resident') : undefined
    const victim = await this.#node.addPod('victim')
    const next = await this.#node.addPod('next')
    if (resident !== undefined) await this.#mustCall('ADD', resident)
    const before = await this.#look()
    if (verb === 'DEL') await this.#mustCall('ADD', victim)
    const call = await traceCall(this.#node, { ...this.#call(verb), pod: victim }, at)
    await this.#recover(recovery, victim, resident)
    await this.#requireClean(before, { after: recovery, strict: resident !== undefined })
    await this.#mustCall('ADD', next)
    await this.#mustCall('DEL', next)
    await this.#requireClean(before, { after: 'ADD and DEL of another', strict: resident !== undefined })
    return { call, faults: this.#faults }
  }

  async #recover(recovery: Recovery, victim: Namespace, resident: Namespace | undefined): Promise<void> {
    switch (recovery) {
      case 'DEL':
        return this.#mustCall('DEL', victim)
      case 'DEL without the namespace':
        await this.#node.removePod(victim)
        return this.#mustCall('DEL', { ...victim, path: '' })
      case 'GC':
        return this.#mustCall('GC', undefined, {
          'cni.dev/valid-attachments':
            resident === undefined ? [] : [{ containerID: resident.label, ifname: 'eth0' }],
        })
    }
  }

  async #mustCall(command: string, pod: Namespace | undefined, fields: Config = {}): Promise<void> {
    const call = this.#call(command, fields)
    const { status, stdout, stderr } = await callPlugin(
      this.#node,
      pod === undefined ? call : { ...call, pod },
    )
    if (status === 0 && stderr === '') return
    this.#faults.push(`${command} ${pod?.label ?? ''}: exit status ${status}: ${stdout}${stderr}`)
  }

  #call(command: string, fields: Config = {}) {
    const { dataDir, contestant } = this.#node
    const ranges = [[{ subnet: '10.1.0.0/24' }], [{ subnet: '2001:db8:1::/64' }]]
    const config = {
      cniVersion: '1.1.0',
      name: 'net',
      type: contestant.bridge,
      isDefaultGateway: true,
      ipMasq: true,
      ipam: { type: contestant.hostLocal, dataDir, ranges },
      ...fields,
    }
    return { type: contestant.bridge, command, config, ifname: command === 'GC' ? '' : 'eth0' }
  }

  /**
   * On a busy node everything must be as it was. On one that had no pod before, the bridge and what all pods share
   * stay, as after any DEL.
   */
  async #requireClean(
    before: readonly string[],
    { after, strict }: { after: string; strict: boolean },
  ): Promise<void> {
    const now = await this.#look()
    const more = now.filter((line) => !before.includes(line) && (strict || PER_POD.test(line)))
    const less = before.filter((line) => !now.includes(line) && (strict || !line.startsWith('sysctl ')))
    this.#faults.push(...more.map((line) => `left after ${after}: ${line}`))
    this.#faults.push(...less.map((line) => `lost after ${after}: ${line}`))
  }

  async #look(): Promise<string[]> {
    const { contestant, dataDir, stateDir, name } = this.#node
    return [
      ...(await readWorld(name)),
      ...contestant.listLeases(dataDir).map((line) => `lease ${line}`),
      ...contestant.listAttachments(stateDir).map((line) => `attachment ${line}`),
      ...strayFiles(dataDir),
      ...strayFiles(stateDir),
    ]
  }
}

const PER_POD = /^(?:lease |attachment |file |link veth|port |sysctl .*\bveth|nft .*elements)/

/** What keeps upstream's plugin out of a network that is ours: there is one of each network, and it stays. */
function isSign(path: string): boolean {
  return (
    statSync(path).isFile() && readFileSync(path, 'utf8').startsWith('The leases of this network are kept by')
  )
}

/** The stores, and the sign that keeps upstream's plugin out of the network "net". */
const KNOWN_FILES = /^(?:(?:podwire-leases|attachments)\.db(?:\.lock|-wal|-shm)?|calls\.lock|net)$/

function strayFiles(directory: string): string[] {
  try {
    return readdirSync(directory)
      .filter((name) => !KNOWN_FILES.test(name) && !isSign(`${directory}/${name}`))
      .map((name) => `file ${directory}/${name}`)
  } catch {
    return []
  }
}
