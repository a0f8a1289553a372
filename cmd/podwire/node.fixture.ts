// A node for tests of commands: pods attached by cni-bridge on the fake kernel, and the commands as a person calls them.

import { DEFAULT_DATA_DIR } from '../../lib/ipam/lease-store.ts'
import { MemoryLeaseStore } from '../../lib/ipam/lease-store-memory.ts'
import { makeScene, type Scene } from '../../lib/testing/scene.ts'
import type { About, Outcome } from './command.ts'
import { run } from './commands.ts'
import { PLUGINS, UPSTREAM_NAMES } from './registry.ts'

export const NETCONF = {
  cniVersion: '1.0.0',
  name: 'net',
  type: 'cni-bridge',
  bridge: 'br0',
  isDefaultGateway: true,
  ipMasq: true,
  ipam: { type: 'test-ipam' },
}

export interface TestNode {
  readonly scene: Scene
  readonly about: About
  /** Attaches pod `<namespace>/<name>`, `demo` unless it is said, whose container has the name for an id. */
  attach(name: string, namespace?: string): Promise<void>
  podwire(...words: readonly string[]): Promise<Outcome>
}

export interface TestNodeOptions {
  readonly about?: Partial<About>
  /** What every data directory has, but for the usual one, which this machine may have. */
  readonly leases?: MemoryLeaseStore
  readonly kernel?: Parameters<typeof makeScene>[0]
}

export function makeNode(options: TestNodeOptions = {}): TestNode {
  const { about, leases = new MemoryLeaseStore('boot-1'), kernel } = options
  const scene = makeScene(kernel)
  // Its stores are opened when first used: they are not to be spread.
  const none = new MemoryLeaseStore('boot-1')
  const open = (dataDir: string) => (dataDir === DEFAULT_DATA_DIR ? none : leases)
  const ports = Object.create(scene.ports, { leases: { value: open } })
  const all: About = {
    version: '1.2.3',
    executable: '/x/podwire',
    plugins: PLUGINS,
    upstreamNames: UPSTREAM_NAMES,
    openPorts: async () => ports,
    runDaemon: () => Promise.reject(new Error('no daemon here')),
    environment: { PODWIRE_SOCKET: '/nonexistent/podwire.sock' },
    isTerminal: false,
    columns: Number.POSITIVE_INFINITY,
    progress: () => undefined,
    ...about,
  }
  return {
    scene,
    about: all,
    podwire: (...words) => run(words, all),
    async attach(name, namespace = 'demo') {
      const args = new Map([
        ['IgnoreUnknown', '1'],
        ['K8S_POD_NAMESPACE', namespace],
        ['K8S_POD_NAME', name],
      ])
      const [bridge] = PLUGINS.filter((plugin) => plugin.name === 'cni-bridge')
      await bridge?.add(ports, scene.request('ADD', NETCONF, { containerId: name, args }))
    },
  }
}
