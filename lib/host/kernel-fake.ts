// A kernel in memory: namespaces, and in each of them links, addresses, routes, nftables and sysctls, with the state
// and the refusals of the real one. A test reads what came of it as text (`dump`).

import { ConntrackFake } from '../conntrack/conntrack-fake.ts'
import { NetnsError } from '../netns/netns.ts'
import { NftFake } from '../nftables/nft-fake.ts'
import { dropAddresses6 } from '../rtnl/fake-addresses.ts'
import { dumpStack } from '../rtnl/fake-dump.ts'
import { removeAllLinks } from '../rtnl/fake-links.ts'
import { FakeNetwork, FakeStack, type KernelFeatures, type Refuse } from '../rtnl/fake-stack.ts'
import { RtnlFake } from '../rtnl/rtnl-fake.ts'
import { SysctlFake } from '../sysctl/sysctl-fake.ts'
import type { Kernel, Namespace } from './kernel.ts'

const HOST = 'host'
const CONNTRACK_COUNT = 'netfilter/nf_conntrack_count'

export interface FakeKernelOptions extends Partial<KernelFeatures> {
  readonly nftables?: 'none' | 'no bridge' | 'all'
  readonly refuse?: Refuse
}

export class FakeKernel implements Kernel {
  readonly #options: Required<Pick<FakeKernelOptions, 'nftables' | 'refuse'>>
  readonly #network: FakeNetwork
  readonly #host: FakeNamespace
  readonly #byPath = new Map<string, FakeNamespace>()
  readonly #handles = new Set<FakeNamespace>()

  /** By default it can do everything: bridges with VLANs, too, which not every kernel has. */
  constructor({ nftables = 'all', refuse = () => undefined, ...features }: FakeKernelOptions = {}) {
    this.#options = { nftables, refuse }
    this.#network = new FakeNetwork({ bridgeVlanFiltering: true, ...features }, refuse)
    this.#host = this.#makeNamespace(HOST)
  }

  get host(): FakeNamespace {
    return this.#host
  }

  /** As `ip netns add` and as container runtimes do. @returns a view for the test, which need not be closed */
  addNamespace(path: string): FakeNamespace {
    if (this.#byPath.has(path)) throw new Error(`there is a namespace at ${path} already`)
    const namespace = this.#makeNamespace(path)
    this.#byPath.set(path, namespace)
    return namespace
  }

  /** The path goes now; the namespace with its links when the last one who has it open closes it. */
  removeNamespace(path: string): void {
    const namespace = this.#byPath.get(path)
    if (namespace === undefined) throw new Error(`there is no namespace at ${path}`)
    this.#byPath.delete(path)
    this.#collect(namespace)
  }

  async finish(): Promise<void> {}

  openNamespace(path: string): Namespace {
    const namespace = path === HOST ? this.#host : this.#byPath.get(path)
    if (namespace === undefined) throw new NetnsError('ENOENT', path, 'no such file or directory')
    const handle = namespace.handle((closed) => {
      this.#handles.delete(closed)
      this.#collect(namespace)
    })
    this.#handles.add(handle)
    return handle
  }

  /** Paths of the namespaces that were opened and not closed: none when all is tidy. */
  openHandles(): string[] {
    return [...this.#handles].map(({ path }) => path).sort()
  }

  close(): void {}

  /** Every namespace under its name: sorted lines of links, addresses, routes and changed sysctls, then nftables. */
  dump(): string {
    const namespaces = [this.#host, ...[...this.#byPath.values()].sort((a, b) => (a.path < b.path ? -1 : 1))]
    return namespaces.map((namespace) => `namespace ${namespace.path}\n${namespace.dump()}`).join('')
  }

  #makeNamespace(path: string): FakeNamespace {
    const sysctl = new SysctlFake()
    const stack = new FakeStack(this.#network, path, sysctl)
    sysctl.onWrite = (key, value) => {
      const [, name] = /^ipv6\/conf\/(.+)\/disable_ipv6$/.exec(key) ?? []
      const link = name === undefined ? undefined : stack.findLink(name)
      if (link && value === '1') dropAddresses6(link)
    }
    const { nftables: support, refuse } = this.#options
    sysctl.refuse = refuse
    return new FakeNamespace(stack, {
      sysctl,
      nft: new NftFake({ support, refuse }),
      conntrack: new ConntrackFake((count) => sysctl.announce(CONNTRACK_COUNT, String(count))),
    })
  }

  #collect(namespace: FakeNamespace): void {
    const isNamed = namespace === this.#host || this.#byPath.get(namespace.path) === namespace
    const isOpen = [...this.#handles].some(({ inode }) => inode === namespace.inode)
    if (isNamed || isOpen) return
    removeAllLinks(namespace.stack)
    this.#network.changed()
  }
}

interface FakeParts {
  readonly sysctl: SysctlFake
  readonly nft: NftFake
  readonly conntrack: ConntrackFake
  readonly onClose?: (handle: FakeNamespace) => void
}

export class FakeNamespace implements Namespace {
  readonly path: string
  readonly fd: number
  readonly inode: string
  readonly rtnl: RtnlFake
  readonly nft: NftFake
  readonly conntrack: ConntrackFake
  readonly sysctl: SysctlFake
  readonly stack: FakeStack
  readonly #onClose: (handle: FakeNamespace) => void

  constructor(stack: FakeStack, { sysctl, nft, conntrack, onClose }: FakeParts) {
    this.stack = stack
    this.path = stack.label
    this.fd = stack.network.openFd(stack)
    this.inode = String(stack.number)
    this.rtnl = new RtnlFake(stack)
    this.nft = nft
    this.conntrack = conntrack
    this.sysctl = sysctl
    this.#onClose = onClose ?? (() => undefined)
  }

  /** The same namespace through a descriptor and sockets of its own. */
  handle(onClose: (handle: FakeNamespace) => void): FakeNamespace {
    const { sysctl, nft, conntrack } = this
    return new FakeNamespace(this.stack, { sysctl, nft, conntrack, onClose })
  }

  close(): void {
    this.stack.network.closeFd(this.fd)
    this.rtnl.close()
    this.#onClose(this)
  }

  dump(): string {
    return dumpStack(this.stack) + this.sysctl.dump() + this.conntrack.dump() + this.nft.dump()
  }
}
