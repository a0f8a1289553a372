// A shell that stays in a network namespace, with that namespace's /sys. `ip netns exec` makes and mounts that anew for
// every program, which takes longer than what most of them do.
//
// Scripts that run here share its outputs: none may run Node.js, which makes them non-blocking, for whoever comes next,
// too, and then `nft` loses what does not fit into the socket. Those are run beside it (`enter`).

import { type ChildProcessByStdio, spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import type { Readable, Writable } from 'node:stream'
import type { Exit } from './process.ts'

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
  readonly #child: ChildProcessByStdio<Writable, Readable, Readable>
  readonly #ended: Promise<unknown>
  #last: Promise<unknown> = Promise.resolve()

  constructor(namespace: string) {
    const { PATH = '/usr/sbin:/usr/bin:/sbin:/bin' } = process.env
    this.#namespace = namespace
    this.#child = spawn('ip', ['netns', 'exec', namespace, 'sh'], {
      env: { PATH },
      stdio: ['pipe', 'pipe', 'pipe'],
    })
    this.#child.stdin.on('error', () => undefined) // told by what comes back, or does not
    this.#ended = new Promise((resolve) => this.#child.on('close', resolve))
  }

  /** One after another. */
  run(script: string): Promise<Exit> {
    const exit = this.#last.then(() => this.#run(script))
    this.#last = exit.catch(() => undefined)
    return exit
  }

  /** @returns how a program is started beside the shell */
  async enter(): Promise<string[]> {
    await this.run('true') // only a shell that answers has entered
    const { pid } = this.#child
    return ['nsenter', `--net=/proc/${pid}/ns/net`, `--mount=/proc/${pid}/ns/mnt`, `--wdns=${process.cwd()}`]
  }

  async close(): Promise<void> {
    this.#child.kill('SIGKILL')
    await this.#ended
  }

  async #run(script: string): Promise<Exit> {
    const end = randomUUID()
    const { stdin, stdout, stderr } = this.#child
    const outputs = Promise.all([until(stdout, end), until(stderr, end)])
    stdin.write(`(${script}\n) </dev/null\nprintf '%s %s\\n' $? ${end}; printf '%s\\n' ${end} >&2\n`)
    const texts = await Promise.race([outputs, this.#ended.then(() => undefined)])
    if (texts === undefined) throw new Error(`the shell in ${this.#namespace} has ended`)
    const [, status = ''] = /(\d+) $/.exec(texts[0]) ?? []
    return { status: Number(status), stdout: texts[0].slice(0, -status.length - 1), stderr: texts[1] }
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
