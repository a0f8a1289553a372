// Runs other people's plugins; the only user of node:child_process in the product.

import type { ChildProcessWithoutNullStreams } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import type { DelegateCall, DelegateExec, DelegateExit } from './delegate.ts'
import { CNI_CODE, CniError, DelegateMissing } from './errors.ts'

export interface DelegateExecOptions {
  /** Gets what a delegate writes to its stderr while it writes it: ours, in a process of our own. */
  readonly stderr: (chunk: Uint8Array) => void
  /** Aborted when nobody waits for the call any more: a delegate that still runs then is killed. */
  readonly abandoned?: AbortSignal
  /** Tells by their variables (`NAME=value`) those that somebody started who was killed: they end before any is run. */
  readonly isOrphan?: ((variables: readonly string[]) => boolean) | undefined
  /** Variables besides the call's. */
  readonly environment?: Readonly<Record<string, string>>
  /** How long output is waited for that a child of the delegate's holds open, once the delegate itself has ended. */
  readonly drainTimeoutMs?: number
  /** How long an executable that is being written may stay busy (ETXTBSY) before that is an error. */
  readonly busyTimeoutMs?: number
}

/** Upstream's patience with an executable that is being replaced. */
const BUSY_TIMEOUT_MS = 5000
const BUSY_RETRY_MS = 20

const DRAIN_TIMEOUT_MS = 1000

/** What is run for a call that is abandoned already takes back what was done, and has this long for it. */
const CLEANUP_MS = 30_000

/** No result is that long; a delegate that prints more has gone mad and is killed. */
const MAX_STDOUT_BYTES = 8 * 1024 * 1024

/** How much of stderr is kept for the message of a delegate that says nothing else; all of it is passed on. */
const MAX_STDERR_BYTES = 64 * 1024

export function createDelegateExec(options: DelegateExecOptions): DelegateExec {
  const { isOrphan } = options
  return {
    find: findPlugin,
    run: async (call) => {
      if (isOrphan !== undefined) await endOrphans(isOrphan)
      return runWhenNotBusy(call, options)
    },
  }
}

/** Long enough for any process that is killed, but one that waits for a disk which is gone. */
const END_TIMEOUT_MS = 5000
const END_RETRY_MS = 5

/** Nobody but its parent is told when a process ends. */
async function endOrphans(isOrphan: (variables: readonly string[]) => boolean): Promise<void> {
  const deadline = AbortSignal.timeout(END_TIMEOUT_MS)
  for (;;) {
    const orphans = (await readdir('/proc')).filter(
      (name) => /^\d+$/.test(name) && isOrphan(variablesOf(name)),
    )
    if (orphans.length === 0 || deadline.aborted) return
    for (const pid of orphans) kill(Number(pid))
    await delay(END_RETRY_MS)
  }
}

/** @returns none of a process that is gone, or that only waits to be reaped */
function variablesOf(pid: string): string[] {
  try {
    return readFileSync(`/proc/${pid}/environ`, 'latin1').split('\0')
  } catch {
    return []
  }
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL')
  } catch {
    // It ended meanwhile.
  }
}

/**
 * The first regular file of this name, through links too; whether it can be executed shows when it is.
 *
 * @throws CniError 999 with upstream's words
 */
async function findPlugin(type: string, path: readonly string[]): Promise<string> {
  if (type === '') throw notFound('no plugin name provided')
  if (type.includes('/')) throw notFound(`invalid plugin name: ${type}`)
  if (path.length === 0) throw notFound('no paths provided')
  for (const directory of path) {
    const file = join(directory, type)
    if (await isRegularFile(file)) return file
  }
  const remedy = 'install the plugin in a directory of CNI_PATH, or correct the type in the config'
  throw notFound(`failed to find plugin ${JSON.stringify(type)} in path [${path.join(' ')}]`, remedy)
}

async function isRegularFile(file: string): Promise<boolean> {
  try {
    return (await stat(file)).isFile()
  } catch {
    // As upstream: a directory of the path that cannot be looked into is one that does not have the plugin.
    return false
  }
}

function notFound(message: string, details = ''): CniError {
  return new DelegateMissing(message, details)
}

/** No event tells that the last writer of a file has closed it, so that asking again is the only way. */
async function runWhenNotBusy(call: DelegateCall, options: DelegateExecOptions): Promise<DelegateExit> {
  const deadline = AbortSignal.timeout(options.busyTimeoutMs ?? BUSY_TIMEOUT_MS)
  for (;;) {
    try {
      return await run(call, options)
    } catch (error) {
      if (!isBusy(error) || deadline.aborted) throw startError(call.file, error)
    }
    await delay(BUSY_RETRY_MS)
  }
}

async function run(call: DelegateCall, options: DelegateExecOptions): Promise<DelegateExit> {
  // Loaded here: a process whose delegates are all its own never needs it.
  const { spawn } = await import('node:child_process')
  const env = { ...call.environment, ...options.environment }
  const child = spawn(call.file, [], { env, stdio: ['pipe', 'pipe', 'pipe'] })
  const { promise, resolve, reject } = Promise.withResolvers<DelegateExit>()
  child.on('error', reject)
  if (!hasPipes(child)) return promise
  const { abandoned, drainTimeoutMs = DRAIN_TIMEOUT_MS } = options
  const patience = abandoned?.aborted ? AbortSignal.timeout(CLEANUP_MS) : abandoned
  const giveUp = () => child.kill('SIGKILL')
  patience?.addEventListener('abort', giveUp)
  const stdout = new Capture(MAX_STDOUT_BYTES)
  const stderr = new Capture(MAX_STDERR_BYTES)
  child.stdout.on('data', (chunk: Buffer) => {
    if (!stdout.add(chunk)) child.kill('SIGKILL')
  })
  child.stderr.on('data', (chunk: Buffer) => {
    stderr.add(chunk)
    options.stderr(chunk)
  })
  child.on('exit', () => {
    // It may have started others, which hold its ends of the pipes for as long as they like. What it printed itself is
    // in the pipes by now: the event loop reads it before it comes to setImmediate.
    const hangUp = () => [child.stdout, child.stderr].map((pipe) => pipe.destroy())
    const drained = setTimeout(() => setImmediate(hangUp), drainTimeoutMs)
    child.on('close', () => clearTimeout(drained))
  })
  child.on('close', (status, signal) => {
    patience?.removeEventListener('abort', giveUp)
    if (patience?.aborted) reject(new Error('killed, since nobody waits for it any more'))
    else if (stdout.overflown) reject(new Error(`printed more than ${MAX_STDOUT_BYTES} bytes`))
    else resolve({ status, signal, stdout: stdout.text(), stderr: stderr.text() })
  })
  // EPIPE and its like: a delegate need not read its stdin, and how it ends says all.
  child.stdin.on('error', () => {})
  child.stdin.end(call.stdin)
  return promise
}

/** None are made where there is no descriptor left for them (EMFILE): an error event follows. */
function hasPipes(child: Partial<ChildProcessWithoutNullStreams>): boolean {
  return child.stdout !== undefined
}

/** The first bytes of a stream. */
class Capture {
  readonly #chunks: Buffer[] = []
  readonly #limit: number
  #length = 0

  constructor(limit: number) {
    this.#limit = limit
  }

  get overflown(): boolean {
    return this.#length > this.#limit
  }

  /** @returns false once there is more than fits */
  add(chunk: Buffer): boolean {
    if (!this.overflown) this.#chunks.push(chunk)
    this.#length += chunk.length
    return !this.overflown
  }

  text(): string {
    return Buffer.concat(this.#chunks).subarray(0, this.#limit).toString()
  }
}

function isBusy(error: unknown): boolean {
  return codeOf(error) === 'ETXTBSY'
}

function codeOf(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined
}

function startError(file: string, cause: unknown): CniError {
  const why = codeOf(cause) ?? (cause instanceof Error ? cause.message : String(cause))
  return new CniError(CNI_CODE.internal, `run delegate ${JSON.stringify(file)}: ${why}`, { cause })
}
