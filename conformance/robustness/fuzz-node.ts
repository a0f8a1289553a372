// A node in memory for one case: the real plugins on a fake kernel and fake stores.

import { findPlugin } from '../../cmd/podwire/registry.ts'
import { CniError } from '../../lib/cni/errors.ts'
import { invoke, type Outcome } from '../../lib/cni/skel.ts'
import { FakeKernel } from '../../lib/host/kernel-fake.ts'
import type { Ports } from '../../lib/host/ports.ts'
import { SetMacs } from '../../lib/host/set-mac.ts'
import { MemoryLeaseStore } from '../../lib/ipam/lease-store-memory.ts'
import { silentLog } from '../../lib/log/log.ts'
import { MemoryAttachmentStore } from '../../lib/state/attachments-memory.ts'
import { codeOf, judgeAnswer } from './fuzz-judge.ts'
import type { FuzzCase } from './fuzz-mutate.ts'
import { type Places, VERBS } from './fuzz-seeds.ts'
import type { Random } from './random.ts'

export const FAKE_PLACES: Places = { pod: '/run/netns/pod', node: 'host', dataDir: '/var/lib/leases' }
const RESIDENT = '/run/netns/resident'
const BOOT = 'boot'

export interface Played {
  /** `ADD ok`, `DEL 7`. */
  readonly kind: string
  /** What is wrong; empty when nothing is. */
  readonly faults: readonly string[]
}

export async function playInMemory(fuzz: FuzzCase, random: Random): Promise<Played> {
  const node = new FuzzNode(random)
  if (fuzz.resident) await node.addResident()
  const before = node.look()
  const outcome = await node.call(fuzz)
  const { CNI_COMMAND: command } = fuzz.environment
  const known = VERBS.find((verb) => verb === command) ?? 'other'
  const kind = `${known} ${outcome.exitStatus === 0 ? 'ok' : codeOf(outcome.stdout)}`
  return { kind, faults: await judge(fuzz, { node, before, outcome }) }
}

interface Scene {
  readonly node: FuzzNode
  readonly before: readonly string[]
  readonly outcome: Outcome
}

async function judge(fuzz: FuzzCase, { node, before, outcome }: Scene): Promise<string[]> {
  const { CNI_COMMAND: command } = fuzz.environment
  const faults = judgeAnswer(command, outcome)
  const handles = node.kernel.openHandles()
  if (handles.length > 0) faults.push(`still open: ${handles}`)
  if (outcome.exitStatus !== 0) {
    const left = remains(before, node.look(), afterError(command))
    return [...faults, ...left.map((line) => `${line} after ${outcome.stdout.replaceAll(/\s+/g, ' ')}`)]
  }
  if (command !== 'ADD') return faults
  const undone = await node.call({ ...fuzz, environment: { ...fuzz.environment, CNI_COMMAND: 'DEL' } })
  if (undone.exitStatus !== 0) faults.push(`DEL of what ADD made: ${undone.stdout}`)
  return [...faults, ...remains(before, node.look(), { gone: OTHERS, more: PER_POD })]
}

/** What a pod has on a node and a bridge has not. */
const PER_POD = /^(?:lease |attachment |link \S+ veth |.*elements)/

/** What a pod that comes and goes must not take along; forceAddress lets it take a bridge's addresses. */
const OTHERS = /^(?!sysctl |(?:address|route) .*\b(?:cni0|br1)\b)/

interface Looked {
  readonly gone: RegExp
  readonly more: RegExp
}

/** A DEL or GC that fails has still taken away what it could. */
function afterError(command: string | undefined): Looked {
  return { gone: command === 'DEL' || command === 'GC' ? /^\b$/ : /./, more: /./ }
}

/** A pod's loopback interface comes up with the first interface, and stays; so do nftables' tables, empty of pods. */
const SHARED = /^(?:(?:link|address) lo |sysctl .*\/lo\/|table |\t(?!\s*elements)|\}|$)/

function remains(before: readonly string[], after: readonly string[], { gone, more }: Looked): string[] {
  return [
    ...before.filter((line) => !after.includes(line) && gone.test(line)).map((line) => `lost: ${line}`),
    ...after.filter((line) => !before.includes(line) && more.test(line)).map((line) => `left: ${line}`),
  ].filter((line) => !SHARED.test(line.slice('lost: '.length)))
}

class FuzzNode {
  readonly kernel = new FakeKernel()
  readonly #leases = new Map<string, MemoryLeaseStore>()
  readonly #attachments = new MemoryAttachmentStore(BOOT)
  readonly #random: Random

  constructor(random: Random) {
    this.#random = random
    this.kernel.addNamespace(FAKE_PLACES.pod)
  }

  async addResident(): Promise<void> {
    this.kernel.addNamespace(RESIDENT)
    const { dataDir } = FAKE_PLACES
    const ipam = { type: 'ipam-host-local', dataDir, ranges: [[{ subnet: '10.9.0.0/29' }]] }
    const config = {
      cniVersion: '1.1.0',
      name: 'net',
      type: 'cni-bridge',
      isGateway: true,
      ipMasq: true,
      ipam,
    }
    const environment = {
      CNI_COMMAND: 'ADD',
      CNI_CONTAINERID: 'resident',
      CNI_NETNS: RESIDENT,
      CNI_IFNAME: 'eth0',
      CNI_PATH: '/nowhere',
    }
    const { stdout, exitStatus } = await this.call({
      plugin: 'cni-bridge',
      environment,
      stdin: JSON.stringify(config),
    })
    if (exitStatus !== 0) throw new Error(stdout)
  }

  async call({ plugin: name, environment, stdin }: Omit<FuzzCase, 'resident'>): Promise<Outcome> {
    const plugin = findPlugin(name)
    if (plugin === undefined) throw new Error(`no plugin ${name}`)
    const about = { version: 'fuzz', name }
    return invoke(plugin, () => this.#ports(), { environment, readStdin: () => stdin }, about)
  }

  look(): string[] {
    const leases = [...this.#leases].flatMap(([directory, store]) =>
      store
        .read((reader) => reader.listHeld())
        .map((lease) => `lease ${directory} ${lease.network} ${lease.address} ${lease.containerId}`),
    )
    const attachments = this.#attachments
      .list({ anyBoot: true })
      .map(
        ({ plugin, network, containerId, ifname }) =>
          `attachment ${plugin} ${network} ${containerId} ${ifname}`,
      )
    // A bridge that other pods are on stays promiscuous even where the ADD that asked for it fails.
    const kernel = this.kernel.dump().replaceAll(/^(link \S+ bridge .*) promisc\b/gm, '$1')
    return [...kernel.split('\n'), ...leases, ...attachments]
  }

  #ports(): Ports {
    return {
      kernel: this.kernel,
      attachments: this.#attachments,
      leases: (directory) => {
        const store = this.#leases.get(directory) ?? new MemoryLeaseStore(BOOT)
        this.#leases.set(directory, store)
        return store
      },
      lockAttachment: () => () => undefined,
      delegates: {
        inProcess: findPlugin as never,
        exec: {
          find: async (type) => {
            throw new CniError(999, `failed to find plugin ${JSON.stringify(type)} in path []`)
          },
          run: () => Promise.reject(new Error('nothing was found')),
        },
      },
      files: { find: (path) => (path === '/etc/resolv.conf' ? 'nameserver 192.0.2.53\n' : undefined) },
      setMacs: new SetMacs(),
      clock: { nowMs: () => 1_700_000_000_000 },
      log: silentLog,
      random: (count) => Uint8Array.from({ length: count }, () => this.#random.below(256)),
      bootId: BOOT,
      close: () => undefined,
    }
  }
}
