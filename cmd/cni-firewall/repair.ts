// Repair: what is missing of a pod's elements and rules is made again, in the chains of other firewalls, too.

import { mendAspects } from '../../lib/attach/mending.ts'
import { findRecord } from '../../lib/attach/recorded.ts'
import type { Repair } from '../../lib/cni/plugin.ts'
import type { Request } from '../../lib/cni/request.ts'
import { checkFirewalled } from '../../lib/firewall/firewall-table.ts'
import { checkForeignChains } from '../../lib/firewall/foreign-chains.ts'
import type { Ports } from '../../lib/host/ports.ts'
import { letThrough, protect } from './add.ts'
import { type FirewallRecord, firewalledOf, PLUGIN } from './attachment.ts'
import { adminChainsOf, listRecords, ownerOf, packetOf } from './firewall.ts'

export async function repair(ports: Ports, request: Request): Promise<Repair> {
  const record = findRecord<FirewallRecord>(ports, request, PLUGIN)
  if (record === undefined) return { mended: [], left: [] }
  const { nft } = ports.kernel.host
  const owner = ownerOf(request)
  return mendAspects([
    {
      check: () =>
        checkFirewalled(nft, firewalledOf(record), { owner, adminChains: adminChainsOf(listRecords(ports)) }),
      mend: () => protect(ports, request, record),
    },
    {
      check: () => checkForeignChains(nft, packetOf(ports, record)),
      mend: () => letThrough(ports, record),
    },
  ])
}
