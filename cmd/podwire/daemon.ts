// `podwire daemon`: serves the calls of the shim until it is told to stop (SIGTERM, SIGINT).

import { readFileSync } from 'node:fs'
import { dirname } from 'node:path'
import type { Plugin } from '../../lib/cni/plugin.ts'
import { CallQueue } from '../../lib/daemon/call-queue.ts'
import { Daemon } from '../../lib/daemon/daemon.ts'
import { limitsFor, readOpenFilesLimit } from '../../lib/daemon/limits.ts'
import type { MetricsAddress } from '../../lib/daemon/metrics-port.ts'
import type { Recovery } from '../../lib/daemon/recover.ts'
import { StepLog } from '../../lib/daemon/step-log.ts'
import { openPorts } from '../../lib/host/open-ports.ts'
import type { Ports } from '../../lib/host/ports.ts'
import { raisePriority } from '../../lib/host/priority.ts'
import { stateDirOf } from '../../lib/host/state-dir.ts'
import type { IpAddress } from '../../lib/ip/address.ts'
import type { Log } from '../../lib/log/log.ts'
import { openPinoLog } from '../../lib/log/pino-log.ts'
import { socketPathOf } from './daemon-client.ts'
import { listDataDirs } from './data-dirs.ts'
import type { ListenAddress } from './page/listen-address.ts'
import type { Page } from './page/page.ts'
import { pluginPath } from './places.ts'
import { rehearse } from './rehearsal.ts'

export { askForThreads } from './threads.ts'

/** With more of them calls are a little faster still, and the daemon larger than 100 MiB (docs/adr/0024-rehearsal.md). */
const REHEARSED_PODS = 200

export interface DaemonCommand {
  /** Where the page of the node is served, if anywhere. */
  readonly page: ListenAddress | undefined
  /** Where it listens; else PODWIRE_SOCKET, else /run/podwire/podwire.sock. */
  readonly socketPath: string | undefined
  /** Where the counters are told, beside the socket. */
  readonly metricsAddress: MetricsAddress | undefined
  readonly environment: Readonly<Record<string, string | undefined>>
  /** How many links may be deleted at a time. */
  readonly deletionThreads: number
  readonly executable: string
  readonly version: string
  readonly plugins: readonly Plugin<Ports>[]
  readonly findPlugin: (name: string) => Plugin<Ports> | undefined
  /** Whether to attach some pods that nobody has, once it serves: its code is warm then. */
  readonly rehearses: boolean
  /** Resolves when the process is told to stop. */
  readonly stopped: Promise<string>
  readonly print: (line: string) => void
}

/** Resolves when it has stopped. @throws DaemonError, StoreError */
export async function runDaemon(command: DaemonCommand): Promise<void> {
  const { deletionThreads, environment, executable, findPlugin, metricsAddress, plugins, version } = command
  const socketPath = socketPathOf(environment, command.socketPath)
  const log = openDaemonLog(environment)
  const background = {
    deletionThreads,
    onConnectionsKept: (error: unknown, addresses: readonly IpAddress[]) =>
      log.error({ error: String(error), addresses: addresses.map(String) }, 'could not forget connections'),
  }
  const unprivileged = raisePriority()
  if (unprivileged !== undefined)
    log.info({ error: String(unprivileged) }, 'priority not raised: calls may wait for a CPU')
  const limits = limitsFor(readOpenFilesLimit(readFileSync('/proc/self/limits', 'utf8')))
  const queue = new CallQueue({ most: limits.calls })
  const { relay } = queue
  const ports = openPorts({ environment, executable, findPlugin, log, background, relay })
  const stateDir = stateDirOf(environment)
  const path = pluginPath(dirname(executable))
  const steps = command.page && new StepLog(() => ports.clock.nowMs())
  const { daemon, recovery } = await Daemon.start({
    socketPath,
    stateDir,
    version,
    ports,
    plugins,
    findPlugin,
    path,
    listDataDirs: () => listDataDirs(ports),
    queue,
    maxClients: limits.clients,
    metricsAddress,
    onSteps: steps?.note,
  })
  logRecovery(log, recovery)
  const page = steps && (await openPageAnyway({ ...command, path, stateDir, steps, log }))
  const place = page && `; page at ${page.url}, its link is in ${page.linkFile}`
  command.print(`podwire ${version}: serving ${socketPath}${place ?? ''}`)
  if (metricsAddress !== undefined)
    log.info({ ...metricsAddress }, 'metrics are told to whoever reaches this address')
  const rehearsal = rehearsing(log, daemon, { stateDir, ...command })
  log.info({ signal: await command.stopped }, 'stopping')
  await page?.close()
  await rehearsal
  await daemon.stop()
  log.info({}, 'stopped')
}

/** A daemon that cannot, serves as well, and its first calls take longer. */
async function rehearsing(
  log: Log,
  daemon: Daemon,
  command: DaemonCommand & { readonly stateDir: string },
): Promise<void> {
  if (!command.rehearses) return
  let isStopped = false
  const stopped = command.stopped.then(() => {
    isStopped = true
  })
  try {
    log.info(
      {
        ...(await rehearse({
          ...command,
          pods: REHEARSED_PODS,
          idle: () => Promise.race([daemon.idle, stopped]),
          isStopped: () => isStopped,
        })),
      },
      'rehearsed',
    )
  } catch (error) {
    log.info({ error: String(error) }, 'could not rehearse: the first calls take longer')
  }
}

interface PageOfDaemon extends DaemonCommand {
  readonly path: readonly string[]
  readonly stateDir: string
  readonly steps: StepLog
  readonly log: Log
}

/** Pods come first: whoever has the port keeps the page away, and nothing else. */
async function openPageAnyway(options: PageOfDaemon): Promise<Page | undefined> {
  const { page: listen, environment, executable, findPlugin, log } = options
  if (listen === undefined) return undefined
  const { openPage } = await import('./page/page.ts')
  const { EMPTY_STORES } = await import('./empty-stores.ts')
  const ports = openPorts({ environment, executable, findPlugin, log, emptyStores: EMPTY_STORES })
  try {
    return await openPage({ ...options, ports, listen, startedAtMs: ports.clock.nowMs() })
  } catch (error) {
    log.error({ ...listen, error: String(error) }, 'the page is not served')
    ports.close()
    return undefined
  }
}

/** To stderr, where the service's own log is, unless PODWIRE_LOG names a file. */
function openDaemonLog({ PODWIRE_LOG: target, PODWIRE_LOG_LEVEL: level }: DaemonCommand['environment']): Log {
  return openPinoLog({ target: target || 'stderr', level, fields: {} })
}

function logRecovery(log: Log, { removed, failed }: Recovery): void {
  for (const { plugin, network, containerId, ifname } of removed)
    log.info({ plugin, network, containerId, ifname }, 'took back an attachment that was half made')
  for (const { attachment, why } of failed) {
    const { plugin, network, containerId, ifname } = attachment
    log.error(
      { plugin, network, containerId, ifname, why },
      'could not take back an attachment that was half made',
    )
  }
}
