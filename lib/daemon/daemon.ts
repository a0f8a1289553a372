// The daemon's life: it takes back what a crash left half made, listens, says that it is ready, serves; when told to
// stop it attaches nothing new, finishes what runs, and ends.

import { readlinkSync } from 'node:fs'
import type { Plugin } from '../cni/plugin.ts'
import { CallLocks, LOCKS_FILE } from '../host/call-lock.ts'
import type { Ports } from '../host/ports.ts'
import { loadNative } from '../native/native.ts'
import { StoreError } from '../state/store-error.ts'
import type { CallQueue } from './call-queue.ts'
import { CallService } from './call-service.ts'
import { createHttpEndpoint, type HttpPages } from './http.ts'
import { LoopDelay } from './loop-delay.ts'
import { LoopStretches } from './loop-stretches.ts'
import { countOpenFiles, formatMetrics } from './metric-families.ts'
import { CallMetrics } from './metrics.ts'
import { type MetricsAddress, MetricsPort } from './metrics-port.ts'
import { type PoolFigure, PoolFigures } from './pool-figures.ts'
import { NOTHING } from './protocol.ts'
import { type Recovery, recover } from './recover.ts'
import { DaemonServer } from './server.ts'
import { SpareMemory } from './spare-memory.ts'
import type { SteppedCall } from './steps.ts'

export interface DaemonOptions {
  readonly socketPath: string
  readonly stateDir: string
  readonly version: string
  readonly ports: Ports
  readonly plugins: readonly Plugin<Ports>[]
  readonly findPlugin: (name: string) => Plugin<Ports> | undefined
  /** Where plugins of others are found when there is no caller to say so: as CNI_PATH. */
  readonly path: readonly string[]
  /** Where pods' leases are, as far as it can be known at the start. */
  readonly listDataDirs: () => readonly string[]
  /** Whose relay the ports have. */
  readonly queue?: CallQueue
  /** Connections at a time. */
  readonly maxClients?: number
  /** A port for the counters; else they are on the socket only. */
  readonly metricsAddress?: MetricsAddress | undefined
  /** Called after each call, with what it did step by step. */
  readonly onSteps?: ((call: SteppedCall) => void) | undefined
}

/** How long the kernel may take for a message of the relay; then the shim does what waits (native/shim.c). */
const PATIENCE_MS = 5_000

/** As native/shim.c does. */
export function identify(path: string): string {
  return loadNative().identify(path) ?? NOTHING
}

export class Daemon {
  readonly #options: DaemonOptions
  readonly #locks: CallLocks
  readonly #service: CallService
  readonly #server: DaemonServer
  readonly #metrics: CallMetrics
  readonly #delay = new LoopDelay()
  readonly #memory: SpareMemory
  readonly #stretches: LoopStretches
  readonly #pools: PoolFigures
  readonly #startedAtMs: number
  #metricsPort: MetricsPort | undefined
  #scrapeErrors = 0
  #isReady = false

  private constructor(options: DaemonOptions) {
    const { ports, findPlugin, stateDir, version, queue, onSteps, maxClients, socketPath: path } = options
    const native = loadNative()
    this.#options = options
    this.#startedAtMs = ports.clock.nowMs()
    this.#locks = CallLocks.open(`${stateDir}/${LOCKS_FILE}`, native)
    this.#metrics = new CallMetrics(() => ports.clock.nowMs())
    this.#memory = new SpareMemory({ trim: native.trimMemory, countCalls: () => this.#metrics.served })
    this.#stretches = new LoopStretches(() => ports.clock.nowMs())
    this.#pools = new PoolFigures(ports)
    const serveHttp = createHttpEndpoint({ ...this.#pages, status: () => this.status() })
    this.#service = new CallService({
      ports,
      onLeases: (dataDir) => this.#pools.addDataDir(dataDir),
      locks: this.#locks,
      findPlugin,
      metrics: this.#metrics,
      stretches: this.#stretches,
      netns: readlinkSync('/proc/self/ns/net'),
      identify,
      stateDir,
      version,
      serveHttp,
      queue,
      onSteps,
    })
    const areHeldUp = () => (queue?.relay.busyMs ?? 0) > PATIENCE_MS
    const onClient = () => this.#delay.watch()
    this.#server = new DaemonServer(this.#service, {
      path,
      native,
      areHeldUp,
      onClient,
      ...(maxClients !== undefined && { maxClients }),
    })
  }

  /** Resolves when calls are served. @throws DaemonError ERUNNING, StoreError */
  static async start(options: DaemonOptions): Promise<{ daemon: Daemon; recovery: Recovery }> {
    const daemon = new Daemon(options)
    return { daemon, recovery: await daemon.#start() }
  }

  get isReady(): boolean {
    return this.#isReady && !this.#service.isDraining
  }

  /** Resolves when no call runs or waits. */
  get idle(): Promise<void> {
    return this.#service.idle
  }

  /** Resolves when the last call is answered, and what it put off is done. */
  async stop(): Promise<void> {
    this.#service.drain()
    await this.#server.close()
    await this.#options.ports.kernel.finish()
    await this.#metricsPort?.close()
    this.#delay.stop()
    this.#memory.stop()
    this.#locks.close()
    this.#options.ports.close()
  }

  status(): object {
    const { version, socketPath, ports } = this.#options
    this.#enterPage()
    return {
      version,
      pid: process.pid,
      socket: socketPath,
      ready: this.isReady,
      startedAt: new Date(this.#startedAtMs).toISOString(),
      attachments: ports.attachments.count(),
      ...this.#service.queue,
      residentBytes: process.memoryUsage.rss(),
      openFiles: countOpenFiles(),
      eventLoopDelayMaxMs: this.#delay.maxMs,
      longestStretches: this.#stretches.longest,
      calls: this.#metrics.calls,
      leftToCaller: this.#metrics.refusals,
      abandoned: this.#metrics.abandoned,
      lastErrors: this.#metrics.errors,
    }
  }

  /** The socket comes last: a caller that finds it is served. The lock comes with it, and keeps a second daemon out. */
  async #start(): Promise<Recovery> {
    const { ports, plugins, path, metricsAddress, listDataDirs } = this.#options
    this.#server.lock()
    if (metricsAddress !== undefined) this.#metricsPort = await MetricsPort.open(metricsAddress, this.#pages)
    const recovery = await recover(ports, { plugins, locks: this.#locks, path })
    for (const dataDir of listDataDirs()) this.#pools.addDataDir(dataDir)
    this.#server.listen()
    this.#memory.start()
    this.#isReady = true
    return recovery
  }

  get #pages(): HttpPages {
    return { isReady: () => this.isReady, metrics: () => this.#formatMetrics() }
  }

  #enterPage(): void {
    this.#stretches.enter({ verb: 'page', plugin: '' })
  }

  async #formatMetrics(): Promise<string> {
    const { version } = this.#options
    const pools = await this.#readPools()
    this.#enterPage()
    return formatMetrics({
      version,
      isReady: this.isReady,
      ...this.#service.queue,
      attachments: this.#countAttachments(),
      pools,
      scrapeErrors: this.#scrapeErrors,
      startedAtMs: this.#startedAtMs,
      metrics: this.#metrics,
      delay: this.#delay,
      stretches: this.#stretches,
    })
  }

  /** A store that cannot be read keeps nobody from the other figures. */
  async #readPools(): Promise<readonly PoolFigure[]> {
    try {
      return await this.#pools.read()
    } catch (error) {
      return this.#unreadable(error) ?? []
    }
  }

  #countAttachments(): number | undefined {
    try {
      return this.#options.ports.attachments.count()
    } catch (error) {
      return this.#unreadable(error)
    }
  }

  #unreadable(error: unknown): undefined {
    if (!(error instanceof StoreError)) throw error
    this.#scrapeErrors++
  }
}
