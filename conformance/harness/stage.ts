// Where a case plays: a node with one contestant's plugins, and the record of what happened there, in lines.

import { isDeepStrictEqual } from 'node:util'
import type { Contestant } from './contestant.ts'
import { flatten, type Json } from './flatten.ts'
import { Names } from './names.ts'
import { type Namespace, TestNode } from './node.ts'
import { type Call, type Config, callPlugin } from './plugin.ts'
import type { Exit } from './process.ts'
import { readWorld } from './world.ts'

/** One thing that was seen, under a name by which the two contestants' are compared. */
export interface Observation {
  readonly aspect: string
  readonly lines: readonly string[]
}

export interface Options extends Omit<Partial<Call>, 'command' | 'pod' | 'config'> {
  /** The aspect's name instead of command, pod and interface. */
  readonly as?: string
  /** Records that it went well, not what it said then. */
  readonly quiet?: boolean
}

export interface Answer extends Exit {
  /** What stdout holds; undefined when it is empty or no JSON. */
  readonly json: Json | undefined
}

export class Stage {
  readonly node: TestNode
  readonly observations: Observation[] = []
  /** What has to hold for ours whatever the expected text says. */
  readonly faults: string[] = []
  readonly #names = new Names()
  readonly #pods: Namespace[] = []
  readonly #initial = new Map<string, string[]>()
  readonly #current = new Map<string, string[]>()

  private constructor(node: TestNode) {
    this.node = node
    this.#names.set(node.directory, 'dir')
    this.#names.set(node.contestant.directory, 'bin')
    this.#names.setNamespace(node)
  }

  static async open(contestant: Contestant): Promise<Stage> {
    const stage = new Stage(await TestNode.create(contestant))
    await stage.#enter(stage.node)
    return stage
  }

  async addPod(label = 'pod1'): Promise<Namespace> {
    const pod = await this.node.addPod(label)
    await this.sh('ip link set lo up', pod) // as runtimes do, by the loopback plugin
    this.#names.setNamespace(pod)
    this.#pods.push(pod)
    await this.#enter(pod)
    return pod
  }

  async removePod(pod: Namespace): Promise<void> {
    await this.node.removePod(pod)
    this.#pods.splice(this.#pods.indexOf(pod), 1)
  }

  async addOutside(): Promise<Namespace> {
    const outside = await this.node.addOutside()
    this.#names.setNamespace(outside)
    await this.#enter(this.node)
    return outside
  }

  /** What is on the node and in the pods now counts as found there. */
  async settle(): Promise<void> {
    for (const namespace of [this.node, ...this.#pods]) await this.#enter(namespace)
  }

  /** From now on it is this that `look` compares with. */
  async watch(): Promise<void> {
    for (const namespace of [this.node, ...this.#pods]) await this.#read(namespace)
  }

  /** A bridge's config; `ipam: undefined` for none. */
  bridgeConfig(fields: Config = {}): Config {
    const { bridge } = this.node.contestant
    return defined({ cniVersion: '1.0.0', name: 'net', type: bridge, ipam: this.ipam(), ...fields })
  }

  /** An `ipam` section of the contestant's own plugin. */
  ipam(fields: Config = { ranges: [[{ subnet: '10.1.0.0/24' }]] }): Config {
    return { type: this.node.contestant.hostLocal, dataDir: this.node.dataDir, ...fields }
  }

  /** Calls a plugin (the bridge, unless options say otherwise) and records its answer. */
  async call(
    command: string,
    pod: Namespace | undefined,
    config: Config | string,
    options: Options = {},
  ): Promise<Answer> {
    const { type = this.node.contestant.bridge, ifname, containerId, as, quiet } = options
    const call: Call = { ...options, type, command, config, ...(pod === undefined ? {} : { pod }) }
    const exit = await callPlugin(this.node, call)
    const json = this.#judge(command, exit)
    const subject = [command, pod?.label, ifname, containerId && `as ${containerId}`]
      .filter(Boolean)
      .join(' ')
    const said = json === undefined || (quiet && exit.status === 0) ? [] : flatten(json)
    this.note(as ?? subject, [...describeExit(exit), ...said])
    return { ...exit, json }
  }

  add(pod: Namespace, config: Config, options?: Options): Promise<Answer> {
    return this.call('ADD', pod, config, options)
  }

  /** @param prevResult  what ADD answered */
  check(pod: Namespace, config: Config, prevResult: Json | undefined, options?: Options): Promise<Answer> {
    return this.call('CHECK', pod, { ...config, prevResult }, options)
  }

  del(pod: Namespace, config: Config, options?: Options): Promise<Answer> {
    return this.call('DEL', pod, config, options)
  }

  /** For what is to be so whatever the expected text says; upstream's is not held to it. */
  require(truth: boolean, text: string): void {
    if (!truth) this.faults.push(text)
  }

  /** Runs a shell command on the node, or in a pod. @throws when it fails */
  async sh(script: string, inside: Namespace = this.node): Promise<string> {
    const { status, stdout, stderr } = await this.node.exec(['sh', '-c', script], { inside })
    if (status !== 0) throw new Error(`${script}: exit status ${status}: ${stderr}`)
    return stdout.trim()
  }

  note(aspect: string, lines: readonly string[]): void {
    this.observations.push({ aspect, lines: sortSysctls(lines.map((line) => this.#names.apply(line))) })
  }

  /** Records what has changed on the node, in the pods and in the stores since it was looked at. */
  async look(): Promise<void> {
    for (const namespace of [this.node, ...this.#pods]) {
      const before = this.#current.get(namespace.label) ?? []
      await this.#read(namespace)
      const changes = difference(before, this.#current.get(namespace.label) ?? [])
      if (changes.length > 0) this.note(namespace.label, changes)
    }
  }

  /** Ends the play: what is there that was not there at the beginning. */
  async close(): Promise<void> {
    try {
      await this.watch()
      const left = [this.node, ...this.#pods].flatMap(({ label }) =>
        difference(this.#initial.get(label) ?? [], this.#current.get(label) ?? []).map(
          (line) => `${label}: ${line}`,
        ),
      )
      this.note('left at the end', left)
      this.faults.push(...left.filter((line) => LEAKS.test(line)))
    } finally {
      await this.node.remove()
    }
  }

  /** Of what is printed, what no case should have to say. */
  #judge(command: string, { status, stdout, stderr }: Exit): Json | undefined {
    const json = stdout === '' ? undefined : parse(stdout)
    const fault = (text: string) => this.faults.push(`${command}: ${text}: ${stdout}${stderr}`)
    if (status !== 0 && status !== 1) fault(`exit status ${status}`)
    if (stdout !== '' && json === undefined) fault('stdout is not one JSON text')
    if (status === 1 && !isErrorObject(json)) fault('no error object on stdout')
    if (status === 0 && ['DEL', 'CHECK'].includes(command) && stdout !== '') fault('stdout is not empty')
    if (/^\s+at .+:\d+/m.test(stdout + stderr)) fault('a stack trace')
    return json
  }

  async #enter(namespace: Namespace): Promise<void> {
    await this.#read(namespace)
    this.#initial.set(namespace.label, this.#current.get(namespace.label) ?? [])
  }

  async #read({ name, label }: Namespace): Promise<void> {
    const world = await readWorld(name)
    this.#current.set(label, label === 'node' ? [...world, ...this.#listStores()] : world)
  }

  #listStores(): string[] {
    const { contestant, dataDir, stateDir } = this.node
    return [
      ...contestant.listLeases(dataDir).map((line) => `lease ${line}`),
      ...contestant.listAttachments(stateDir).map((line) => `attachment ${line}`),
    ]
  }
}

/** Whatever a case does, ours leaves none of these on the node. */
const LEAKS = /^node: \+ (?:lease |attachment |link veth|port |nft .*(?:elements|pod\d))/

function describeExit({ status, stderr }: Exit): string[] {
  const said = stderr.split('\n').filter((line) => line !== '')
  return [status === 0 ? 'ok' : `exit status ${status}`, ...said.map((line) => `stderr: ${line}`)]
}

function isErrorObject(json: Json | undefined): boolean {
  const { code, msg } = (json ?? {}) as { code?: unknown; msg?: unknown }
  return typeof code === 'number' && code > 0 && typeof msg === 'string' && msg !== ''
}

function parse(text: string): Json | undefined {
  try {
    return JSON.parse(text) as Json
  } catch {
    return undefined
  }
}

function difference(before: readonly string[], after: readonly string[]): string[] {
  if (isDeepStrictEqual(before, after)) return []
  return [
    ...before.filter((line) => !after.includes(line)).map((line) => `- ${line}`),
    ...after.filter((line) => !before.includes(line)).map((line) => `+ ${line}`),
  ]
}

/** They come in the order of the interfaces' names, which differs from run to run. */
function sortSysctls(lines: readonly string[]): string[] {
  const isSysctl = (line: string) => line.includes(' sysctl ')
  const sorted = lines.filter(isSysctl).sort()
  return [...lines.filter((line) => !isSysctl(line)), ...sorted]
}

function defined(fields: Config): Config {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined))
}
