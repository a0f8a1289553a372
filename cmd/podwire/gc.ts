// `podwire gc`: garbage of every network that has attachments recorded, as far as it is dead beyond doubt. What is
// valid only a runtime knows; it says so in the GC verb.

import type { Plugin } from '../../lib/cni/plugin.ts'
import type { Request } from '../../lib/cni/request.ts'
import { Failures } from '../../lib/host/failures.ts'
import type { Ports } from '../../lib/host/ports.ts'

export interface GcOptions {
  readonly dryRun: boolean
  /** Where plugins of others are found, for those that were delegated to: as CNI_PATH. */
  readonly path: readonly string[]
}

/** @returns a line for each thing that goes, or would go */
export async function gc(
  ports: Ports,
  plugins: readonly Plugin<Ports>[],
  options: GcOptions,
): Promise<string> {
  const networks = new Set(ports.attachments.list().map(({ network }) => network))
  const lines: string[] = []
  const failures = new Failures()
  for (const network of networks) {
    for (const plugin of plugins) {
      for (const { what, why, remove } of (await plugin.findGarbage?.(
        ports,
        gcRequest(network, options.path),
      )) ?? []) {
        lines.push(`${options.dryRun ? 'would remove' : 'removed'} ${what}: ${why}`)
        if (!options.dryRun) await failures.attempt(remove)
      }
    }
  }
  failures.throwIfAny()
  return lines.length === 0 ? 'nothing to remove\n' : `${lines.join('\n')}\n`
}

function gcRequest(name: string, path: readonly string[]): Request {
  // Not the newest: delegates of others are asked to DEL in this version, and older ones do not know 1.1.0.
  const cniVersion = '1.0.0'
  return {
    command: 'GC',
    containerId: '',
    netns: '',
    ifname: '',
    args: new Map(),
    path,
    netnsOverride: false,
    stdin: '',
    netconf: { cniVersion, name },
    name,
    cniVersion,
    prevResult: undefined,
    environment: { CNI_PATH: path.join(':') },
  }
}
