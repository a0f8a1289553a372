// Programs run to their end, as a runtime runs a plugin: environment and stdin in, status and two texts out.

import { spawn } from 'node:child_process'

/** Nothing here takes seconds; a program that is still there then hangs, and is killed. */
const DEADLINE_MS = 40_000

/** Words before those of a program that stays: it goes with the test, however that ends (PR_SET_PDEATHSIG). */
export const LEASH = ['setpriv', '--pdeathsig', 'KILL'] as const

export interface Exit {
  /** null when it was killed. */
  readonly status: number | null
  readonly stdout: string
  readonly stderr: string
}

export interface RunOptions {
  /** All of it: nothing is inherited but PATH. */
  readonly environment?: Readonly<Record<string, string>>
  readonly stdin?: string
  /** For what builds something. */
  readonly deadlineMs?: number
}

export function run(
  command: readonly string[],
  { environment = {}, stdin = '', deadlineMs = DEADLINE_MS }: RunOptions = {},
): Promise<Exit> {
  const [program = '', ...args] = command
  const { PATH = '/usr/sbin:/usr/bin:/sbin:/bin' } = process.env
  const child = spawn(program, args, {
    env: { PATH, ...environment },
    timeout: deadlineMs,
    killSignal: 'SIGKILL',
  })
  const stdout: Buffer[] = []
  const stderr: Buffer[] = []
  child.stdout.on('data', (chunk: Buffer) => stdout.push(chunk))
  child.stderr.on('data', (chunk: Buffer) => stderr.push(chunk))
  child.stdin.on('error', () => undefined) // it need not read what it is given
  child.stdin.end(stdin)
  return new Promise((resolve, reject) => {
    child.on('error', reject)
    child.on('close', (status) => {
      resolve({ status, stdout: Buffer.concat(stdout).toString(), stderr: Buffer.concat(stderr).toString() })
    })
  })
}

/** For what must work. @returns stdout @throws with what the program said */
export async function mustRun(...command: readonly string[]): Promise<string> {
  const { status, stdout, stderr } = await run(command)
  if (status === 0) return stdout
  throw new Error(`${command.join(' ')}: exit status ${status}: ${stderr.trim() || stdout.trim()}`)
}
