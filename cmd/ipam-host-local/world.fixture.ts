// A node for the plugin alone: it is called as a runtime calls it; of the kernel it asks which namespaces there are.

import { CNI_CODE, CniError } from '../../lib/cni/errors.ts'
import { invoke } from '../../lib/cni/skel.ts'
import { FakeKernel } from '../../lib/host/kernel-fake.ts'
import type { Ports } from '../../lib/host/ports.ts'
import { SetMacs } from '../../lib/host/set-mac.ts'
import type { LeaseStore } from '../../lib/ipam/lease-store.ts'
import { MemoryLeaseStore } from '../../lib/ipam/lease-store-memory.ts'
import { silentLog } from '../../lib/log/log.ts'
import { MemoryAttachmentStore } from '../../lib/state/attachments-memory.ts'
import { plugin } from './plugin.ts'

export const BOOT_ID = 'boot-1'
export const BOOTED_AT_MS = 1_700_000_000_000
export const DATA_DIR = '/data'
const NETNS = '/run/netns/pod'

const FILES: Readonly<Record<string, string>> = {
  '/proc/stat': `btime ${BOOTED_AT_MS / 1000}\n`,
  '/proc/1/stat': `1 (init) S ${'0 '.repeat(18)}0 1`,
  '/etc/pod.conf': 'nameserver 10.0.0.53\nsearch cluster.local\n',
}

export interface Call {
  /** Laid over those of `World`. */
  readonly ipam?: object
  readonly name?: string
  readonly ifname?: string
  readonly netns?: string
  readonly args?: string
  readonly cniVersion?: string
  readonly outer?: object
  /** More variables. */
  readonly environment?: Readonly<Record<string, string>>
}

/** The error object, or what was printed; undefined for nothing. */
export type Answer = Readonly<Record<string, unknown>> | undefined

export class World {
  readonly store: LeaseStore
  readonly ipam: object
  readonly logged: string[] = []
  readonly kernel = new FakeKernel()
  readonly attachments = new MemoryAttachmentStore(BOOT_ID)
  nowMs = BOOTED_AT_MS + 3_600_000

  constructor(ipam: object, store: LeaseStore = new MemoryLeaseStore(BOOT_ID)) {
    this.ipam = { type: 'host-local', dataDir: DATA_DIR, ...ipam }
    this.store = store
    this.kernel.addNamespace(NETNS)
  }

  /** Time goes one second further with each call. */
  async call(command: string, containerId: string, call: Call = {}): Promise<Answer> {
    this.nowMs += 1000
    const { name = 'net', ifname = 'eth0', args = '', cniVersion = '1.1.0', outer } = call
    const ipam = { ...this.ipam, ...call.ipam }
    const environment = {
      CNI_COMMAND: command,
      CNI_CONTAINERID: containerId,
      CNI_NETNS: call.netns ?? NETNS,
      CNI_IFNAME: ifname,
      CNI_ARGS: args,
      CNI_PATH: '/opt/cni/bin',
      ...call.environment,
    }
    const stdin = JSON.stringify({
      cniVersion,
      name,
      type: 'bridge',
      ipam,
      prevResult: { cniVersion },
      ...outer,
    })
    const { stdout } = await invoke(
      plugin,
      this.ports,
      { environment, readStdin: () => stdin },
      { version: '0' },
    )
    return stdout === '' ? undefined : JSON.parse(stdout)
  }

  /** The addresses of an ADD, or the message of its error. */
  async add(containerId: string, call: Call = {}): Promise<string> {
    const answer = await this.call('ADD', containerId, call)
    const ips = answer?.['ips'] as { address: string }[] | undefined
    return ips ? ips.map(({ address }) => address).join(' ') : String(answer?.['msg'])
  }

  /** `10.1.0.2 c1/eth0`, of all networks. */
  held(): string[] {
    return this.store.read((tx) =>
      tx.listHeld().map(({ address, containerId, ifname }) => `${address} ${containerId}/${ifname}`),
    )
  }

  get ports(): Ports {
    return {
      kernel: this.kernel,
      attachments: this.attachments,
      leases: () => this.store,
      lockAttachment: () => () => undefined,
      delegates: {
        inProcess: () => undefined,
        exec: {
          find: async (type) => {
            throw new CniError(CNI_CODE.internal, `no plugin ${type}`)
          },
          run: () => Promise.reject(new Error('nothing was found')),
        },
      },
      files: { find: (path) => FILES[path] },
      setMacs: new SetMacs(),
      clock: { nowMs: () => this.nowMs },
      log: {
        isDebug: false,
        child: () => silentLog,
        debug: () => undefined,
        info: (fields, message) => void this.logged.push(`info ${message} ${JSON.stringify(fields)}`),
        error: (fields, message) => void this.logged.push(`error ${message} ${JSON.stringify(fields)}`),
      },
      random: (count) => new Uint8Array(count),
      bootId: BOOT_ID,
      close: () => undefined,
    }
  }
}
