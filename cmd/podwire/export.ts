// `podwire export`: the way back to upstream's host-local. The leases of a directory's networks are written as that
// keeps them, and are no longer ours.

import { existsSync } from 'node:fs'
import { join } from 'node:path'
import type { Ports } from '../../lib/host/ports.ts'
import { LEASES_FILE } from '../../lib/ipam/lease-store.ts'
import { handBack, listNetworks } from '../../lib/ipam/takeover.ts'
import { bootTimeMs } from '../../lib/state/boot.ts'
import { StoreError } from '../../lib/state/store-error.ts'

interface Export {
  /** `ipam.dataDir` of the configuration. */
  readonly directory: string
  /** All when undefined. */
  readonly network: string | undefined
}

/** @returns a line for each file. @throws StoreError, HandBackError */
export function exportLeases(ports: Ports, { directory, network }: Export): string {
  refuseOtherDirectory(join(directory, LEASES_FILE))
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

/** Opening would make one. */
function refuseOtherDirectory(path: string): void {
  if (existsSync(path)) return
  const why = 'there are no leases of Podwire here'
  throw new StoreError('EIO', {
    operation: 'open',
    path,
    why,
    remedy: 'give the directory that ipam.dataDir names',
  })
}
