// What a call does, step by step, with times: every change, wait and look that goes through its ports. A step is told by
// the command that does the same (`ip`, `nft`, `sysctl`). Calls run beside each other, so a step's time has in it what
// the daemon did for others while the kernel was at this one.

import type { Conntrack } from '../conntrack/conntrack.ts'
import type { Kernel, Namespace } from '../host/kernel.ts'
import type { Ports } from '../host/ports.ts'
import type { LeaseStore } from '../ipam/lease-store.ts'
import { type NftOperation, operationSummary } from '../nftables/operation.ts'
import { formatChange, formatRef } from '../rtnl/format.ts'
import type { Link } from '../rtnl/link.ts'
import type { AttachmentStore } from '../state/attachments.ts'
import type { Sysctl, SysctlSetting } from '../sysctl/sysctl.ts'
import type { Call } from './protocol.ts'

/** What is spoken to. */
export const STEP_KINDS = [
  'leases',
  'records',
  'namespace',
  'links',
  'sysctl',
  'nftables',
  'conntrack',
  'delegate',
] as const
export type StepKind = (typeof STEP_KINDS)[number]

export interface Step {
  readonly kind: StepKind
  /** A look changes nothing. */
  readonly does: 'change' | 'wait' | 'look'
  readonly where: 'node' | 'pod'
  /** Since the call began. */
  readonly atMs: number
  readonly durationMs: number
  readonly hasFailed: boolean
  /** A line for each thing that was done. Made when it is asked for. */
  readonly lines: () => string[]
}

/** A call that is over. */
export interface SteppedCall {
  readonly plugin: string
  readonly call: Call
  readonly hasFailed: boolean
  readonly durationMs: number
  readonly steps: readonly Step[]
}

type What = Pick<Step, 'kind' | 'does' | 'lines'>
type Describe = (method: string, args: readonly unknown[]) => What

/** @param onStep  called as each step ends @returns ports that do what the given ones do */
export function steppedPorts(ports: Ports, onStep: (step: Step) => void): Ports {
  const watch = new Watch(onStep)
  return {
    log: ports.log,
    files: ports.files,
    setMacs: ports.setMacs,
    lockAttachment: ports.lockAttachment,
    clock: ports.clock,
    random: ports.random,
    kernel: steppedKernel(ports.kernel, watch),
    get attachments() {
      return watch.port<AttachmentStore>(ports.attachments, 'node', describeRecords)
    },
    leases: (dataDir) =>
      watch.port<LeaseStore>(ports.leases(dataDir), 'node', (method) => describeLeases(method, dataDir)),
    delegates: {
      inProcess: ports.delegates.inProcess,
      exec: watch.port(ports.delegates.exec, 'node', describeDelegate),
    },
    get bootId() {
      return ports.bootId
    },
    close: () => ports.close(),
  }
}

/** Takes the time of what is called. */
class Watch {
  readonly #onStep: (step: Step) => void
  readonly #beganAt = performance.now()

  constructor(onStep: (step: Step) => void) {
    this.#onStep = onStep
  }

  /** @param onResult  sees what each method returns */
  port<T extends object>(
    target: T,
    where: Step['where'],
    describe: Describe,
    onResult: (result: unknown) => void = () => undefined,
  ): T {
    return new Proxy(target, {
      get: (_, name) => {
        const value: unknown = Reflect.get(target, name, target)
        if (typeof value !== 'function' || name === 'close') return value
        return (...args: unknown[]) =>
          this.run({ ...describe(String(name), args), where }, () => {
            const result: unknown = value.apply(target, args)
            if (!(result instanceof Promise)) onResult(result)
            else result.then(onResult, () => undefined)
            return result
          })
      },
    })
  }

  run<T>(what: What & Pick<Step, 'where'>, work: () => T): T {
    const beganAt = performance.now()
    const end = (hasFailed: boolean) => {
      const durationMs = performance.now() - beganAt
      this.#onStep({ ...what, atMs: beganAt - this.#beganAt, durationMs, hasFailed })
    }
    let result: T
    try {
      result = work()
    } catch (error) {
      end(true)
      throw error
    }
    if (!(result instanceof Promise)) end(false)
    else
      result.then(
        () => end(false),
        () => end(true),
      )
    return result
  }
}

function steppedKernel(kernel: Kernel, watch: Watch): Kernel {
  // Links of the node are told by their names in what is done inside the pod, too, where a namespace is a number.
  const namespaces = new Map<number, string>()
  let host: Namespace | undefined
  return {
    get host() {
      host ??= steppedNamespace(kernel.host, watch, { where: 'node', namespaces })
      return host
    },
    openNamespace(path) {
      const lines = () => [`open ${path}`]
      const what = { kind: 'namespace', does: 'look', where: 'pod', lines } as const
      const namespace = watch.run(what, () => kernel.openNamespace(path))
      namespaces.set(namespace.fd, path)
      return steppedNamespace(namespace, watch, { where: 'pod', namespaces })
    },
    finish: () => kernel.finish(),
    close: () => kernel.close(),
  }
}

interface Place {
  readonly where: Step['where']
  /** Paths by open files. */
  readonly namespaces: ReadonlyMap<number, string>
}

function steppedNamespace(namespace: Namespace, watch: Watch, { where, namespaces }: Place): Namespace {
  const names = new Map<number, string>()
  const onLink = (result: unknown) => {
    for (const one of Array.isArray(result) ? result : [result])
      if (isLink(one)) names.set(one.index, one.name)
  }
  const named = (text: string) =>
    text
      .replaceAll(/#(\d+)/g, (number, index) => names.get(Number(index)) ?? number)
      .replaceAll(/\/proc\/self\/fd\/(\d+)/g, (path, fd) => namespaces.get(Number(fd)) ?? path)
  const describeLinks: Describe = (method, args) => {
    const what = describeRtnl(method, args)
    return { ...what, lines: () => what.lines().map(named) }
  }
  return {
    fd: namespace.fd,
    inode: namespace.inode,
    get rtnl() {
      return watch.port(namespace.rtnl, where, describeLinks, onLink)
    },
    get nft() {
      return watch.port(namespace.nft, where, describeNft)
    },
    get conntrack() {
      return watch.port(namespace.conntrack, where, describeConntrack)
    },
    sysctl: watch.port(namespace.sysctl, where, describeSysctl),
    close: () => namespace.close(),
  }
}

function isLink(value: unknown): value is Link {
  return typeof value === 'object' && value !== null && 'index' in value && 'operstate' in value
}

const LINK_LOOKS: Readonly<Record<string, string>> = {
  getLink: 'ip link show',
  findLink: 'ip link show',
  listLinks: 'ip link show',
  listAddresses: 'ip addr show',
  listRoutes: 'ip route show',
  lookUpRoute: 'ip route get',
  listRules: 'ip rule show',
  listBridgeVlans: 'bridge vlan show',
  listQdiscs: 'tc qdisc show',
  listFilters: 'tc filter show',
}

const NFT_LOOKS: Readonly<Record<string, string>> = {
  listTables: 'nft list tables',
  listChains: 'nft list chains',
  listBaseChains: 'nft list hooks',
  listSets: 'nft list sets',
  listRules: 'nft list chain',
  listElements: 'nft list set',
  findElement: 'nft get element',
}

function describeRtnl(method: string, args: readonly unknown[]): What {
  const kind = 'links'
  const [first, second] = args as [never, { description: string }]
  switch (method) {
    case 'apply':
      return { kind, does: 'change', lines: () => (args as never[]).map(formatChange) }
    case 'waitForLink':
      return { kind, does: 'wait', lines: () => [`wait for ${formatRef(first)}: ${second.description}`] }
    default:
      return { kind, does: 'look', lines: () => [look(method, first)] }
  }
}

function look(method: string, ref: unknown): string {
  const dev = (ref as { dev?: unknown } | undefined)?.dev ?? ref
  const isRef = typeof dev === 'number' || typeof dev === 'string'
  return [LINK_LOOKS[method] ?? method, ...(isRef ? [formatRef(dev as never)] : [])].join(' ')
}

type Methods<T> = keyof T & string

const describeNft: Describe = (method, [operations]) =>
  method === 'apply'
    ? { kind: 'nftables', does: 'change', lines: () => nftLines(operations as NftOperation[]) }
    : { kind: 'nftables', does: 'look', lines: () => [NFT_LOOKS[method] ?? method] }

function nftLines(operations: readonly NftOperation[]): string[] {
  return operations.map((one) => `nft ${operationSummary(one)}`)
}

const describeSysctl: Describe = (method, args) =>
  method === ('set' satisfies Methods<Sysctl>)
    ? { kind: 'sysctl', does: 'change', lines: () => (args as SysctlSetting[]).map(sysctlLine) }
    : { kind: 'sysctl', does: 'look', lines: () => [`sysctl net/${args[0]}`] }

function sysctlLine({ key, value }: SysctlSetting): string {
  return `sysctl -w net/${key}=${value}`
}

const CONNTRACK_TEXTS: Readonly<Record<string, (addresses: string) => string>> = {
  flush: (addresses) => `forget the connections of ${addresses}`,
  settle: (addresses) => `wait until the connections of ${addresses} are forgotten`,
}

const describeConntrack: Describe = (method, [which]) => ({
  kind: 'conntrack',
  does: method === ('settle' satisfies Methods<Conntrack>) ? 'wait' : 'change',
  lines: () => [
    CONNTRACK_TEXTS[method]?.((which as readonly unknown[]).join(', ')) ??
      'forget the connections to ports that have a new owner',
  ],
})

const RECORD_TEXTS: Readonly<Record<string, string>> = {
  put: 'record what will be made',
  complete: 'record that all of it is made',
  delete: 'forget the record',
}

const describeRecords: Describe = (method) => {
  const text = RECORD_TEXTS[method]
  return {
    kind: 'records',
    does: text === undefined ? 'look' : 'change',
    lines: () => [text ?? 'look at the records'],
  }
}

function describeLeases(method: string, dataDir: string): What {
  const isChange = method === ('transaction' satisfies Methods<LeaseStore>)
  const text = isChange ? 'a transaction of the leases' : 'look at the leases'
  return { kind: 'leases', does: isChange ? 'change' : 'look', lines: () => [`${text} in ${dataDir}`] }
}

const describeDelegate: Describe = (method, [call]) => ({
  kind: 'delegate',
  does: method === 'run' ? 'change' : 'look',
  lines: () => [method === 'run' ? `run ${(call as { file: string }).file}` : `find ${String(call)}`],
})
