// The kernel of this node, one network namespace at a time: the node's own, and those of pods.

import type { Conntrack } from '../conntrack/conntrack.ts'
import { ConntrackSocket } from '../conntrack/conntrack-socket.ts'
import type { Trace, Transport } from '../netlink/connection.ts'
import { exchangeOnThread, NETLINK_NETFILTER, NETLINK_ROUTE, openSocket } from '../netlink/socket.ts'
import { Netns } from '../netns/netns.ts'
import type { Nft } from '../nftables/nft.ts'
import { NftSocket } from '../nftables/nft-socket.ts'
import { LinkDeletion } from '../rtnl/link-deletion.ts'
import type { Rtnl } from '../rtnl/rtnl.ts'
import { RtnlSocket } from '../rtnl/rtnl-socket.ts'
import { ProcSysctl, type Sysctl } from '../sysctl/sysctl.ts'

/** What can be done in one network namespace. Sockets are opened when first used. */
export interface Namespace {
  /** For RTM_NEWLINK's IFLA_NET_NS_FD. */
  readonly fd: number
  readonly inode: string
  readonly rtnl: Rtnl
  readonly nft: Nft
  readonly conntrack: Conntrack
  readonly sysctl: Sysctl
  close(): void
}

export interface Kernel {
  /** The namespace that the plugin runs in: the node's. */
  readonly host: Namespace
  /** @throws NetnsError ENOENT, ENOTNETNS */
  openNamespace(path: string): Namespace
  close(): void
}

export interface KernelOptions {
  readonly trace?: Trace | undefined
  /**
   * For a process that serves many calls: the node's links are deleted on other threads, at most so many at a time,
   * which must be fewer than libuv has (UV_THREADPOOL_SIZE).
   */
  readonly deletionThreads?: number
}

export class LiveKernel implements Kernel {
  readonly #options: KernelOptions
  #host: Namespace | undefined

  constructor(options: KernelOptions = {}) {
    this.#options = options
  }

  get host(): Namespace {
    this.#host ??= new LiveNamespace(Netns.own(), this.#options)
    return this.#host
  }

  openNamespace(path: string): Namespace {
    return new LiveNamespace(Netns.open(path), { trace: this.#options.trace })
  }

  close(): void {
    this.#host?.close()
    this.#host = undefined
  }
}

class LiveNamespace implements Namespace {
  readonly sysctl: Sysctl
  readonly #netns: Netns
  readonly #options: KernelOptions
  #rtnl: Rtnl | undefined
  #nft: Nft | undefined
  #conntrack: Conntrack | undefined

  constructor(netns: Netns, options: KernelOptions) {
    this.#netns = netns
    this.#options = options
    this.sysctl = new ProcSysctl(netns)
  }

  get fd(): number {
    return this.#netns.fd
  }

  get inode(): string {
    return this.#netns.inode
  }

  get rtnl(): Rtnl {
    if (this.#rtnl === undefined) {
      const open = (groups?: readonly number[]) => this.#netns.enter(() => openSocket(NETLINK_ROUTE, groups))
      this.#rtnl = new RtnlSocket(open, { trace: this.#options.trace, deletion: this.#makeDeletion(open) })
    }
    return this.#rtnl
  }

  get nft(): Nft {
    const open = () => this.#netns.enter(() => openSocket(NETLINK_NETFILTER))
    this.#nft ??= new NftSocket(open, this.#options.trace)
    return this.#nft
  }

  get conntrack(): Conntrack {
    const open = () => this.#netns.enter(() => openSocket(NETLINK_NETFILTER))
    this.#conntrack ??= new ConntrackSocket(open, this.#options.trace)
    return this.#conntrack
  }

  #makeDeletion(open: (groups?: readonly number[]) => Transport): LinkDeletion | undefined {
    const { trace, deletionThreads: threads } = this.#options
    if (threads === undefined) return undefined
    const exchange = (datagram: Uint8Array, seq: number) =>
      this.#netns.enter(() => exchangeOnThread(NETLINK_ROUTE, datagram, seq)).answer
    return new LinkDeletion({ open, exchange, trace, threads })
  }

  close(): void {
    this.#rtnl?.close()
    this.#nft?.close()
    this.#conntrack?.close()
    this.#netns.close()
  }
}
