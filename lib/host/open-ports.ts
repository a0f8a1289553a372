// The ports of a process that serves one call: everything is opened when it is first used, and left to the kernel to
// close when the process ends.

import { statSync, writeSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { lazyDelegateExec } from '../cni/lazy-delegate-exec.ts'
import type { Plugin } from '../cni/plugin.ts'
import { LEASES_FILE, type LeaseStore } from '../ipam/lease-store.ts'
import { SqliteLeaseStore } from '../ipam/lease-store-sqlite.ts'
import { type Log, silentLog } from '../log/log.ts'
import { loadNative } from '../native/native.ts'
import { hasCode } from '../native/node-error.ts'
import type { Trace } from '../netlink/connection.ts'
import type { Relay } from '../netlink/relay.ts'
import type { Netns } from '../netns/netns.ts'
import type { AttachmentStore } from '../state/attachments.ts'
import { SqliteAttachmentStore } from '../state/attachments-sqlite.ts'
import { bootId } from '../state/boot.ts'
import { startedByFirstTry } from './call.ts'
import { callKey, LOCKS_FILE, lockCall, tryLockAttachment } from './call-lock.ts'
import { systemClock } from './clock.ts'
import { systemFiles } from './files.ts'
import { type Background, LiveKernel } from './kernel.ts'
import type { Ports } from './ports.ts'
import { randomBytes } from './random.ts'
import { SetMacs } from './set-mac.ts'
import { stateDirOf } from './state-dir.ts'

export const ATTACHMENTS_FILE = 'attachments.db'
/** Its name beside the executable (`podwire install --shim`). */
const SHIM = 'podwire-shim'

export interface HostOptions {
  /** PODWIRE_STATE_DIR: where attachments are recorded. PODWIRE_TRACE: `netlink` prints every message to stderr. */
  readonly environment: Readonly<Record<string, string | undefined>>
  /** Path of the running executable. */
  readonly executable: string
  /** Our own plugins, by our names and by upstream's. */
  readonly findPlugin: (type: string) => Plugin<Ports> | undefined
  readonly log?: Log | undefined
  /** Of a process that serves one call of this plugin: the call's attachment is locked until it ends. */
  readonly servedPlugin?: string
  /** Of a process that serves many calls. @see KernelOptions */
  readonly background?: Background
  /** Of such a process, too. @see KernelOptions */
  readonly relay?: Relay
  /** The node's network, where that is not the one that the process runs in. */
  readonly hostNetns?: Netns | undefined
  /** Of who only looks: in place of stores that are not there, so that none is made. */
  readonly emptyStores?: EmptyStores | undefined
}

export interface EmptyStores {
  readonly attachments: (bootId: string) => AttachmentStore
  readonly leases: (bootId: string) => LeaseStore
}

export function openPorts(options: HostOptions): Ports {
  const { environment, executable, findPlugin, log = silentLog, background, relay } = options
  const stateDir = stateDirOf(environment)
  const key = options.servedPlugin === undefined ? undefined : callKey(options.servedPlugin, environment)
  if (key !== undefined) lockCall(`${stateDir}/${LOCKS_FILE}`, key, loadNative())
  const boot = once(() => bootId((path) => systemFiles.find(path)))
  const attachments = once(() => openAttachments(`${stateDir}/${ATTACHMENTS_FILE}`, boot(), options))
  const leases = new Map<string, LeaseStore>()
  const trace = environment['PODWIRE_TRACE'] === 'netlink' ? traceToStderr : traceToLog(log)
  const kernel = new LiveKernel({ trace, background, relay, host: options.hostNetns })
  const openLeases = (dataDir: string) => {
    const store = leases.get(dataDir) ?? openLeaseStore(`${dataDir}/${LEASES_FILE}`, boot(), options)
    leases.set(dataDir, store)
    return store
  }
  return {
    kernel,
    get attachments(): AttachmentStore {
      return attachments()
    },
    leases: openLeases,
    lockAttachment: (key) => tryLockAttachment(`${stateDir}/${LOCKS_FILE}`, key, loadNative()),
    delegates: {
      inProcess: (type, path) => findOwnPlugin({ type, path, executable, findPlugin }),
      exec: lazyDelegateExec({
        stderr: writeToStderr,
        isOrphan: startedByFirstTry(environment),
      }),
    },
    files: systemFiles,
    setMacs: new SetMacs(),
    clock: systemClock,
    log,
    random: randomBytes,
    get bootId() {
      return boot()
    },
    close() {
      kernel.close()
      for (const store of leases.values()) store.close()
      if (attachments.isMade()) attachments().close()
    },
  }
}

type Opening = Pick<HostOptions, 'emptyStores'>

function openAttachments(path: string, bootId: string, { emptyStores }: Opening): AttachmentStore {
  if (emptyStores !== undefined && isMissing(path)) return emptyStores.attachments(bootId)
  return SqliteAttachmentStore.open(path, { bootId })
}

function openLeaseStore(path: string, bootId: string, { emptyStores }: Opening): LeaseStore {
  if (emptyStores !== undefined && isMissing(path)) return emptyStores.leases(bootId)
  return SqliteLeaseStore.open(path, { bootId })
}

function isMissing(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false }) === undefined
}

interface Delegation extends Pick<HostOptions, 'executable' | 'findPlugin'> {
  readonly type: string
  readonly path: readonly string[]
}

/**
 * A delegate that is ours runs in this process (a second start of Node.js costs 20 ms). By our own
 * name it always is; by upstream's only where the file that CNI_PATH has under it is this executable, or the shim beside
 * it.
 */
function findOwnPlugin({ type, path, executable, findPlugin }: Delegation): Plugin<never> | undefined {
  const plugin = findPlugin(type)
  if (plugin === undefined || plugin.name === type) return plugin
  const files = path.map((directory) => statSync(join(directory, type), { throwIfNoEntry: false }))
  const found = files.find((file) => file?.isFile())
  const own = [executable, join(dirname(executable), SHIM)].map((file) =>
    statSync(file, { throwIfNoEntry: false }),
  )
  const isOurs = own.some((file) => file !== undefined && file.dev === found?.dev && file.ino === found.ino)
  return isOurs ? plugin : undefined
}

/** At level debug every message to and from the kernel is a line of the log. */
function traceToLog(log: Log): Trace | undefined {
  return log.isDebug ? (line) => log.debug({ netlink: line }, 'netlink') : undefined
}

const traceToStderr: Trace = (line) => writeToStderr(Buffer.from(`${line}\n`))

/** Nobody who reads it, or who reads it too late, is no reason to fail. */
function writeToStderr(bytes: Uint8Array): void {
  try {
    writeSync(2, bytes)
  } catch (error) {
    if (!hasCode(error, 'EPIPE', 'EAGAIN')) throw error
  }
}

function once<T>(make: () => T): (() => T) & { isMade(): boolean } {
  let made: { value: T } | undefined
  const get = () => {
    made ??= { value: make() }
    return made.value
  }
  return Object.assign(get, { isMade: () => made !== undefined })
}
