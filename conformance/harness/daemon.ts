// A daemon on a node of the test's, and the directory of plugins that ask it.

import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Contestant, podwire } from './contestant.ts'
import { install } from './installed.ts'
import type { TestNode } from './node.ts'
import { LEASH } from './process.ts'

let shimDirectory: string | undefined

/** Ours as `podwire install --shim` puts them; once for all tests of a process. */
export function shimmed(): Contestant {
  shimDirectory ??= install('--shim', '--upstream-names')
  return { ...podwire, directory: shimDirectory, hasDaemon: true }
}

/** Its daemon is as one that nobody has told otherwise, a second after its start. @throws with its log when it cannot be */
export async function rehearsed(node: TestNode): Promise<void> {
  await node.daemon?.end('SIGTERM')
  const daemon = await node.restartDaemon({ rehearses: true })
  await daemon.says('rehearse')
  if (!daemon.log.includes('"msg":"rehearsed"')) throw new Error(daemon.log)
}

export interface DaemonOptions {
  readonly rehearses?: boolean
  /** Words after its own. */
  readonly more?: readonly string[]
  /** A program to run it by, such as `setpriv …`. */
  readonly wrapper?: readonly string[]
}

export class TestDaemon {
  readonly #child: ChildProcess
  readonly #ended: Promise<number | null>
  /** What it printed to stderr: its log. */
  log = ''

  private constructor(child: ChildProcess) {
    this.#child = child
    this.#ended = new Promise((resolve) => child.on('close', resolve))
    child.stderr?.on('data', (chunk: Buffer) => {
      this.log += chunk.toString()
    })
  }

  /**
   * Resolves when it says that it is ready. @throws with its log when it ends before
   *
   * @param options.more  than where its socket is
   */
  static async start(
    node: TestNode,
    { rehearses = false, more = [], wrapper = [] }: DaemonOptions = {},
  ): Promise<TestDaemon> {
    const program = join(node.contestant.directory, 'podwire')
    const { PATH = '/usr/sbin:/usr/bin:/sbin:/bin' } = process.env
    const env = { PATH, PODWIRE_STATE_DIR: node.stateDir }
    const flags = ['--socket', node.socketPath, ...(rehearses ? [] : ['--no-rehearsal']), ...more]
    const [leash, ...args] = [
      ...LEASH,
      'ip',
      'netns',
      'exec',
      node.name,
      ...wrapper,
      program,
      'daemon',
      ...flags,
    ]
    const daemon = new TestDaemon(spawn(leash, args, { env, stdio: ['ignore', 'pipe', 'pipe'] }))
    await daemon.#ready()
    return daemon
  }

  /** `setpriv` and `ip netns exec` become the program that they execute. */
  get pid(): number {
    return this.#child.pid ?? 0
  }

  kill(signal: NodeJS.Signals): void {
    this.#child.kill(signal)
  }

  /** @returns its exit status, null when a signal ended it */
  end(signal: NodeJS.Signals): Promise<number | null> {
    this.#child.kill(signal)
    return this.#ended
  }

  /** Resident memory in KiB, open files. */
  usage(): { rss: number; files: number } {
    const status = readFileSync(`/proc/${this.pid}/status`, 'utf8')
    const files = execFileSync('ls', [`/proc/${this.pid}/fd`], { encoding: 'utf8' }).split('\n').length
    return { rss: Number(/^VmRSS:\s+(\d+)/m.exec(status)?.[1]), files }
  }

  /** Resolves when the text is in its log. */
  async says(text: string): Promise<void> {
    while (!this.log.includes(text) && this.#child.stderr) await once(this.#child.stderr, 'data')
  }

  #ready(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#child.stdout?.once('data', () => resolve())
      this.#child.once('close', (status) => reject(new Error(`the daemon ended with ${status}: ${this.log}`)))
    })
  }
}
