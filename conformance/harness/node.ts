// A throw-away node: a network namespace in which the plugins run, a directory for their stores, namespaces for its
// pods, and a host beyond it. The machine's own network and stores are never touched.

import { randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Contestant } from './contestant.ts'
import { type DaemonOptions, TestDaemon } from './daemon.ts'
import { closeShell, shellIn } from './namespace-shell.ts'
import { type Exit, mustRun, type RunOptions, run } from './process.ts'

export interface Namespace {
  /** In texts: `node`, `pod1`. */
  readonly label: string
  /** For `ip -n`. */
  readonly name: string
  /** For CNI_NETNS. */
  readonly path: string
}

export class TestNode implements Namespace {
  readonly label = 'node'
  readonly name: string
  readonly path: string
  readonly contestant: Contestant
  /** Everything that the plugins write is in here. */
  readonly directory: string
  readonly dataDir: string
  readonly stateDir: string
  /** Of the daemon, where the contestant has one. */
  readonly socketPath: string
  #daemon: TestDaemon | undefined
  readonly #namespaces: string[] = []

  private constructor(contestant: Contestant) {
    this.contestant = contestant
    this.directory = mkdtempSync(join(tmpdir(), 'pw-conformance-'))
    this.dataDir = join(this.directory, 'networks')
    this.stateDir = join(this.directory, 'state')
    this.socketPath = join(this.directory, 'podwire.sock')
    this.name = `pwc-${randomBytes(4).toString('hex')}`
    this.path = pathOf(this.name)
  }

  static async create(contestant: Contestant): Promise<TestNode> {
    const node = new TestNode(contestant)
    await node.#addNamespace(node.name)
    // A new namespace takes this over from the machine, on which someone may have switched it on.
    await node.must('sh', '-c', 'ip link set lo up; echo 0 >/proc/sys/net/ipv4/ip_forward')
    if (contestant.hasDaemon) node.#daemon = await TestDaemon.start(node)
    return node
  }

  get daemon(): TestDaemon | undefined {
    return this.#daemon
  }

  /** Without a rehearsal unless told otherwise: tests have many daemons. */
  async restartDaemon(options?: DaemonOptions): Promise<TestDaemon> {
    this.#daemon = await TestDaemon.start(this, options)
    return this.#daemon
  }

  async addPod(label: string): Promise<Namespace> {
    const name = `${this.name}-${label}`
    await this.#addNamespace(name)
    return { label, name, path: pathOf(name) }
  }

  /** As when the container is gone before DEL comes. */
  async removePod({ name }: Namespace): Promise<void> {
    await closeShell(name)
    await mustRun('ip', 'netns', 'del', name)
    this.#namespaces.splice(this.#namespaces.indexOf(name), 1)
  }

  /** A host on the node's eth0 that knows no way to the pods: 192.0.2.2 and 2001:db8:ffff::2, the node has .1 and ::1. */
  async addOutside(): Promise<Namespace> {
    const outside = await this.addPod('outside')
    const commands = [
      `-n ${this.name} link add eth0 address 02:00:00:00:00:01 type veth peer name eth0 address 02:00:00:00:00:02 netns ${outside.name}`,
      ...[this.name, outside.name].flatMap((name, at) => [
        `-n ${name} link set lo up`,
        `-n ${name} link set eth0 up`,
        `-n ${name} addr add 192.0.2.${at + 1}/24 dev eth0`,
        `-n ${name} addr add 2001:db8:ffff::${at + 1}/64 dev eth0 nodad`,
      ]),
    ]
    for (const command of commands) await mustRun('ip', ...command.split(' '))
    return outside
  }

  /** Runs a program on the node, or in a pod. Nothing of the environment is inherited but PATH. */
  async exec(
    command: readonly string[],
    options: RunOptions & { readonly inside?: Namespace } = {},
  ): Promise<Exit> {
    const { name } = options.inside ?? this
    return run([...(await shellIn(name).enter()), ...command], options)
  }

  /** @throws when it fails */
  async must(...command: readonly string[]): Promise<string> {
    return mustRun('ip', 'netns', 'exec', this.name, ...command)
  }

  async remove(): Promise<void> {
    await this.#daemon?.end('SIGKILL')
    const names = this.#namespaces.splice(0)
    for (const name of names) await closeShell(name)
    await mustRun('sh', '-c', names.map((name) => `ip netns del ${name}`).join(' && '))
    rmSync(this.directory, { recursive: true })
  }

  async #addNamespace(name: string): Promise<void> {
    await mustRun('ip', 'netns', 'add', name)
    this.#namespaces.push(name)
  }
}

function pathOf(name: string): string {
  return `/var/run/netns/${name}`
}
