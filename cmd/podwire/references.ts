// What people are told of every plugin, in the order in which they are told of them: for `podwire explain` and the pages
// of docs/reference. No call of a plugin loads this.

import type { PluginReference } from '../../lib/cni/reference.ts'
import { reference as bandwidth } from '../cni-bandwidth/reference.ts'
import { reference as bridge } from '../cni-bridge/reference.ts'
import { reference as dummy } from '../cni-dummy/reference.ts'
import { reference as firewall } from '../cni-firewall/reference.ts'
import { reference as hostDevice } from '../cni-host-device/reference.ts'
import { reference as ipvlan } from '../cni-ipvlan/reference.ts'
import { reference as loopback } from '../cni-loopback/reference.ts'
import { reference as macvlan } from '../cni-macvlan/reference.ts'
import { reference as portmap } from '../cni-portmap/reference.ts'
import { reference as ptp } from '../cni-ptp/reference.ts'
import { reference as sbr } from '../cni-sbr/reference.ts'
import { reference as tuning } from '../cni-tuning/reference.ts'
import { reference as vlan } from '../cni-vlan/reference.ts'
import { reference as vrf } from '../cni-vrf/reference.ts'
import { reference as hostLocal } from '../ipam-host-local/reference.ts'
import { reference as ipamStatic } from '../ipam-static/reference.ts'

export interface Group {
  readonly title: string
  readonly plugins: readonly PluginReference[]
}

export const REFERENCES: readonly Group[] = [
  {
    title: 'They make an interface',
    plugins: [bridge, ptp, macvlan, ipvlan, vlan, dummy, hostDevice, loopback],
  },
  { title: 'They give addresses', plugins: [hostLocal, ipamStatic] },
  { title: 'They change what is there', plugins: [portmap, bandwidth, firewall, tuning, sbr, vrf] },
]

export const ALL_REFERENCES: readonly PluginReference[] = REFERENCES.flatMap(({ plugins }) => plugins)
