// The daemon's life: it takes back what a crash left half made, listens, says that it is ready, serves; when told to
// stop it attaches nothing new, finishes what runs, and ends.

import { readdirSync, readlinkSync, statSync } from 'node:fs'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import type { Plugin } from '../cni/plugin.ts'
import { CallLocks, LOCKS_FILE } from '../host/call-lock.ts'
import type { Ports } from '../host/ports.ts'
import { loadNative } from '../native/native.ts'
import { CallService } from './call-service.ts'
import { createHttpEndpoint } from './http.ts'
import { CallMetrics, formatMetrics } from './metrics.ts'
import { NOTHING } from './protocol.ts'
import { type Recovery, recover } from './recover.ts'
import { DaemonServer } from './server.ts'

export interface DaemonOptions {
  readonly socketPath: string
  readonly stateDir: string
  readonly version: string
  readonly ports: Ports
  readonly plugins: readonly Plugin<Ports>[]
  readonly findPlugin: (name: string) => Plugin<Ports> | undefined
  /** Where plugins of others are found when there is no caller to say so: as CNI_PATH. */
  readonly path: readonly string[]
}

/** As native/shim.c does: what cannot be looked at (ELOOP, ENAMETOOLONG, …) is nothing. */
function identify(path: string): string {
  try {
    const { dev, ino } = statSync(path, { bigint: true })
    return `${dev.toString(16)}:${ino.toString(16)}`
  } catch {
    return NOTHING
  }
}

/** How often the event loop is looked at, which an idle daemon pays for. */
const DELAY_RESOLUTION_MS = 20
const NS_PER_SECOND = 1e9

export class Daemon {
  readonly #options: DaemonOptions
  readonly #locks: CallLocks
  readonly #service: CallService
  readonly #server: DaemonServer
  readonly #metrics: CallMetrics
  readonly #delay: ReturnType<typeof monitorEventLoopDelay>
  readonly #startedAtMs: number
  #isReady = false

  private constructor(options: DaemonOptions) {
    const { ports, findPlugin, stateDir, version, socketPath: path } = options
    const { lockByte, flock } = loadNative()
    this.#options = options
    this.#startedAtMs = ports.clock.nowMs()
    this.#locks = CallLocks.open(`${stateDir}/${LOCKS_FILE}`, lockByte)
    this.#metrics = new CallMetrics(() => ports.clock.nowMs())
    this.#delay = monitorEventLoopDelay({ resolution: DELAY_RESOLUTION_MS })
    const serveHttp = createHttpEndpoint({
      isReady: () => this.isReady,
      status: () => this.status(),
      metrics: () => formatMetrics(this.#metrics, this.#gauges()),
    })
    const { metrics, locks } = { metrics: this.#metrics, locks: this.#locks }
    this.#service = new CallService({
      ports,
      locks,
      findPlugin,
      metrics,
      netns: readlinkSync('/proc/self/ns/net'),
      identify,
      stateDir,
      version,
      serveHttp,
    })
    this.#server = new DaemonServer(this.#service, { path, flock })
  }

  /** Resolves when calls are served. @throws DaemonError ERUNNING, StoreError */
  static async start(options: DaemonOptions): Promise<{ daemon: Daemon; recovery: Recovery }> {
    const daemon = new Daemon(options)
    return { daemon, recovery: await daemon.#start() }
  }

  get isReady(): boolean {
    return this.#isReady && !this.#service.isDraining
  }

  /** Resolves when the last call is answered, and what it put off is done. */
  async stop(): Promise<void> {
    this.#service.drain()
    await this.#server.close()
    await this.#options.ports.kernel.finish()
    this.#delay.disable()
    this.#locks.close()
    this.#options.ports.close()
  }

  status(): object {
    const { version, socketPath, ports } = this.#options
    const { attachments: _, ...gauges } = this.#gauges()
    return {
      version,
      pid: process.pid,
      socket: socketPath,
      ready: this.isReady,
      startedAt: new Date(this.#startedAtMs).toISOString(),
      attachments: ports.attachments.list().length,
      ...gauges,
      calls: this.#metrics.calls.map(({ buckets: _, ...call }) => call),
      leftToCaller: this.#metrics.refusals,
      lastErrors: this.#metrics.errors,
    }
  }

  /** The socket comes last: a caller that finds it is served. The lock comes with it, and keeps a second daemon out. */
  async #start(): Promise<Recovery> {
    const { ports, plugins, path } = this.#options
    this.#server.lock()
    const recovery = await recover(ports, { plugins, locks: this.#locks, path })
    await this.#server.listen()
    this.#delay.enable()
    this.#isReady = true
    return recovery
  }

  #gauges() {
    const { running, waiting } = this.#service.queue
    const eventLoopDelayMaxSeconds = this.#delay.max / NS_PER_SECOND
    this.#delay.reset()
    return {
      running,
      waiting,
      attachments: this.#options.ports.attachments.list().length,
      residentBytes: process.memoryUsage.rss(),
      eventLoopDelayMaxSeconds,
      openFiles: readdirSync('/proc/self/fd').length,
    }
  }
}
