// What only some kernels have, and cases are about.

import { spawnSync } from 'node:child_process'

export interface KernelFeature {
  /** After "a kernel". */
  readonly what: string
  isThere(): boolean
}

/** Asked in a namespace that is gone with the process. */
const TRY_VLANS = ['-n', 'ip', 'link', 'add', 'br0', 'type', 'bridge', 'vlan_filtering', '1']

let canFilterVlans: boolean | undefined

function filtersVlans(): boolean {
  canFilterVlans ??= spawnSync('unshare', TRY_VLANS).status === 0
  return canFilterVlans
}

export const VLANS: KernelFeature = {
  what: 'whose bridges filter VLANs (CONFIG_BRIDGE_VLAN_FILTERING)',
  isThere: filtersVlans,
}

export const NO_VLANS: KernelFeature = {
  what: 'whose bridges do not filter VLANs',
  isThere: () => !filtersVlans(),
}
