// A shell that stays in a network namespace, with that namespace's /sys. `ip netns exec` makes and mounts that anew for
// every program, which takes longer than what most of them do.
//
// Scripts that run here share its stdout: none may run Node.js, which makes it non-blocking, for whoever comes next,
// too, and then `nft` loses what does not fit into the socket. Those are run beside it (`enter`).

import { type ChildProcessByStdio, spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import type { Readable, Writable } from 'node:stream'

const shells = new Map<string, NamespaceShell>()

/** @param namespace  name for `ip netns` */
export function shellIn(namespace: string): NamespaceShell {
  const shell = shells.get(namespace) ?? new NamespaceShell(namespace)
  shells.set(namespace, shell)
  return shell
}

/** Before the namespace is deleted: a process in it would keep it. */
export async function closeShell(namespace: string): Promise<void> {
  await shells.get(namespace)?.close()
  shells.delete(namespace)
}

export class NamespaceShell {
  readonly #namespace: string
  readonly #child: ChildProcessByStdio<Writable, Readable, null>
  readonly #ended: Promise<unknown>
  #last: Promise<unknown> = Promise.resolve()
  #entry: Promise<string[]> | undefined

  constructor(namespace: string) {
    const { PATH = '/usr/sbin:/usr/bin:/sbin:/bin' } = process.env
    this.#namespace = namespace
    this.#child = spawn('ip', ['netns', 'exec', namespace, 'sh'], {
      env: { PATH },
      stdio: ['pipe', 'pipe', 'ignore'], // nft warns of each table of iptables
    })
    this.#child.stdin.on('error', () => undefined) // told by what comes back, or does not
    this.#ended = new Promise((resolve) => this.#child.on('close', resolve))
  }

  /** One after another. @returns what it printed to stdout */
  run(script: string): Promise<string> {
    const output = this.#last.then(() => this.#run(script))
    this.#last = output.catch(() => undefined)
    return output
  }

  /** @returns how a program is started beside the shell */
  enter(): Promise<string[]> {
    this.#entry ??= this.#findEntry()
    return this.#entry
  }

  async close(): Promise<void> {
    this.#child.kill('SIGKILL')
    await this.#ended
  }

  async #run(script: string): Promise<string> {
    const end = randomUUID()
    const { stdin, stdout } = this.#child
    const output = until(stdout, end)
    stdin.write(`(${script}\n) </dev/null\necho ${end}\n`)
    const text = await Promise.race([output, this.#ended.then(() => undefined)])
    if (text === undefined) throw new Error(`the shell in ${this.#namespace} has ended`)
    return text
  }

  async #findEntry(): Promise<string[]> {
    await this.run('true') // only a shell that answers has entered
    const { pid } = this.#child
    return ['nsenter', `--net=/proc/${pid}/ns/net`, `--mount=/proc/${pid}/ns/mnt`, `--wdns=${process.cwd()}`]
  }
}

/** @returns what comes before the mark */
function until(stream: Readable, mark: string): Promise<string> {
  return new Promise((resolve) => {
    const chunks: Buffer[] = []
    const take = (chunk: Buffer) => {
      chunks.push(chunk)
      const text = Buffer.concat(chunks.slice(-2)).toString('latin1')
      if (!text.endsWith(`${mark}\n`)) return
      stream.off('data', take)
      resolve(
        Buffer.concat(chunks)
          .toString()
          .slice(0, -mark.length - 1),
      )
    }
    stream.on('data', take)
  })
}
