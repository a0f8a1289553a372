// A node in memory for tests of plugins: the fake kernel, stores in memory, and an IPAM, `test-ipam`, that hands out
// 10.1.0.5, fd00:1::5, and so on.

import { CniError, DelegateMissing } from '../cni/errors.ts'
import type { Plugin } from '../cni/plugin.ts'
import type { Command, Request } from '../cni/request.ts'
import type { Result, ResultRoute } from '../cni/result.ts'
import { SPEC_VERSIONS } from '../cni/versions.ts'
import { FakeKernel, type FakeKernelOptions } from '../host/kernel-fake.ts'
import type { Ports } from '../host/ports.ts'
import { SetMacs } from '../host/set-mac.ts'
import { silentLog } from '../log/log.ts'
import { MemoryAttachmentStore } from '../state/attachments-memory.ts'
import { StoreError } from '../state/store-error.ts'

const BOOT = 'boot-1'
/** Of what ADD makes, this stays when the last pod goes: empty tables do no harm, and the next ADD needs them. */
const EMPTY_TABLE = /table (?:inet|bridge) podwire \{\n(?:(?!elements|\n\}\n)[\s\S])*\n\}\n\n?/g

export interface Scene {
  readonly kernel: FakeKernel
  readonly ports: Ports
  /** What the IPAM has given, by container. */
  readonly leases: Map<string, Result>
  readonly files: Map<string, string>
  nowMs: number
  /** What the IPAM gives beside addresses. */
  routes: readonly ResultRoute[]
  /** A pod's namespace is made when it is first named. */
  request(command: Command, netconf: object, pod?: Partial<Pod>): Request
  /** Kernel, leases and records. */
  dump(): string
  /** Refuses what follows from now on. */
  refuse: (operation: string) => 'EPERM' | 'ENOSPC' | undefined
}

/** Whom a request is about. */
export interface Pod {
  readonly containerId: string
  readonly ifname: string
  readonly netns: string
  readonly prevResult: Result
  /** CNI_ARGS. */
  readonly args: ReadonlyMap<string, string>
}

export const ADDRESSES: Result = {
  ips: [
    { address: '10.1.0.5/24', gateway: '10.1.0.1' },
    { address: 'fd00:1::5/64', gateway: 'fd00:1::1' },
  ],
}

export function makeScene(options: Omit<FakeKernelOptions, 'refuse'> = {}): Scene {
  const kernel = new FakeKernel({ ...options, refuse: (operation) => scene.refuse(operation) })
  const leases = new Map<string, Result>()
  const files = new Map<string, string>()
  const ask = (operation: string) => {
    const code = scene.refuse(operation)
    if (code !== undefined) throw new CniError(999, `${operation}: ${code}`)
  }
  const ipam = testIpam(leases, ask, () => scene.routes)
  let random = 0
  const attachments = new RefusingStore(ask)
  const ports: Ports = {
    kernel,
    attachments,
    leases: () => {
      throw new Error('the leases of these tests are in the IPAM of the fixture')
    },
    lockAttachment: () => () => undefined,
    delegates: {
      inProcess: (type) => (type === ipam.name ? (ipam as Plugin<never>) : undefined),
      exec: {
        find: async (type) => {
          throw new DelegateMissing(`failed to find plugin "${type}" in path []`, '')
        },
        run: async () => ({ status: 0, signal: null, stdout: '', stderr: '' }),
      },
    },
    files: { find: (path) => files.get(path) },
    setMacs: new SetMacs(),
    clock: { nowMs: () => scene.nowMs },
    log: silentLog,
    random: (count) => Uint8Array.from({ length: count }, () => ++random & 0xff),
    bootId: BOOT,
    close: () => undefined,
  }
  const namespaces = new Set<string>()
  const scene: Scene = {
    kernel,
    ports,
    leases,
    files,
    nowMs: 1_000_000,
    routes: [],
    refuse: () => undefined,
    request(command, netconf, { containerId = 'pod-1', ifname = 'eth0', netns, prevResult, args } = {}) {
      const path = netns ?? `/run/netns/${containerId}`
      if (!namespaces.has(path) && path !== '' && netns === undefined) kernel.addNamespace(path)
      namespaces.add(path)
      return requestOf({
        command,
        netconf,
        containerId,
        ifname,
        netns: path,
        prevResult,
        args: args ?? new Map(),
      })
    },
    dump: () =>
      [
        // Tables in one order, whichever was made first.
        ...kernel
          .dump()
          .replaceAll(EMPTY_TABLE, '')
          .split(/^(?=(?:table|namespace) )/m)
          .map((part) => `${part.trimEnd()}\n`)
          .sort(),
        ...[...leases.keys()].sort().map((holder) => `lease of ${holder}\n`),
        ...attachments.list().map((one) => `attachment ${one.network} ${one.containerId} ${one.ifname}\n`),
      ].join(''),
  }
  return scene
}

interface Call extends Omit<Pod, 'prevResult'> {
  readonly command: Command
  readonly netconf: object
  readonly prevResult: Result | undefined
}

function requestOf({ command, netconf, containerId, ifname, netns, prevResult, args }: Call): Request {
  return {
    command,
    containerId,
    netns,
    ifname,
    args,
    path: [],
    netnsOverride: false,
    stdin: JSON.stringify(netconf),
    netconf: netconf as Request['netconf'],
    name: 'net',
    cniVersion: '1.1.0',
    prevResult,
    environment: {},
  }
}

class RefusingStore extends MemoryAttachmentStore {
  readonly #ask: (operation: string) => void

  constructor(ask: (operation: string) => void) {
    super(BOOT)
    this.#ask = ask
  }

  override put(...args: Parameters<MemoryAttachmentStore['put']>): void {
    this.#ask('record the attachment')
    super.put(...args)
  }

  override probe(): void {
    try {
      this.#ask('probe the store')
    } catch {
      const failure = {
        operation: 'write',
        path: '/run/podwire/attachments.db',
        why: 'no space',
        remedy: 'free space',
      }
      throw new StoreError('EFULL', failure)
    }
  }
}

function testIpam(
  leases: Map<string, Result>,
  ask: (operation: string) => void,
  routesOf: () => readonly ResultRoute[],
): Plugin<Ports> {
  const holder = ({ containerId, ifname }: Request) => `${containerId} ${ifname}`
  return {
    name: 'test-ipam',
    supportedVersions: SPEC_VERSIONS,
    async add(_, request) {
      ask('lease addresses')
      const number = 5 + leases.size
      const ips = (ADDRESSES.ips ?? []).map(({ address, ...ip }) => ({
        ...ip,
        address: address.replace('5/', `${number}/`),
      }))
      leases.set(holder(request), { ips })
      const routes = routesOf()
      return { ips, ...(routes.length === 0 ? {} : { routes }) }
    },
    async del(_, request) {
      leases.delete(holder(request))
    },
    async check(_, request) {
      if (!leases.has(holder(request))) throw new CniError(999, 'no lease')
    },
    async status() {
      if (leases.size >= 2) throw new CniError(50, 'no addresses left', { details: 'a larger range' })
    },
    async findGarbage() {
      return []
    },
  }
}

/**
 * Does something again and again on new nodes, refusing the first, second, … thing that it asks the kernel or a store
 * for, until it is done with nothing refused.
 *
 * @param look  at what is there when it failed for it
 * @returns how many things it asks for
 */
export async function refuseEach(
  make: () => Promise<Scene>,
  act: (scene: Scene) => Promise<unknown>,
  look: (scene: Scene, before: string, refused: string) => void,
): Promise<number> {
  for (let n = 1; ; n++) {
    const scene = await make()
    const before = scene.dump()
    let count = 0
    let refused = ''
    scene.refuse = (operation) => {
      count += 1
      if (count === n) refused = operation
      return count === n ? 'EPERM' : undefined
    }
    const failed = await act(scene).then(
      () => false,
      () => true,
    )
    scene.refuse = () => undefined
    if (refused === '') return n - 1
    if (failed) look(scene, before, refused)
  }
}

/**
 * As refuseEach, but nothing more is done after the first, second, … thing, undoing included: as when the process is
 * killed there.
 *
 * @param look  at what is there then
 */
export async function killEach(
  make: () => Promise<Scene>,
  act: (scene: Scene) => Promise<unknown>,
  look: (scene: Scene, before: string, last: string) => Promise<void>,
): Promise<number> {
  for (let n = 1; ; n++) {
    const scene = await make()
    const before = scene.dump()
    let count = 0
    let last = ''
    scene.refuse = (operation) => {
      count += 1
      if (count === n) last = operation
      return count > n ? 'EPERM' : undefined
    }
    await act(scene).catch(() => undefined)
    scene.refuse = () => undefined
    if (count <= n) return n
    await look(scene, before, last)
  }
}
