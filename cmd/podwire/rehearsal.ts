// Pods that nobody has, before the first that somebody waits for. V8 interprets a function until it has run some hundred
// times, and a node's pods are too few for that; so a daemon that has started attaches and detaches some in namespaces of
// its own, through a second daemon in the same process. Nothing of the node is touched: its network is another, the stores
// are in a directory that goes. A daemon that is killed meanwhile leaves that directory for the next one, nothing else.

import { mkdirSync, readlinkSync, rmSync, statSync } from 'node:fs'
import { dirname } from 'node:path'
import type { Plugin } from '../../lib/cni/plugin.ts'
import { CallQueue } from '../../lib/daemon/call-queue.ts'
import { callDaemon } from '../../lib/daemon/client.ts'
import { Daemon, identify } from '../../lib/daemon/daemon.ts'
import { PLACES } from '../../lib/daemon/protocol.ts'
import { openPorts } from '../../lib/host/open-ports.ts'
import type { Ports } from '../../lib/host/ports.ts'
import { Netns } from '../../lib/netns/netns.ts'

export interface RehearsalOptions {
  /** In it a directory is made, and removed. */
  readonly stateDir: string
  readonly executable: string
  readonly version: string
  readonly plugins: readonly Plugin<Ports>[]
  readonly findPlugin: (name: string) => Plugin<Ports> | undefined
  /** How many come and go. */
  readonly pods: number
  /** Resolves when nobody waits for a call: those come first. */
  readonly idle: () => Promise<void>
  readonly isStopped: () => boolean
}

export interface Rehearsal {
  /** Pods that came and went. */
  readonly pods: number
  readonly durationMs: number
}

/**
 * So many come and go side by side, each in its own namespace: one waits for the kernel while another is made. A real call
 * waits for what these are about, no longer.
 */
const LANES = 4

/** First as calls come mostly, of which the daemon asks the kernel itself; then as many come, by the relay (CallQueue). */
const PARTS = [Number.POSITIVE_INFINITY, 1]

/** Where it is not, masquerading would load connection tracking. */
const CONNTRACK = '/proc/sys/net/netfilter/nf_conntrack_count'

/** @throws Error whatever went wrong; all is as it was */
export async function rehearse(options: RehearsalOptions): Promise<Rehearsal> {
  const beganAt = performance.now()
  const directory = `${options.stateDir}/rehearsal`
  rmSync(directory, { recursive: true, force: true })
  mkdirSync(directory, { recursive: true, mode: 0o700 })
  const namespaces: Netns[] = []
  const makeNamespace = () => {
    const netns = Netns.create()
    namespaces.push(netns)
    return netns
  }
  let pods = 0
  const play = async (lanes: readonly Netns[], stage: Stage, end: number) => {
    const failures: unknown[] = []
    const followLane = async (pod: Netns) => {
      while (pods < end && failures.length === 0 && !options.isStopped()) await stage.comeAndGo(pod, pods++)
    }
    // The stage closes when all are through, whatever became of one.
    await Promise.all(lanes.map((pod) => followLane(pod).catch((error) => failures.push(error))))
    await stage.close()
    if (failures.length > 0) throw failures[0]
  }
  try {
    const lanes = Array.from({ length: LANES }, makeNamespace)
    for (const [i, several] of PARTS.entries()) {
      if (options.isStopped()) break
      const stage = await openStage(options, { directory, host: makeNamespace(), several })
      await play(lanes, stage, (options.pods * (i + 1)) / PARTS.length)
    }
  } finally {
    for (const netns of namespaces) netns.close()
    rmSync(directory, { recursive: true, force: true })
  }
  return { pods, durationMs: Math.round(performance.now() - beganAt) }
}

interface Place {
  readonly directory: string
  readonly host: Netns
  readonly several: number
}

interface Stage {
  comeAndGo(pod: Netns, number: number): Promise<void>
  close(): Promise<void>
}

async function openStage(options: RehearsalOptions, { directory, host, several }: Place): Promise<Stage> {
  const { executable, version, plugins, findPlugin, idle } = options
  const environment = { PODWIRE_STATE_DIR: directory }
  // With one, each DEL would wait until the kernel has let go of the link before. With the daemon's own, fewer than libuv has.
  const background = { deletionThreads: LANES - 1, onConnectionsKept: () => undefined }
  const queue = new CallQueue({ several })
  const { relay } = queue
  const ports = openPorts({ environment, executable, findPlugin, background, relay, hostNetns: host })
  const socketPath = `${directory}/podwire.sock`
  const { daemon } = await Daemon.start({
    socketPath,
    stateDir: directory,
    version,
    ports,
    plugins,
    findPlugin,
    path: [],
    listDataDirs: () => [],
    queue,
  })
  const netns = readlinkSync('/proc/self/ns/net')
  const call = async (command: 'ADD' | 'DEL', pod: Netns, number: number) => {
    const containerId = `rehearsal-${number}`
    const { exitStatus, stdout } = await callDaemon(socketPath, {
      plugin: 'cni-bridge',
      netns,
      places: [...PLACES, pod.path].map(identify),
      environment: {
        ...environment,
        CNI_COMMAND: command,
        CNI_CONTAINERID: containerId,
        CNI_NETNS: pod.path,
        CNI_IFNAME: 'eth0',
        CNI_PATH: dirname(executable),
        CNI_ARGS: `IgnoreUnknown=1;K8S_POD_NAMESPACE=rehearsal;K8S_POD_NAME=${containerId}`,
      },
      stdin: configOf(number, directory),
    })
    if (exitStatus !== 0) throw new Error(`${command}: ${stdout}`)
  }
  return {
    async comeAndGo(pod: Netns, number: number) {
      for (const command of ['ADD', 'DEL'] as const) {
        await idle()
        await call(command, pod, number)
      }
    },
    close: () => daemon.stop(),
  }
}

/** By turns with one family and with both, with and without masquerade. */
function configOf(number: number, directory: string): string {
  const isDual = number % 2 === 1
  const isMasqueraded = number % 4 > 1 && statSync(CONNTRACK, { throwIfNoEntry: false }) !== undefined
  const ranges = [[{ subnet: '10.9.0.0/16' }], ...(isDual ? [[{ subnet: 'fd00:9::/64' }]] : [])]
  return JSON.stringify({
    cniVersion: '1.0.0',
    name: 'rehearsal',
    type: 'cni-bridge',
    isDefaultGateway: true,
    ipMasq: isMasqueraded,
    hairpinMode: true,
    ipam: { type: 'ipam-host-local', ranges, dataDir: `${directory}/networks` },
  })
}
