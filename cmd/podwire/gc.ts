// `podwire gc`: garbage of every network that has attachments recorded, and of every network that has leases in a
// directory that those name, as far as it is dead beyond doubt. What is valid only a runtime knows; it says so in the GC
// verb.

import type { Plugin } from '../../lib/cni/plugin.ts'
import type { Request } from '../../lib/cni/request.ts'
import { Failures } from '../../lib/host/failures.ts'
import type { Ports } from '../../lib/host/ports.ts'
import { listNetworks } from '../../lib/ipam/takeover.ts'
import { listDataDirs } from './data-dirs.ts'

export interface GcOptions {
  readonly dryRun: boolean
  /** Where plugins of others are found, for those that were delegated to: as CNI_PATH. */
  readonly path: readonly string[]
  readonly progress?: (text: string) => void
}

/** @returns a line for each thing that goes, or would go */
export async function gc(
  ports: Ports,
  plugins: readonly Plugin<Ports>[],
  options: GcOptions,
): Promise<string> {
  const lines: string[] = []
  const failures = new Failures()
  for (const { plugin, ...place } of listPlaces(ports, plugins)) {
    const say = () => options.progress?.(`${plugin.name}, network ${place.network}: ${lines.length} found`)
    say()
    for (const { what, why, remove } of (await plugin.findGarbage?.(ports, gcRequest(place, options.path))) ??
      []) {
      let line = `${options.dryRun ? 'would remove' : 'removed'} ${what}: ${why}`
      const tryRemove = async () => {
        if ((await remove()) === false) line = `left ${what}: it has been added anew, or a call is at it`
      }
      if (!options.dryRun) await failures.attempt(tryRemove)
      lines.push(line)
      say()
    }
  }
  failures.throwIfAny()
  return lines.length === 0 ? 'nothing to remove\n' : `${lines.join('\n')}\n`
}

interface Place {
  readonly plugin: Plugin<Ports>
  readonly network: string
  /** Of the leases; '' for a plugin that keeps none. */
  readonly dataDir: string
}

/** Attachments first: their leases go with them. */
function listPlaces(ports: Ports, plugins: readonly Plugin<Ports>[]): Place[] {
  const recorded = ports.attachments.list()
  const networks = new Set(recorded.map(({ network }) => network))
  const others = plugins.filter(({ name }) => name !== LEASING)
  return [
    ...[...networks].flatMap((network) => others.map((plugin) => ({ plugin, network, dataDir: '' }))),
    ...plugins
      .filter(({ name }) => name === LEASING)
      .flatMap((plugin) =>
        listDataDirs(ports).flatMap((dataDir) =>
          listNetworks(ports.leases(dataDir)).map((network) => ({ plugin, network, dataDir })),
        ),
      ),
  ]
}

/** The plugin whose garbage is in data directories. */
const LEASING = 'ipam-host-local'

function gcRequest({ network: name, dataDir }: Omit<Place, 'plugin'>, path: readonly string[]): Request {
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
    netconf: { cniVersion, name, ...(dataDir === '' ? {} : { ipam: { dataDir } }) },
    name,
    cniVersion,
    prevResult: undefined,
    environment: { CNI_PATH: path.join(':') },
  }
}
