// A call of the shim's as the plugin's own process would run it: the same skeleton, the same plugins, the same stores.
// What this process cannot do in the caller's place, it leaves to the caller.

import type { Socket } from 'node:net'
import { dirname } from 'node:path'
import type { DelegateExec } from '../cni/delegate.ts'
import { causesOf } from '../cni/errors.ts'
import { lazyDelegateExec } from '../cni/lazy-delegate-exec.ts'
import type { Plugin } from '../cni/plugin.ts'
import { invoke } from '../cni/skel.ts'
import { type CallKey, type CallLocks, callKey } from '../host/call-lock.ts'
import type { Ports } from '../host/ports.ts'
import { stateDirOf } from '../host/state-dir.ts'
import { callFields, type LogFields, lazyChild } from '../log/log.ts'
import { StoreError } from '../state/store-error.ts'
import { CallQueue, type QueueState } from './call-queue.ts'
import { CallWatch } from './call-watch.ts'
import { type LoopStretches, roundMs } from './loop-stretches.ts'
import { type CallMetrics, type FallbackReason, verbOf } from './metrics.ts'
import { type Call, NOTHING, type Outcome, PLACES } from './protocol.ts'
import type { Answer, Client, Service } from './server.ts'
import { type Step, type SteppedCall, steppedPorts } from './steps.ts'
import { CallPorts } from './timed-ports.ts'
import { STEP } from './timed-steps.ts'

export interface CallServiceOptions {
  readonly ports: Ports
  /** Told which stores of leases calls have opened. */
  readonly onLeases?: (dataDir: string) => void
  readonly locks: CallLocks
  readonly findPlugin: (name: string) => Plugin<Ports> | undefined
  readonly metrics: CallMetrics
  readonly stretches: LoopStretches
  /** The text of our link /proc/self/ns/net: a caller in another network means another node. */
  readonly netns: string
  /** Device and inode of what is behind a path here, as in the call. */
  readonly identify: (path: string) => string
  /** As PODWIRE_STATE_DIR; a caller that names another has other records. */
  readonly stateDir: string
  readonly version: string
  readonly serveHttp: (socket: Socket) => void
  /** Called after each call that ran; without it nobody looks at steps. */
  readonly onSteps?: ((call: SteppedCall) => void) | undefined
  readonly queue?: CallQueue | undefined
}

/** Of what delegates write to their stderr, for the caller's; more would be ours to keep. */
const MAX_STDERR_BYTES = 1 << 20

/** A delegate that is ours under another path would come back to the daemon, which waits for it. */
export const NO_DAEMON = 'PODWIRE_NO_DAEMON'

export class CallService implements Service {
  readonly #options: CallServiceOptions
  readonly #queue: CallQueue
  /** Our mount namespace, as `identify` tells it. */
  readonly #mounts: string
  #isDraining = false

  constructor(options: CallServiceOptions) {
    this.#options = options
    this.#queue = options.queue ?? new CallQueue()
    this.#mounts = options.identify('/proc/self/ns/mnt')
  }

  get queue(): QueueState {
    return this.#queue.state
  }

  get isDraining(): boolean {
    return this.#isDraining
  }

  /** Resolves when no call runs or waits. */
  get idle(): Promise<void> {
    return this.#queue.idle
  }

  /** From now on nothing new is attached; what runs goes on, and DEL is served. */
  drain(): void {
    this.#isDraining = true
  }

  async answer(call: Call, client: Client): Promise<Answer> {
    const { metrics, stretches, findPlugin } = this.#options
    const plugin = findPlugin(call.plugin)
    const holding = { verb: verbOf(call), plugin: plugin?.name ?? 'other' }
    stretches.enter(holding)
    if (plugin === undefined)
      return this.#refuse(call, ['unknown_plugin', `no plugin is called "${call.plugin}"`])
    const obstacle = this.#obstacle(call)
    if (obstacle !== undefined) return this.#refuse(call, obstacle)
    const key = callKey(plugin.name, call.environment)
    const watch = new CallWatch({ holding, stretches, refusals: metrics })
    const beganAt = performance.now()
    const queued = { key: key?.containerId, attaches: holding.verb === 'ADD' }
    const answer = await this.#queue.run(queued, () => {
      stretches.enter(holding)
      watch.add(STEP.queue, performance.now() - beganAt)
      return this.#run(call, { plugin, key, client, watch })
    })
    if (client.isGone) metrics.countAbandoned()
    if ('refusal' in answer) return answer
    const durationMs = performance.now() - beganAt
    // After the answer is sent: who waits for it needs neither counters nor a log.
    process.nextTick(() => {
      metrics.count(plugin.name, call, { answer, durationMs, stepsMs: watch.spentMs })
      this.#log(call, answer, watch.totalMs)
    })
    return answer
  }

  refused(reason: FallbackReason, why: string): void {
    this.#options.metrics.countRefusal(reason, why)
  }

  serveHttp(socket: Socket): void {
    this.#options.serveHttp(socket)
  }

  #obstacle({ netns, places, environment }: Call): Obstacle | undefined {
    const { stateDir, identify } = this.#options
    // libcni asks every plugin of every network, with "dummy" for all that names a path.
    if (environment['CNI_COMMAND'] === 'VERSION') return undefined
    if (this.#isDraining && environment['CNI_COMMAND'] === 'ADD')
      return ['stopping', 'the daemon is stopping']
    if (netns !== this.#options.netns)
      return ['other_network', `the caller is in ${netns}, the daemon in ${this.#options.netns}`]
    const paths = [...PLACES, environment['CNI_NETNS'] ?? '']
    const other = paths.find((path, i) => places[i] !== (path === '' ? NOTHING : identify(path)))
    if (other !== undefined) return ['other_files', `${other} is something else to the caller`]
    if (stateDirOf(environment) !== stateDir)
      return ['other_state', 'the caller has another PODWIRE_STATE_DIR']
    if (environment['PODWIRE_LOG'] || environment['PODWIRE_TRACE'])
      return ['own_log', 'the caller wants a log of its own']
    return hasRelativePath(environment)
      ? ['relative_path', 'the caller’s paths are relative to its working directory']
      : undefined
  }

  /**
   * Of a caller in another mount namespace: whether something is mounted for one of both on the way to the directory. (A link
   * on the way is followed as it leads from here.)
   */
  #isOtherTo({ pid }: Client, directory: string): boolean {
    const { identify } = this.#options
    const mounts = identify(`/proc/${pid}/ns/mnt`)
    if (mounts === NOTHING || mounts === this.#mounts) return false
    for (let path = directory; ; path = dirname(path)) {
      const own = identify(path)
      if (own !== identify(`/proc/${pid}/root${path}`)) return true
      // What is not there yet will be made below what is.
      if (own !== NOTHING || path === dirname(path)) return false
    }
  }

  #refuse(call: Call, [reason, why]: Obstacle): Answer {
    this.#options.metrics.countRefusal(reason, why)
    this.#options.ports.log.info({ ...fieldsOf(call), why }, 'left to the caller')
    return { refusal: why }
  }

  async #run(call: Call, running: Running): Promise<Answer> {
    const { locks } = this.#options
    const { key, client } = running
    // It was given up before it began; its caller does it itself, or has no use for it.
    if (client.isGone) return { refusal: 'the caller is gone' }
    const obstacle = key && whyLocked(locks, key)
    if (obstacle !== undefined) return this.#refuse(call, obstacle)
    try {
      return await this.#invoke(call, running)
    } finally {
      if (key !== undefined) locks.release(key)
    }
  }

  async #invoke(call: Call, { plugin, client, watch }: Running): Promise<Answer> {
    const { ports, version, onLeases, onSteps } = this.#options
    const { environment } = call
    const log = lazyChild(ports.log, () => fieldsOf(call))
    const stderr = new Beginning(MAX_STDERR_BYTES)
    const delegates = lazyDelegateExec({
      stderr: (chunk) => stderr.add(chunk),
      environment: { [NO_DAEMON]: '1' },
      get abandoned() {
        return client.gone
      },
    })
    const exec: DelegateExec = {
      find: (...args) => delegates.find(...args),
      run: (delegate) => this.#queue.whileAway(() => delegates.run(delegate)),
    }
    const leases = (dataDir: string) => {
      if (this.#isOtherTo(client, dataDir)) throw new OtherFiles(dataDir)
      const store = ports.leases(dataDir)
      onLeases?.(dataDir)
      return store
    }
    const own = new CallPorts(ports, { log, delegates: { ...ports.delegates, exec }, leases }, watch)
    const steps: Step[] = []
    const watched = onSteps === undefined ? own : steppedPorts(own, (step) => steps.push(step))
    const invocation = { environment, readStdin: () => call.stdin }
    const beganAt = performance.now()
    // The ports are asked for when all that the caller said has been read.
    const afterParsing = () => {
      watch.add(STEP.parse, performance.now() - beganAt)
      return watched
    }
    const { thrown, ...outcome } = await invoke(plugin, afterParsing, invocation, {
      version,
      name: call.plugin,
    })
    const obstacle = obstacleIn(thrown)
    if (obstacle !== undefined) return this.#refuse(call, obstacle)
    const totalMs = performance.now() - beganAt
    watch.finish(totalMs)
    onSteps?.({
      plugin: plugin.name,
      call,
      hasFailed: outcome.exitStatus !== 0,
      durationMs: roundMs(totalMs),
      steps,
    })
    return { ...outcome, stderr: stderr.text() + outcome.stderr }
  }

  #log(call: Call, { exitStatus, stdout }: Outcome, totalMs: number): void {
    const { log } = this.#options.ports
    const fields = { ...fieldsOf(call), durationMs: roundMs(totalMs) }
    if (exitStatus === 0) log.info(fields, 'done')
    else log.error({ ...fields, answer: stdout }, 'refused')
  }
}

function fieldsOf({ plugin, environment }: Call): LogFields {
  return { plugin, ...callFields(environment) }
}

/** Why the caller must make the call itself: in a word, and for people. */
type Obstacle = readonly [reason: FallbackReason, why: string]

/** Thrown where it is known, in the middle of a call: what was done by then is undone. */
class OtherFiles extends Error {
  readonly obstacle: Obstacle

  constructor(path: string) {
    super(`${path} is something else to the caller`)
    this.obstacle = ['other_files', this.message]
  }
}

/** What stopped a call that the caller can make itself: the executable beside the shim may be newer than this process. */
function obstacleIn(thrown: unknown): Obstacle | undefined {
  for (const cause of causesOf(thrown)) {
    if (cause instanceof OtherFiles) return cause.obstacle
    if (cause instanceof StoreError && cause.code === 'ENEWER') return ['newer_store', cause.message]
  }
  return undefined
}

interface Running {
  readonly watch: CallWatch
  readonly plugin: Plugin<Ports>
  readonly key: CallKey | undefined
  readonly client: Client
}

/** @returns undefined when the lock is had */
function whyLocked(locks: CallLocks, key: CallKey): Obstacle | undefined {
  try {
    return locks.acquire(key) ? undefined : ['locked', 'another process is at this attachment']
  } catch (error) {
    return ['no_lock', `its lock cannot be had: ${error instanceof Error ? error.message : String(error)}`]
  }
}

/** The first bytes of what is written. */
class Beginning {
  readonly #chunks: Uint8Array[] = []
  #room: number

  constructor(bytes: number) {
    this.#room = bytes
  }

  add(chunk: Uint8Array): void {
    const kept = chunk.subarray(0, this.#room)
    if (kept.length > 0) this.#chunks.push(kept)
    this.#room -= kept.length
  }

  text(): string {
    return Buffer.concat(this.#chunks).toString()
  }
}

function hasRelativePath({
  CNI_NETNS: netns = '',
  CNI_PATH: path = '',
}: Readonly<Record<string, string>>): boolean {
  return [netns, ...path.split(':')].some((one) => one !== '' && !one.startsWith('/'))
}
