// The one place that knows every plugin. What is imported here is small: a plugin's verbs load when they are called.

import type { Plugin } from '../../lib/cni/plugin.ts'
import type { Ports } from '../../lib/host/ports.ts'
import { plugin as bandwidth } from '../cni-bandwidth/plugin.ts'
import { plugin as bridge } from '../cni-bridge/plugin.ts'
import { plugin as dummy } from '../cni-dummy/plugin.ts'
import { plugin as firewall } from '../cni-firewall/plugin.ts'
import { plugin as hostDevice } from '../cni-host-device/plugin.ts'
import { plugin as ipvlan } from '../cni-ipvlan/plugin.ts'
import { plugin as loopback } from '../cni-loopback/plugin.ts'
import { plugin as macvlan } from '../cni-macvlan/plugin.ts'
import { plugin as portmap } from '../cni-portmap/plugin.ts'
import { plugin as ptp } from '../cni-ptp/plugin.ts'
import { plugin as sbr } from '../cni-sbr/plugin.ts'
import { plugin as tuning } from '../cni-tuning/plugin.ts'
import { plugin as vlan } from '../cni-vlan/plugin.ts'
import { plugin as vrf } from '../cni-vrf/plugin.ts'
import { plugin as hostLocal } from '../ipam-host-local/plugin.ts'
import { plugin as ipamStatic } from '../ipam-static/plugin.ts'

/** Names are those of the directories under cmd/, which are also the names on disk and of the config's `type`. */
export const PLUGINS: readonly Plugin<Ports>[] = [
  bridge,
  hostLocal,
  ipamStatic,
  loopback,
  portmap,
  bandwidth,
  firewall,
  tuning,
  ptp,
  sbr,
  macvlan,
  ipvlan,
  vlan,
  vrf,
  dummy,
  hostDevice,
]

export const PLUGIN_NAMES: readonly string[] = PLUGINS.map(({ name }) => name)

/** Names that clients have fixed in their configs, and the plugin of ours that serves under each. */
export const UPSTREAM_NAMES: Readonly<Record<string, string>> = {
  bridge: bridge.name,
  bandwidth: bandwidth.name,
  dummy: dummy.name,
  firewall: firewall.name,
  'host-device': hostDevice.name,
  'host-local': hostLocal.name,
  ipvlan: ipvlan.name,
  loopback: loopback.name,
  macvlan: macvlan.name,
  portmap: portmap.name,
  ptp: ptp.name,
  sbr: sbr.name,
  static: ipamStatic.name,
  tuning: tuning.name,
  vlan: vlan.name,
  vrf: vrf.name,
}

/** By our name or by upstream's. @returns undefined when no plugin has this name */
export function findPlugin(name: string): Plugin<Ports> | undefined {
  const own = Object.hasOwn(UPSTREAM_NAMES, name) ? UPSTREAM_NAMES[name] : name
  return PLUGINS.find((plugin) => plugin.name === own)
}
