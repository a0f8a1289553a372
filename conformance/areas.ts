// Every case there is, by area: a test file and a text of expected outcomes each.

import { badInputCases } from './cases/bad-input.ts'
import { badNamespaceCases } from './cases/bad-namespace.ts'
import { badStoreCases } from './cases/bad-store.ts'
import { bandwidthCases } from './cases/bandwidth.ts'
import { bridgeFieldCases } from './cases/bridge-fields.ts'
import { chainCases } from './cases/chain.ts'
import { checkCases } from './cases/check.ts'
import { clientCases } from './cases/clients.ts'
import { delCases } from './cases/del.ts'
import { failedAddCases } from './cases/failed-add.ts'
import { firewallCases } from './cases/firewall.ts'
import { foreignCases } from './cases/foreign.ts'
import { hostLocalCases } from './cases/host-local.ts'
import { portmapCases } from './cases/portmap.ts'
import { resultFormatCases } from './cases/result-formats.ts'
import { switchingCases } from './cases/switching.ts'
import { trafficCases } from './cases/traffic.ts'
import { vlanCases } from './cases/vlan.ts'
import type { Case } from './harness/case.ts'

export const AREAS = {
  'bad-input': [...badInputCases, ...badNamespaceCases, ...badStoreCases],
  bandwidth: bandwidthCases,
  'bridge-fields': bridgeFieldCases,
  chain: chainCases,
  check: checkCases,
  clients: clientCases,
  del: delCases,
  'failed-add': failedAddCases,
  firewall: firewallCases,
  foreign: foreignCases,
  'host-local': hostLocalCases,
  portmap: portmapCases,
  'result-formats': resultFormatCases,
  switching: switchingCases,
  traffic: trafficCases,
  vlan: vlanCases,
} as const satisfies Readonly<Record<string, readonly Case[]>>

export type Area = keyof typeof AREAS
