// Repair: what is missing of a pod's host ports is made again.

import { mendAspects } from '../../lib/attach/mending.ts'
import { findRecord } from '../../lib/attach/recorded.ts'
import type { Repair } from '../../lib/cni/plugin.ts'
import type { Request } from '../../lib/cni/request.ts'
import type { Ports } from '../../lib/host/ports.ts'
import { checkHostports } from '../../lib/hostport/hostport-table.ts'
import { claimPorts } from './add.ts'
import { hostportsOf, PLUGIN, type PortmapRecord } from './attachment.ts'
import { checkLocalnet, localnetSysctls, ownerOf } from './portmap.ts'
import { withoutSiblings } from './siblings.ts'

export async function repair(ports: Ports, request: Request): Promise<Repair> {
  const record = findRecord<PortmapRecord>(ports, request, PLUGIN)
  if (record === undefined) return { mended: [], left: [] }
  const { host } = ports.kernel
  return mendAspects([
    {
      check: async () => {
        const own = hostportsOf(await withoutSiblings(ports, request, record))
        return checkHostports(host.nft, own, ownerOf(request))
      },
      mend: () => claimPorts(ports, request, record),
    },
    {
      check: async () => checkLocalnet(host, record),
      mend: async () => host.sysctl.set(...localnetSysctls(record)),
    },
  ])
}
