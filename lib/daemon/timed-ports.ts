// The daemon's ports, with what is one call's own in their place, and with a watch that sees what is asked of them.

import type { DelegateExec } from '../cni/delegate.ts'
import type { Kernel, Namespace } from '../host/kernel.ts'
import type { Ports } from '../host/ports.ts'
import type { CallWatch } from './call-watch.ts'
import { STEP } from './timed-steps.ts'

export function portsOfCall(
  ports: Ports,
  { log, delegates, leases }: Pick<Ports, 'log' | 'delegates' | 'leases'>,
  watch: CallWatch,
): Ports {
  return {
    log,
    delegates: { inProcess: delegates.inProcess, exec: timedExec(delegates.exec, watch) },
    kernel: timedKernel(ports.kernel, watch),
    get attachments() {
      return timed(ports.attachments, STEP.record, watch)
    },
    leases: (dataDir) => timed(leases(dataDir), STEP.lease, watch),
    files: { find: (path) => watch.call(STEP.files, ports.files, 'find', [path]) as string | undefined },
    clock: ports.clock,
    random: ports.random,
    get bootId() {
      return ports.bootId
    },
    close: () => undefined,
  }
}

function timedExec(exec: DelegateExec, watch: CallWatch): DelegateExec {
  return {
    find: (...args) => watch.call(STEP.delegate, exec, 'find', args) as ReturnType<DelegateExec['find']>,
    run: (...args) => watch.call(STEP.delegate, exec, 'run', args) as ReturnType<DelegateExec['run']>,
  }
}

function timedKernel(kernel: Kernel, watch: CallWatch): Kernel {
  return {
    get host() {
      return timedNode(kernel.host, watch)
    },
    openNamespace: (path) =>
      timedPod(watch.call(STEP.pod, kernel, 'openNamespace', [path]) as Namespace, watch),
    finish: () => kernel.finish(),
    close: () => kernel.close(),
  }
}

function timedNode(node: Namespace, watch: CallWatch): Namespace {
  return {
    fd: node.fd,
    inode: node.inode,
    get rtnl() {
      return timed(node.rtnl, STEP.links, watch)
    },
    get nft() {
      return timed(node.nft, STEP.nftables, watch)
    },
    get conntrack() {
      return timed(node.conntrack, STEP.connections, watch)
    },
    get sysctl() {
      return timed(node.sysctl, STEP.sysctl, watch)
    },
    close: () => node.close(),
  }
}

function timedPod(pod: Namespace, watch: CallWatch): Namespace {
  return {
    fd: pod.fd,
    inode: pod.inode,
    get rtnl() {
      return timed(pod.rtnl, STEP.pod, watch)
    },
    get nft() {
      return timed(pod.nft, STEP.pod, watch)
    },
    get conntrack() {
      return timed(pod.conntrack, STEP.pod, watch)
    },
    get sysctl() {
      return timed(pod.sysctl, STEP.pod, watch)
    },
    close: () => void watch.call(STEP.pod, pod, 'close', []),
  }
}

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
    readonly port: object
    readonly step: number
    readonly watch: CallWatch

    constructor(port: object, step: number, watch: CallWatch) {
      this.port = port
      this.step = step
      this.watch = watch
    }
  }
  for (const name of memberNames(port)) Object.defineProperty(TimedPort.prototype, name, standIn(port, name))
  return TimedPort
}

function standIn(port: object, name: string): PropertyDescriptor {
  if (typeof Reflect.get(port, name) !== 'function') {
    return {
      get(this: { port: object }) {
        return Reflect.get(this.port, name)
      },
    }
  }
  return {
    value(this: { port: object; step: number; watch: CallWatch }, ...args: unknown[]) {
      return this.watch.call(this.step, this.port, name, args)
    },
  }
}

/** Its own, and those of its classes. */
function memberNames(port: object): Set<string> {
  const names = new Set<string>()
  for (let one = port; one !== Object.prototype; one = Object.getPrototypeOf(one))
    for (const name of Object.getOwnPropertyNames(one)) if (name !== 'constructor') names.add(name)
  return names
}
