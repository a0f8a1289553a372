// What the daemon tells of itself: HTTP over its socket (lib/daemon/http.ts).

import type { IncomingMessage } from 'node:http'

const DEFAULT_SOCKET = '/run/podwire/podwire.sock'
const DEADLINE_MS = 3000

/** Where the daemon listens: as told, else PODWIRE_SOCKET, else the usual place. Also the shim's (native/shim.c). */
export function socketPathOf(
  { PODWIRE_SOCKET: path }: Readonly<Record<string, string | undefined>>,
  given: string | undefined,
): string {
  return given ?? (path || DEFAULT_SOCKET)
}

/** The answer to `/status`. */
export interface DaemonStatus {
  readonly version: string
  readonly pid: number
  readonly ready: boolean
  readonly startedAt: string
  readonly attachments: number
  readonly running: number
  readonly waiting: number
  readonly residentBytes: number
  /** Of a daemon that is older than these figures, nothing. */
  readonly eventLoopDelayMaxMs?: number
  /** The longest first. */
  readonly longestStretches?: readonly DaemonStretch[]
  readonly abandoned?: number
  readonly calls: readonly DaemonCalls[]
  readonly leftToCaller: Readonly<Record<string, number>>
  readonly lastErrors: readonly DaemonFailure[]
}

export interface DaemonCalls {
  readonly plugin: string
  readonly verb: string
  readonly succeeded: number
  readonly failed: number
  readonly totalMs: number
  /** Null when it is beyond what is measured. */
  readonly p99Ms?: number | null
  readonly perMinute?: number
}

/** How long the event loop was held at most, by the calls of a verb. */
export interface DaemonStretch {
  readonly verb: string
  readonly plugin: string
  readonly ms: number
  readonly cpuMs: number
  readonly steps: Readonly<Record<string, number>>
}

export interface DaemonFailure {
  readonly at: string
  readonly plugin: string
  readonly verb: string
  readonly containerId: string
  readonly message: string
}

/** Where the daemon's log is, and what starts it anew; pods do without it meanwhile. */
export const LOG_AND_RESTART =
  'look at its log (journalctl -u podwire; on Kubernetes: kubectl --namespace kube-system logs POD, of the pod podwire-… on this node), and start it anew (systemctl restart podwire; kubectl --namespace kube-system delete pod POD); pods get their network without it'

/** There is a socket, and it does not answer as a daemon does. */
export class DaemonUnreachable extends Error {
  readonly code = 'EUNREACHABLE'
  readonly remedy = LOG_AND_RESTART

  constructor(socketPath: string, why: string, options?: ErrorOptions) {
    super(`ask the daemon at "${socketPath}": ${why}`, options)
    this.name = 'DaemonUnreachable'
  }
}

/** No socket, or nobody behind it. */
const ABSENT = ['ENOENT', 'ECONNREFUSED', 'ENOTDIR']

/** @returns undefined when there is no daemon. @throws DaemonUnreachable */
export async function askDaemon(socketPath: string): Promise<DaemonStatus | undefined> {
  try {
    return JSON.parse(await get(socketPath, '/status')) as DaemonStatus
  } catch (error) {
    const { code = '', message } = error as NodeJS.ErrnoException
    if (ABSENT.includes(code)) return undefined
    throw new DaemonUnreachable(socketPath, message, { cause: error })
  }
}

/**
 * Opens no store, as it is asked every few seconds.
 *
 * @returns `ok` when calls are served, else why not
 */
export async function askReady(socketPath: string): Promise<string> {
  try {
    return (await get(socketPath, '/readyz')).trim()
  } catch (error) {
    return new DaemonUnreachable(socketPath, error instanceof Error ? error.message : String(error)).message
  }
}

function get(socketPath: string, path: string): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>()
  const http = process.getBuiltinModule('node:http')
  const signal = AbortSignal.timeout(DEADLINE_MS)
  const headers = { connection: 'close' }
  const onAnswer = (response: IncomingMessage) => {
    const chunks: Buffer[] = []
    response.on('data', (chunk: Buffer) => chunks.push(chunk))
    response.on('error', reject)
    response.on('end', () => resolve(Buffer.concat(chunks).toString()))
  }
  http.get({ socketPath, path, signal, headers }, onAnswer).on('error', (error) => {
    reject(signal.aborted ? new Error(`no answer in ${DEADLINE_MS / 1000} seconds`, { cause: error }) : error)
  })
  return promise
}
