// The one place that knows every plugin. What is imported here is small: a plugin's verbs load when they are called.

import type { Plugin } from '../../lib/cni/plugin.ts'
import type { Ports } from '../../lib/host/ports.ts'
import { plugin as bridge } from '../cni-bridge/plugin.ts'
import { plugin as firewall } from '../cni-firewall/plugin.ts'
import { plugin as portmap } from '../cni-portmap/plugin.ts'
import { plugin as hostLocal } from '../ipam-host-local/plugin.ts'

/** Names are those of the directories under cmd/, which are also the names on disk and of the config's `type`. */
export const PLUGINS: readonly Plugin<Ports>[] = [bridge, portmap, firewall, hostLocal]

export const PLUGIN_NAMES: readonly string[] = PLUGINS.map(({ name }) => name)

/** Names that clients have fixed in their configs, and the plugin of ours that serves under each. */
export const UPSTREAM_NAMES: Readonly<Record<string, string>> = {
  bridge: bridge.name,
  portmap: portmap.name,
  firewall: firewall.name,
  'host-local': hostLocal.name,
}

/** By our name or by upstream's. @returns undefined when no plugin has this name */
export function findPlugin(name: string): Plugin<Ports> | undefined {
  const own = Object.hasOwn(UPSTREAM_NAMES, name) ? UPSTREAM_NAMES[name] : name
  return PLUGINS.find((plugin) => plugin.name === own)
}
