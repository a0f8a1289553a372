// The kernel of this node, one network namespace at a time: the node's own, and those of pods.

import type { Conntrack } from '../conntrack/conntrack.ts'
import type { ConntrackLater } from '../conntrack/conntrack-later.ts'
import type { IpAddress } from '../ip/address.ts'
import type { Trace, Transport } from '../netlink/connection.ts'
import type { Relay } from '../netlink/relay.ts'
import {
  converseOnThread,
  exchangeOnThread,
  NETLINK_NETFILTER,
  NETLINK_ROUTE,
  openForThread,
  openSocket,
  type SocketOptions,
  ThreadTransport,
} from '../netlink/socket.ts'
import { Netns } from '../netns/netns.ts'
import type { Nft } from '../nftables/nft.ts'
import { LinkDeletion } from '../rtnl/link-deletion.ts'
import type { Rtnl } from '../rtnl/rtnl.ts'
import { type OpenTransport, RtnlSocket } from '../rtnl/rtnl-socket.ts'
import { ProcSysctl, type Sysctl } from '../sysctl/sysctl.ts'
import { isUnsupported } from './connections.ts'
import { LazyConntrack, LazyNft } from './lazy-ports.ts'

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
  /** Does what was put off until after the calls. */
  finish(): Promise<void>
  close(): void
}

export interface KernelOptions {
  readonly trace?: Trace | undefined
  /** For a process that serves many calls: what takes long in the node's own namespace keeps nobody waiting. */
  readonly background?: Background | undefined
  /** For such a process, too: it asks the kernel on another thread while calls wait. */
  readonly relay?: Relay | undefined
  /** In place of the namespace that the process runs in. */
  readonly host?: Netns | undefined
}

export interface Background {
  /** Links are deleted on other threads, at most so many at a time: fewer than libuv has (UV_THREADPOOL_SIZE). */
  readonly deletionThreads: number
  /** Connections are forgotten after the call; called when they cannot be. */
  readonly onConnectionsKept: (error: unknown, addresses: readonly IpAddress[]) => void
}

export class LiveKernel implements Kernel {
  readonly #options: KernelOptions
  #host: LiveNamespace | undefined

  constructor(options: KernelOptions = {}) {
    this.#options = options
  }

  get host(): Namespace {
    this.#host ??= new LiveNamespace(this.#options.host ?? Netns.own(), this.#options)
    return this.#host
  }

  async finish(): Promise<void> {
    await this.#host?.finish()
  }

  openNamespace(path: string): Namespace {
    const { trace, relay } = this.#options
    return new LiveNamespace(Netns.open(path), { trace, relay })
  }

  close(): void {
    this.#host?.close()
    this.#host = undefined
  }
}

class LiveNamespace implements Namespace {
  readonly #sysctl: ProcSysctl
  readonly #netns: Netns
  readonly #options: KernelOptions
  #rtnl: Rtnl | undefined
  #nft: Nft | undefined
  #conntrack: Conntrack | undefined
  #later: ConntrackLater | undefined

  constructor(netns: Netns, options: KernelOptions) {
    this.#netns = netns
    this.#options = options
    this.#sysctl = new ProcSysctl(netns, { keepsOpen: options.background !== undefined })
  }

  get fd(): number {
    return this.#netns.fd
  }

  get inode(): string {
    return this.#netns.inode
  }

  get sysctl(): Sysctl {
    return this.#sysctl
  }

  get rtnl(): Rtnl {
    if (this.#rtnl === undefined) {
      const { trace } = this.#options
      const open = (options?: SocketOptions) => this.#open(NETLINK_ROUTE, options)
      this.#rtnl = new RtnlSocket(open, { trace, deletion: this.#makeDeletion(open) })
    }
    return this.#rtnl
  }

  get nft(): Nft {
    const { trace } = this.#options
    this.#nft ??= new LazyNft(async () => {
      const { NftSocket } = await import('../nftables/nft-socket.ts')
      return new NftSocket(() => this.#open(NETLINK_NETFILTER), trace)
    })
    return this.#nft
  }

  get conntrack(): Conntrack {
    this.#conntrack ??= new LazyConntrack(() => this.#makeConntrack())
    return this.#conntrack
  }

  async finish(): Promise<void> {
    await this.#later?.finish()
  }

  #open(protocol: number, options?: SocketOptions): Transport {
    const { relay } = this.#options
    const openDirect = () => this.#netns.enter(() => openSocket(protocol, options))
    // One that hears notifications asks nothing.
    if (relay === undefined || options?.groups !== undefined) return openDirect()
    return relay.transport({ openDirect, openRelayed: () => this.#netns.enter(() => relay.open(protocol)) })
  }

  #openForThread(protocol: number): number {
    return this.#netns.enter(() => openForThread(protocol))
  }

  async #makeConntrack(): Promise<Conntrack> {
    const { trace, background } = this.#options
    const { ConntrackSocket } = await import('../conntrack/conntrack-socket.ts')
    if (background === undefined) return new ConntrackSocket(() => this.#open(NETLINK_NETFILTER), trace)
    const transport = new ThreadTransport((datagram) =>
      converseOnThread(this.#openForThread(NETLINK_NETFILTER), datagram),
    )
    const conntrack = new ConntrackSocket(() => transport, trace)
    const { ConntrackLater } = await import('../conntrack/conntrack-later.ts')
    this.#later = new ConntrackLater(conntrack, {
      onError: (error, addresses) => {
        if (!isUnsupported(error)) background.onConnectionsKept(error, addresses)
      },
    })
    return this.#later
  }

  #makeDeletion(open: OpenTransport): LinkDeletion | undefined {
    const { trace, background } = this.#options
    if (background === undefined) return undefined
    const threads = background.deletionThreads
    const exchange = (datagram: Uint8Array, seq: number) =>
      exchangeOnThread(this.#openForThread(NETLINK_ROUTE), datagram, seq)
    return new LinkDeletion({ open, exchange, trace, threads })
  }

  close(): void {
    this.#rtnl?.close()
    this.#nft?.close()
    this.#conntrack?.close()
    this.#sysctl.close()
    this.#netns.close()
  }
}
