// A node for a container runtime: a throw-away network namespace, and a mount and a PID namespace, so that its daemons
// see no file of the machine's that they could change, and end with it, whatever they have started.
//
// /run and /var/lib are empty but for the node's stores, /etc is a copy, and /opt/cni/bin has our plugins under both their names, and upstream's
// for what is not ours.

import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import {
  copyFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import type { Test } from 'tap'
import { podwire, upstream } from '../harness/contestant.ts'
import { TestNode } from '../harness/node.ts'
import { type Exit, LEASH, mustRun, type RunOptions, run } from '../harness/process.ts'
import { removeCgroups } from './cgroups.ts'
import { makeImage } from './image.ts'

export class ContainerHost {
  /** With the node's namespace and its directory. */
  readonly node: TestNode
  /** A docker archive; see image.ts. */
  readonly image: string
  /** Parent of the cgroups of all containers: a name, which is the same in every hierarchy. */
  readonly cgroup: string
  readonly #holder: ChildProcess
  readonly #pid: number

  private constructor(node: TestNode, holder: ChildProcess, pid: number) {
    this.node = node
    this.#holder = holder
    this.#pid = pid
    this.cgroup = node.name
    this.image = makeImage(node.directory)
  }

  /** Is gone with all that runs on it when the test ends. */
  static async create(t: Pick<Test, 'teardown'>): Promise<ContainerHost> {
    const node = await TestNode.create(podwire)
    const { directory } = node
    await fillDirectories(node)
    const script = `
      mount -t tmpfs none /run; mkdir -p /run/netns /run/lock /run/podwire
      mount -t tmpfs none /var/lib; mkdir -p /var/lib/cni/networks
      mount --bind ${node.stateDir} /run/podwire
      mount --bind ${node.dataDir} /var/lib/cni/networks
      mount --bind ${directory}/etc /etc
      mount --bind ${directory}/opt /opt
      echo ready
      exec sleep infinity`
    const [leash, ...words] = LEASH
    const holder = spawn(
      leash,
      [
        ...words,
        'nsenter',
        `--net=${node.path}`,
        'unshare',
        '--mount',
        '--pid',
        '--fork',
        '--kill-child',
        '--mount-proc',
        'sh',
        '-ec',
        script,
      ],
      { stdio: ['ignore', 'pipe', 'ignore'], env: { PATH: process.env['PATH'] ?? '' } },
    )
    const ready = await Promise.race([once(holder.stdout, 'data'), once(holder, 'close')])
    if (!String(ready[0]).startsWith('ready')) throw new Error('no namespaces for a container runtime')
    const pid = Number(readFileSync(`/proc/${holder.pid}/task/${holder.pid}/children`, 'utf8'))
    const host = new ContainerHost(node, holder, pid)
    t.teardown(() => host.remove())
    return host
  }

  writeNetwork(file: string, network: object): void {
    writeFileSync(join(this.node.directory, 'etc/cni/net.d', file), JSON.stringify(network))
  }

  run(command: readonly string[], options: RunOptions = {}): Promise<Exit> {
    return run(this.#enter(command), options)
  }

  /** @returns what it printed. @throws when it fails */
  must(...command: readonly string[]): Promise<string> {
    return mustRun(...this.#enter(command))
  }

  /** A program that stays; what it says goes to a file of the node's directory. */
  start(command: readonly string[], log: string): void {
    const [program = '', ...args] = this.#enter(['sh', '-c', `exec "$0" "$@" >${log} 2>&1`, ...command])
    spawn(program, args, { stdio: 'ignore' })
  }

  /** What containers have on the node, a line for each: links, elements of nftables sets, leases, attachments. */
  async listBelongings(): Promise<string[]> {
    const { name, dataDir, stateDir } = this.node
    const links = JSON.parse(await mustRun('ip', '-n', name, '-j', '-d', 'link')) as Link[]
    const elements = await mustRun('ip', 'netns', 'exec', name, 'nft', 'list', 'ruleset')
    return [
      ...links.filter(isWire).map(({ ifname }) => `link ${ifname}`),
      ...[...elements.matchAll(/elements = \{[^}]*\}/g)].map(([text]) => text),
      ...podwire.listLeases(dataDir),
      ...podwire.listAttachments(stateDir),
    ]
  }

  async remove(): Promise<void> {
    // Its parent, `unshare`, sees its end when everything in the PID namespace has ended.
    const ended = once(this.#holder, 'close')
    process.kill(this.#pid, 'SIGKILL')
    await ended
    await removeCgroups(this.cgroup)
    await this.node.remove()
  }

  #enter(command: readonly string[]): string[] {
    return ['nsenter', '-t', String(this.#pid), '--net', '--mount', '--pid', '--', ...command]
  }
}

interface Link {
  readonly ifname: string
  readonly linkinfo?: { readonly info_kind?: string }
}

/** eth0 leads out of the node. */
function isWire({ ifname, linkinfo }: Link): boolean {
  return ifname !== 'eth0' && ['veth', 'ifb'].includes(linkinfo?.info_kind ?? '')
}

async function fillDirectories({ directory, stateDir, dataDir }: TestNode): Promise<void> {
  mkdirSync(stateDir, { recursive: true })
  mkdirSync(dataDir, { recursive: true })
  const [bin, etc] = [join(directory, 'opt/cni/bin'), join(directory, 'etc')]
  mkdirSync(bin, { recursive: true })
  cpSync('/etc', etc, { recursive: true, verbatimSymlinks: true })
  mkdirSync(join(etc, 'cni/net.d'), { recursive: true })
  await mustRun(join(podwire.directory, 'podwire'), 'install', bin, '--upstream-names')
  for (const plugin of readdirSync(upstream.directory))
    if (!existsSync(join(bin, plugin))) copyFileSync(join(upstream.directory, plugin), join(bin, plugin))
}
