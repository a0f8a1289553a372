// Whose plugins are measured, each on a node of its own: upstream's, ours as a process, and ours with the daemon.

import { execFileSync, spawn } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { createInterface } from 'node:readline'
import { podwire, upstream } from '../conformance/harness/contestant.ts'
import { rehearsed, shimmed } from '../conformance/harness/daemon.ts'
import { install } from '../conformance/harness/installed.ts'
import { type Namespace, TestNode } from '../conformance/harness/node.ts'

export interface Workload {
  readonly masquerade: boolean
  readonly dualStack: boolean
}

/** Of one call. */
export interface Timing {
  /** When its process started and ended, in ms of a clock that all processes share. */
  readonly beganMs: number
  readonly endedMs: number
  readonly ms: number
  /** Processor time of the process, in ms; without the daemon's. */
  readonly cpuMs: number
  readonly hasFailed: boolean
}

export type Verb = 'ADD' | 'DEL'
/** VERSION asks the daemon, and the daemon nobody. */
export type Command = Verb | 'VERSION'

/** Calls under way, where many are made at once. */
export const AT_ONCE = 16

export interface Contender {
  readonly label: string
  readonly node: TestNode
  readonly pods: readonly Namespace[]
  readonly call: (verb: Verb, pod: Namespace) => Promise<Timing>
  /** So many always under way. */
  readonly callAll: (verb: Verb, atOnce: number) => Promise<Timing[]>
  close(): Promise<void>
}

/** @param newer  another version of upstream's plugins */
export async function openContenders(
  workload: Workload,
  { pods, newer }: { pods: number; newer: { label: string; directory: string } | undefined },
): Promise<Contender[]> {
  // Upstream's do, now and then: `link eth0 still has tentative addresses`, of many with IPv6 at once.
  const mayFail = true
  const list = [
    { label: 'upstream (Debian)', contestant: upstream, mayFail },
    ...(newer === undefined
      ? []
      : [{ label: newer.label, contestant: { ...upstream, directory: newer.directory }, mayFail }]),
    { label: 'Podwire, a process', contestant: { ...podwire, directory: install() } }, // anew: in huge pages (ADR 11)
    { label: 'Podwire, daemon', contestant: shimmed() },
  ]
  const contenders: Contender[] = []
  for (const { label, contestant, ...options } of list) {
    const node = await TestNode.create(contestant)
    if (contestant.hasDaemon) await rehearsed(node)
    const namespaces: Namespace[] = []
    for (let i = 0; i < pods; i++) namespaces.push(await node.addPod(`p${i}`))
    const runner = new Runner(node, workload, options)
    contenders.push({
      label,
      node,
      pods: namespaces,
      call: (verb, pod) => runner.call(verb, pod),
      callAll: (verb, atOnce) => runner.callAll(verb, namespaces, atOnce),
      async close() {
        runner.close()
        await node.remove()
      },
    })
  }
  return contenders
}

export interface RunnerOptions {
  /** What is called; the bridge plugin. */
  readonly program?: string
  /** A failure is told, and ends nothing. */
  readonly mayFail?: boolean
}

/** bench/run-calls.c on the node: one for calls in turn, which stays, and one for each round of calls at once. */
export class Runner {
  readonly #node: TestNode
  readonly #program: string
  readonly #config: string
  readonly #log: string
  readonly #mayFail: boolean
  #inTurn: ReturnType<Runner['open']> | undefined

  constructor(node: TestNode, workload: Workload, { program, mayFail = false }: RunnerOptions = {}) {
    const { directory, bridge } = node.contestant
    this.#node = node
    this.#program = program ?? join(directory, bridge)
    this.#mayFail = mayFail
    this.#config = join(node.directory, 'bench.json')
    this.#log = join(node.directory, 'bench.log')
    writeFileSync(this.#config, configOf(node, workload))
  }

  async call(verb: Command, pod: Namespace): Promise<Timing> {
    this.#inTurn ??= this.open(1)
    this.#inTurn.stdin.write(lineOf(verb, pod))
    const { value } = await this.#inTurn.lines.next()
    return this.#timing(String(value))
  }

  async callAll(verb: Command, pods: readonly Namespace[], atOnce: number): Promise<Timing[]> {
    const { stdin, lines } = this.open(atOnce)
    stdin.end(pods.map((pod) => lineOf(verb, pod)).join(''))
    const timings: Timing[] = []
    for await (const line of { [Symbol.asyncIterator]: () => lines }) timings.push(this.#timing(line))
    return timings
  }

  close(): void {
    this.#inTurn?.stdin.end()
  }

  open(atOnce: number) {
    const { name, contestant, stateDir, socketPath } = this.#node
    const { directory } = contestant
    const env = {
      PATH: '/usr/sbin:/usr/bin:/sbin:/bin',
      CNI_IFNAME: 'eth0',
      CNI_PATH: directory,
      PODWIRE_STATE_DIR: stateDir,
      PODWIRE_SOCKET: socketPath,
    }
    const program = [buildRunner(), this.#program, this.#config, this.#log, String(atOnce)]
    const child = spawn('ip', ['netns', 'exec', name, ...program], {
      env,
      stdio: ['pipe', 'pipe', 'inherit'],
    })
    return { stdin: child.stdin, lines: createInterface(child.stdout)[Symbol.asyncIterator]() }
  }

  #timing(line: string): Timing {
    const [began = Number.NaN, ended = Number.NaN, cpu = Number.NaN, status] = line.split(' ').map(Number)
    const [beganMs, endedMs] = [began / 1000, ended / 1000]
    const hasFailed = status !== 0
    if (hasFailed && !this.#mayFail) throw new Error(readFileSync(this.#log, 'utf8').slice(-2000))
    return { beganMs, endedMs, ms: endedMs - beganMs, cpuMs: cpu / 1000, hasFailed }
  }
}

/** Milliseconds from the start of the first to the end of the last. */
export function span(timings: readonly Timing[]): number {
  const began = Math.min(...timings.map(({ beganMs }) => beganMs))
  return Math.max(...timings.map(({ endedMs }) => endedMs)) - began
}

function lineOf(verb: Command, { name, path }: Namespace): string {
  return `${verb} ${name} ${path}\n`
}

function buildRunner(): string {
  const runner = 'dist/bench/run-calls'
  mkdirSync('dist/bench', { recursive: true })
  const source = 'bench/run-calls.c'
  const isBuilt = existsSync(runner) && statSync(runner).mtimeMs > statSync(source).mtimeMs
  if (!isBuilt) execFileSync('gcc', ['-O2', '-o', runner, source])
  return resolve(runner)
}

function configOf({ contestant, dataDir }: TestNode, { masquerade, dualStack }: Workload): string {
  const ranges = [[{ subnet: '10.9.0.0/16' }], ...(dualStack ? [[{ subnet: 'fd00:9::/64' }]] : [])]
  const routes = [{ dst: '0.0.0.0/0' }, ...(dualStack ? [{ dst: '::/0' }] : [])]
  return JSON.stringify({
    cniVersion: '1.0.0',
    name: 'bench',
    type: contestant.bridge,
    isGateway: true,
    ipMasq: masquerade,
    hairpinMode: true,
    ipam: { type: contestant.hostLocal, ranges, routes, dataDir },
  })
}

/** Milliseconds of processor time that the daemon has used, all threads together (proc(5), stat: 10 ms each). */
export interface DaemonTime {
  readonly all: number
  /** Of it, in system calls. */
  readonly inKernel: number
}

export function daemonTime({ daemon }: TestNode): DaemonTime {
  if (daemon === undefined) return { all: 0, inKernel: 0 }
  const fields = readFileSync(`/proc/${daemon.pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? []
  const inKernel = Number(fields[12]) * MS_PER_TICK
  return { all: Number(fields[11]) * MS_PER_TICK + inKernel, inKernel }
}

const MS_PER_TICK = 10
