// `podwire daemon`: serves the calls of the shim until it is told to stop (SIGTERM, SIGINT).

import { dirname } from 'node:path'
import type { Plugin } from '../../lib/cni/plugin.ts'
import { Daemon } from '../../lib/daemon/daemon.ts'
import type { MetricsAddress } from '../../lib/daemon/metrics-port.ts'
import type { Recovery } from '../../lib/daemon/recover.ts'
import { openPorts } from '../../lib/host/open-ports.ts'
import type { Ports } from '../../lib/host/ports.ts'
import { stateDirOf } from '../../lib/host/state-dir.ts'
import type { IpAddress } from '../../lib/ip/address.ts'
import type { Log } from '../../lib/log/log.ts'
import { openPinoLog } from '../../lib/log/pino-log.ts'
import { socketPathOf } from './daemon-client.ts'
import { listDataDirs } from './data-dirs.ts'
import { rehearse } from './rehearsal.ts'

/**
 * Threads of libuv, most of which wait for the kernel to let go of deleted links. Asked for in the environment, before
 * the first of them is needed.
 */
export const THREADS = 16
const DELETION_THREADS = 12
/** More of them change little: V8 has compiled by then what a call needs. */
const REHEARSED_PODS = 48

export interface DaemonCommand {
  /** Where it listens; else PODWIRE_SOCKET, else /run/podwire/podwire.sock. */
  readonly socketPath: string | undefined
  /** Where the counters are told, beside the socket. */
  readonly metricsAddress: MetricsAddress | undefined
  readonly environment: Readonly<Record<string, string | undefined>>
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
  const { environment, executable, findPlugin, metricsAddress, plugins, version } = command
  const socketPath = socketPathOf(environment, command.socketPath)
  const log = openDaemonLog(environment)
  const background = {
    deletionThreads: DELETION_THREADS,
    onConnectionsKept: (error: unknown, addresses: readonly IpAddress[]) =>
      log.error({ error: String(error), addresses: addresses.map(String) }, 'could not forget connections'),
  }
  const ports = openPorts({ environment, executable, findPlugin, log, background })
  const stateDir = stateDirOf(environment)
  const path = [dirname(executable), '/opt/cni/bin', '/usr/lib/cni']
  const { daemon, recovery } = await Daemon.start({
    socketPath,
    stateDir,
    version,
    ports,
    plugins,
    findPlugin,
    path,
    listDataDirs: () => listDataDirs(ports),
    metricsAddress,
  })
  logRecovery(log, recovery)
  command.print(`podwire ${version}: serving ${socketPath}`)
  if (metricsAddress !== undefined)
    log.info({ ...metricsAddress }, 'metrics are told to whoever reaches this address')
  const rehearsal = rehearsing(log, daemon, { stateDir, ...command })
  log.info({ signal: await command.stopped }, 'stopping')
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
  void command.stopped.then(() => {
    isStopped = true
  })
  try {
    log.info(
      {
        ...(await rehearse({
          ...command,
          pods: REHEARSED_PODS,
          idle: () => daemon.idle,
          isStopped: () => isStopped,
        })),
      },
      'rehearsed',
    )
  } catch (error) {
    log.info({ error: String(error) }, 'could not rehearse: the first calls take longer')
  }
}

/** To stderr, where the service's own log is, unless PODWIRE_LOG names a file. */
function openDaemonLog({ PODWIRE_LOG: target, PODWIRE_LOG_LEVEL: level }: DaemonCommand['environment']): Log {
  return openPinoLog({ target: target || 'stderr', level: level || undefined, fields: {} })
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
