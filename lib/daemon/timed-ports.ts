// The daemon's ports, with what is one call's own in their place, and with a watch that sees what is asked of them.

import type { DelegateExec } from '../cni/delegate.ts'
import type { Conntrack } from '../conntrack/conntrack.ts'
import type { Kernel, Namespace } from '../host/kernel.ts'
import type { Ports } from '../host/ports.ts'
import type { Nft } from '../nftables/nft.ts'
import type { Rtnl } from '../rtnl/rtnl.ts'
import type { AttachmentStore } from '../state/attachments.ts'
import type { Sysctl } from '../sysctl/sysctl.ts'
import type { CallWatch } from './call-watch.ts'
import { STEP } from './timed-steps.ts'

type OwnPorts = Pick<Ports, 'log' | 'delegates' | 'leases'>

// Classes and not objects with getters, which V8 makes anew for each call.

export class CallPorts implements Ports {
  readonly log: Ports['log']
  readonly delegates: Ports['delegates']
  readonly files: Ports['files']
  readonly setMacs: Ports['setMacs']
  readonly kernel: Kernel
  readonly leases: Ports['leases']
  readonly lockAttachment: Ports['lockAttachment']
  readonly clock: Ports['clock']
  readonly random: Ports['random']
  readonly #ports: Ports
  readonly #watch: CallWatch
  #attachments: AttachmentStore | undefined

  constructor(ports: Ports, own: OwnPorts, watch: CallWatch) {
    this.log = own.log
    this.delegates = { inProcess: own.delegates.inProcess, exec: timedExec(own.delegates.exec, watch) }
    this.files = {
      find: (path) => watch.call(STEP.files, ports.files, [ports.files.find, [path]]),
    }
    this.setMacs = ports.setMacs
    this.kernel = new CallKernel(ports.kernel, watch)
    this.leases = (dataDir) => timed(own.leases(dataDir), STEP.lease, watch)
    this.lockAttachment = ports.lockAttachment
    this.clock = ports.clock
    this.random = ports.random
    this.#ports = ports
    this.#watch = watch
  }

  get attachments(): AttachmentStore {
    this.#attachments ??= timed(this.#ports.attachments, STEP.record, this.#watch)
    return this.#attachments
  }

  get bootId(): string {
    return this.#ports.bootId
  }

  /** They are the daemon's. */
  close(): void {}
}

function timedExec(exec: DelegateExec, watch: CallWatch): DelegateExec {
  return {
    find: (...args) => watch.call(STEP.delegate, exec, [exec.find, args]),
    run: (...args) => watch.call(STEP.delegate, exec, [exec.run, args]),
  }
}

class CallKernel implements Kernel {
  readonly #kernel: Kernel
  readonly #watch: CallWatch
  #host: Namespace | undefined

  constructor(kernel: Kernel, watch: CallWatch) {
    this.#kernel = kernel
    this.#watch = watch
  }

  get host(): Namespace {
    this.#host ??= new CallNamespace(this.#kernel.host, this.#watch, OF_NODE)
    return this.#host
  }

  openNamespace(path: string): Namespace {
    const pod = this.#watch.call(STEP.pod, this.#kernel, [this.#kernel.openNamespace, [path]])
    return new CallNamespace(pod, this.#watch, OF_POD)
  }

  finish(): Promise<void> {
    return this.#kernel.finish()
  }

  close(): void {
    this.#kernel.close()
  }
}

/** Which steps what is asked of a namespace belongs to. */
type NamespaceSteps = Readonly<Record<'rtnl' | 'nft' | 'conntrack' | 'sysctl', number>>

const OF_NODE: NamespaceSteps = {
  rtnl: STEP.links,
  nft: STEP.nftables,
  conntrack: STEP.connections,
  sysctl: STEP.sysctl,
}
const OF_POD: NamespaceSteps = { rtnl: STEP.pod, nft: STEP.pod, conntrack: STEP.pod, sysctl: STEP.pod }

class CallNamespace implements Namespace {
  readonly fd: number
  readonly inode: string
  readonly #namespace: Namespace
  readonly #watch: CallWatch
  readonly #steps: NamespaceSteps
  #rtnl: Rtnl | undefined
  #nft: Nft | undefined
  #sysctl: Sysctl | undefined

  constructor(namespace: Namespace, watch: CallWatch, steps: NamespaceSteps) {
    this.fd = namespace.fd
    this.inode = namespace.inode
    this.#namespace = namespace
    this.#watch = watch
    this.#steps = steps
  }

  get rtnl(): Rtnl {
    this.#rtnl ??= timed(this.#namespace.rtnl, this.#steps.rtnl, this.#watch)
    return this.#rtnl
  }

  get nft(): Nft {
    this.#nft ??= timed(this.#namespace.nft, this.#steps.nft, this.#watch)
    return this.#nft
  }

  get conntrack(): Conntrack {
    return timed(this.#namespace.conntrack, this.#steps.conntrack, this.#watch)
  }

  get sysctl(): Sysctl {
    this.#sysctl ??= timed(this.#namespace.sysctl, this.#steps.sysctl, this.#watch)
    return this.#sysctl
  }

  close(): void {
    this.#watch.call(STEP.pod, this.#namespace, [this.#namespace.close, []])
  }
}

type Method = (...args: readonly unknown[]) => unknown
type Timed = new (port: object, step: number, watch: CallWatch) => object

/** By the prototype of what they stand for: to make one for each call would cost more than all that is timed. */
const classes = new WeakMap<object, Timed>()

/** The same object, whose methods are timed until they, or what they promise, have ended. */
function timed<T extends object>(port: T, step: number, watch: CallWatch): T {
  const prototype: object = Object.getPrototypeOf(port)
  const shape = prototype === Object.prototype ? port : prototype
  const known = classes.get(shape) ?? timedClass(port)
  classes.set(shape, known)
  return new known(port, step, watch) as T
}

function timedClass(port: object): Timed {
  class TimedPort {
    readonly #port: object
    readonly #step: number
    readonly #watch: CallWatch

    constructor(port: object, step: number, watch: CallWatch) {
      this.#port = port
      this.#step = step
      this.#watch = watch
    }

    /** What the port has under the name is asked of it each time: it may be a function of that one object only. */
    static standIn(name: string): PropertyDescriptor {
      if (typeof Reflect.get(port, name) !== 'function') {
        return {
          get(this: TimedPort) {
            return Reflect.get(this.#port, name)
          },
        }
      }
      return {
        value(this: TimedPort, ...args: unknown[]) {
          const port = this.#port as Readonly<Record<string, Method>>
          return this.#watch.call(this.#step, port, [port[name] as Method, args])
        },
      }
    }
  }
  for (const name of memberNames(port))
    Object.defineProperty(TimedPort.prototype, name, TimedPort.standIn(name))
  return TimedPort
}

/** Its own, and those of its classes. */
function memberNames(port: object): Set<string> {
  const names = new Set<string>()
  for (let one = port; one !== Object.prototype; one = Object.getPrototypeOf(one))
    for (const name of Object.getOwnPropertyNames(one)) if (name !== 'constructor') names.add(name)
  return names
}
