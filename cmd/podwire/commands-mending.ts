// Commands that change what is on the node.

import { dirname } from 'node:path'
import { type Command, textOf } from './command.ts'
import { pluginPath } from './places.ts'

export const MENDING = {
  gc: {
    usage: 'gc [--dry-run]',
    summary: 'remove what attachments left behind whose network namespace is gone',
    options: { 'dry-run': { type: 'boolean', what: 'only tell what would go, and why' } },
    operands: [0, 0],
    examples: [['podwire gc --dry-run', 'a look before']],
    run: async ({ flags, about }) => {
      const { gc } = await import('./gc.ts')
      const path = pluginPath(dirname(about.executable))
      const { openPorts, plugins, progress } = about
      return gc(await openPorts(), plugins, { dryRun: flags['dry-run'] === true, path, progress })
    },
  },
  repair: {
    usage: 'repair',
    summary: 'make again what others have taken from running pods: rules, gateways, forwarding',
    description: [
      'Pods go on running. What is inside a pod, and a wire that is gone, are not touched: that takes a restart of the pod.',
    ],
    operands: [0, 0],
    examples: [['nft flush ruleset; podwire repair', '']],
    run: async ({ about }) => {
      const { repair } = await import('./repair.ts')
      return repair(await about.openPorts(), about.plugins, about.progress)
    },
  },
  export: {
    usage: 'export [--network NAME] DIR',
    summary: "give the leases below DIR, such as /var/lib/cni/networks, to upstream's host-local",
    options: { network: { type: 'string', value: 'NAME', what: 'only those of this network' } },
    operands: [1, 1],
    completes: 'directory',
    examples: [['podwire export /var/lib/cni/networks', 'before the node goes back to upstream’s plugins']],
    run: async ({ operands: [directory = ''], flags, about }) => {
      const { exportLeases } = await import('./export.ts')
      return exportLeases(await about.openPorts(), { directory, network: textOf(flags, 'network') })
    },
  },
} as const satisfies Record<string, Command>
