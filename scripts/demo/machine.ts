// A machine of the demo: a named network namespace (ip-netns(8)) with a program in it. A pod is no more than that.

import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'

const ENDPOINT = fileURLToPath(import.meta.resolve('./endpoint.ts'))

/** Output of a program. @throws Error with what the program says about why it failed */
export function run(program: string, ...args: string[]): string {
  try {
    return execFileSync(program, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] })
  } catch (cause) {
    const { stderr = '', message } = cause as Error & { stderr?: string }
    throw new Error(`${program} ${args.join(' ')}: ${stderr.trim() || message}`, { cause })
  }
}

export class Machine {
  readonly name: string
  /** undefined: the namespace that the demo runs in. */
  readonly netns: string | undefined
  readonly #program: ChildProcess
  readonly #lines: AsyncIterator<string>

  private constructor(name: string, netns: string | undefined) {
    this.name = name
    this.netns = netns
    const command = [process.execPath, ENDPOINT]
    const enter = netns === undefined ? [] : ['ip', 'netns', 'exec', name]
    const [program = '', ...args] = [...enter, ...command]
    this.#program = spawn(program, args, { stdio: ['pipe', 'pipe', 'inherit'] })
    this.#lines = createInterface({ input: this.#program.stdout as never })[Symbol.asyncIterator]()
  }

  /** The machine that the demo runs on. */
  static own(name: string): Machine {
    return new Machine(name, undefined)
  }

  static create(name: string): Machine {
    run('ip', 'netns', 'add', name)
    return new Machine(name, `/run/netns/${name}`)
  }

  async ready(): Promise<void> {
    await this.#read()
  }

  /** Connects from here to there. @returns the address that the other side sees */
  async ask(address: string): Promise<string> {
    this.#program.stdin?.write(`${address}\n`)
    const { seenAs, error } = JSON.parse(await this.#read()) as { seenAs?: string; error?: string }
    if (seenAs === undefined) throw new Error(error ?? 'no answer')
    return seenAs
  }

  /** Ends its program, and removes the namespace, which takes its links along. */
  async remove(): Promise<void> {
    const ended = new Promise((resolve) => this.#program.once('exit', resolve))
    if (this.#program.exitCode === null) {
      this.#program.stdin?.end()
      await ended
    }
    if (this.netns !== undefined) run('ip', 'netns', 'del', this.name)
  }

  async #read(): Promise<string> {
    const { value, done } = await this.#lines.next()
    if (done === true) throw new Error(`the program in ${this.name} has ended`)
    return value
  }
}
