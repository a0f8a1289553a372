// The kernel of this node, one network namespace at a time: the node's own, and those of pods.

import type { Conntrack } from '../conntrack/conntrack.ts'
import { ConntrackSocket } from '../conntrack/conntrack-socket.ts'
import type { Trace } from '../netlink/connection.ts'
import { NETLINK_NETFILTER, NETLINK_ROUTE, openSocket } from '../netlink/socket.ts'
import { Netns } from '../netns/netns.ts'
import type { Nft } from '../nftables/nft.ts'
import { NftSocket } from '../nftables/nft-socket.ts'
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

export class LiveKernel implements Kernel {
  readonly #trace: Trace | undefined
  #host: Namespace | undefined

  constructor(trace?: Trace) {
    this.#trace = trace
  }

  get host(): Namespace {
    this.#host ??= new LiveNamespace(Netns.own(), this.#trace)
    return this.#host
  }

  openNamespace(path: string): Namespace {
    return new LiveNamespace(Netns.open(path), this.#trace)
  }

  close(): void {
    this.#host?.close()
    this.#host = undefined
  }
}

class LiveNamespace implements Namespace {
  readonly sysctl: Sysctl
  readonly #netns: Netns
  readonly #trace: Trace | undefined
  #rtnl: Rtnl | undefined
  #nft: Nft | undefined
  #conntrack: Conntrack | undefined

  constructor(netns: Netns, trace: Trace | undefined) {
    this.#netns = netns
    this.#trace = trace
    this.sysctl = new ProcSysctl(netns)
  }

  get fd(): number {
    return this.#netns.fd
  }

  get inode(): string {
    return this.#netns.inode
  }

  get rtnl(): Rtnl {
    const open = (groups?: readonly number[]) => this.#netns.enter(() => openSocket(NETLINK_ROUTE, groups))
    this.#rtnl ??= new RtnlSocket(open, this.#trace)
    return this.#rtnl
  }

  get nft(): Nft {
    this.#nft ??= new NftSocket(() => this.#netns.enter(() => openSocket(NETLINK_NETFILTER)), this.#trace)
    return this.#nft
  }

  get conntrack(): Conntrack {
    const open = () => this.#netns.enter(() => openSocket(NETLINK_NETFILTER))
    this.#conntrack ??= new ConntrackSocket(open, this.#trace)
    return this.#conntrack
  }

  close(): void {
    this.#rtnl?.close()
    this.#nft?.close()
    this.#conntrack?.close()
    this.#netns.close()
  }
}
