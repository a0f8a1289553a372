// `podwire export`: the way back to upstream's host-local. The leases of a directory's networks are written as that
// keeps them, and are no longer ours.

import { join } from 'node:path'
import type { Ports } from '../../lib/host/ports.ts'
import { handBack, listNetworks } from '../../lib/ipam/takeover.ts'
import { bootTimeMs } from '../../lib/state/boot.ts'
import { requireLeases } from './data-dirs.ts'

interface Export {
  /** `ipam.dataDir` of the configuration. */
  readonly directory: string
  /** All when undefined. */
  readonly network: string | undefined
}

/** @returns a line for each file. @throws CommandError, StoreError, HandBackError */
export function exportLeases(ports: Ports, { directory, network }: Export): string {
  requireLeases(directory)
  const store = ports.leases(directory)
  const networks = network === undefined ? listNetworks(store) : [network]
  const bootedAtMs = () => bootTimeMs((path) => ports.files.find(path))
  const lines = networks.flatMap((name) => {
    const files = [...handBack(store, { network: name, bootedAtMs })]
    return [
      `${join(directory, name)}: upstream's again, ${files.length} files`,
      ...files.map(([file, content]) => `${join(directory, name, file)}: ${content.replaceAll('\r\n', ' ')}`),
    ]
  })
  return `${lines.length > 0 ? lines.join('\n') : `${directory}: no network is ours`}\n`
}
