// A node whose daemon shows its page, and pods on it: for tests of the page, and for its pictures in the documents.

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { inParallel } from '../robustness/form.ts'
import { type Contestant, podwire } from './contestant.ts'
import { shimmed, TestDaemon } from './daemon.ts'
import { type Namespace, TestNode } from './node.ts'
import type { Config } from './plugin.ts'
import { mustRun, run } from './process.ts'

export interface PodNames {
  readonly namespace: string
  readonly name: string
}

interface HostPort {
  readonly hostPort: number
  readonly containerPort: number
  readonly protocol: 'tcp' | 'udp'
}

/** The node's daemon is begun when there is a way out of the node. */
function withoutItsOwn({ hasDaemon: _, ...contestant }: Contestant): Contestant {
  return contestant
}

/** Calls, as on a node that starts. */
const AT_ONCE = 8

interface Attaching {
  readonly hostPorts?: readonly HostPort[]
  readonly environment?: Readonly<Record<string, string>>
}

interface Called extends Pick<Attaching, 'environment'> {
  readonly names?: PodNames
  readonly config: Config
}

export class PageScene {
  readonly node: TestNode
  readonly daemon: TestDaemon
  readonly pods = new Map<string, Namespace>()
  readonly #config: Config

  private constructor(node: TestNode, daemon: TestDaemon, subnets: readonly string[]) {
    this.node = node
    this.daemon = daemon
    this.#config = {
      cniVersion: '1.0.0',
      name: 'pods',
      type: podwire.bridge,
      bridge: 'cni0',
      isDefaultGateway: true,
      ipMasq: true,
      ipam: { type: podwire.hostLocal, dataDir: node.dataDir, ranges: subnets.map((subnet) => [{ subnet }]) },
    }
  }

  /** On a node with a way out, eth0. @param subnets  of which each pod gets an address */
  static async open(subnets: readonly string[]): Promise<PageScene> {
    const node = await TestNode.create(withoutItsOwn(shimmed()))
    await node.addOutside()
    await node.must('ip', 'route', 'add', 'default', 'via', '192.0.2.2')
    const daemon = await TestDaemon.start(node, { more: ['--ui', '127.0.0.1:0'] })
    return new PageScene(node, daemon, subnets)
  }

  /** With the key. */
  get link(): string {
    return readFileSync(join(this.node.stateDir, 'page.url'), 'utf8').trim()
  }

  /** Pods' namespaces, by one process. */
  async addNamespaces(labels: readonly string[]): Promise<void> {
    const names = labels.map((label) => `${this.node.name}-${label}`)
    const stdin = names.map((name) => `netns add ${name}\n`).join('')
    const { status, stderr } = await run(['ip', '-batch', '-'], { stdin })
    if (status !== 0) throw new Error(`ip -batch: ${stderr}`)
    for (const [i, label] of labels.entries()) {
      const name = names[i] ?? ''
      this.pods.set(label, { label, name, path: `/var/run/netns/${name}` })
    }
  }

  /** @param names  of the pod; its container has the label of the namespace for an id */
  async attach(
    label: string,
    names: PodNames,
    { hostPorts = [], environment = {} }: Attaching = {},
  ): Promise<void> {
    if (!this.pods.has(label)) await this.addNamespaces([label])
    const prevResult = await this.#call('ADD', label, { names, environment, config: this.#config })
    if (hostPorts.length === 0) return
    const config = {
      cniVersion: '1.0.0',
      name: 'pods',
      type: 'cni-portmap',
      runtimeConfig: { portMappings: hostPorts },
      prevResult: JSON.parse(prevResult),
    }
    await this.#call('ADD', label, { names, environment, config })
  }

  /** Some at a time, as a node that starts. */
  async attachMany(pods: ReadonlyMap<string, PodNames>): Promise<void> {
    await this.addNamespaces([...pods.keys()])
    await inParallel([...pods], AT_ONCE, ([label, names]) => this.attach(label, names))
  }

  async detach(label: string): Promise<void> {
    await this.#call('DEL', label, { config: this.#config })
  }

  async close(): Promise<void> {
    await this.daemon.end('SIGTERM')
    const names = [...this.pods.values()].map(({ name }) => `netns del ${name}\n`)
    await run(['ip', '-batch', '-'], { stdin: names.join('') })
    await this.node.remove()
  }

  async #call(
    command: string,
    label: string,
    { names, config, environment: more = {} }: Called,
  ): Promise<string> {
    const pod = this.pods.get(label)
    if (pod === undefined) throw new Error(`no pod "${label}"`)
    const args = names && `IgnoreUnknown=1;K8S_POD_NAMESPACE=${names.namespace};K8S_POD_NAME=${names.name}`
    const environment = {
      CNI_COMMAND: command,
      CNI_CONTAINERID: label,
      CNI_NETNS: pod.path,
      CNI_IFNAME: 'eth0',
      CNI_ARGS: args ?? '',
      CNI_PATH: this.node.contestant.directory,
      PODWIRE_STATE_DIR: this.node.stateDir,
      PODWIRE_SOCKET: this.node.socketPath,
      ...more,
    }
    const program = join(this.node.contestant.directory, String(config['type']))
    // `ip netns exec` would copy the table of mounts, which has a row for each of hundreds of pods.
    const exit = await run(['nsenter', `--net=${this.node.path}`, program], {
      environment,
      stdin: JSON.stringify(config),
    })
    if (exit.status !== 0) throw new Error(`${command} of ${label}: ${exit.stdout}${exit.stderr}`)
    return exit.stdout
  }
}

/** `ip -j`, on the node or inside a pod. */
export async function ipJson(
  name: string,
  ...args: readonly string[]
): Promise<readonly Record<string, unknown>[]> {
  return JSON.parse((await mustRun('ip', '-n', name, '-j', ...args)).trim() || '[]')
}
