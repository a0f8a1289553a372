// DEL: from the record alone; without one, by the owner that is written on each element.

import { delRecorded } from '../../lib/attach/recorded.ts'
import type { Request } from '../../lib/cni/request.ts'
import { listFirewallElements } from '../../lib/firewall/firewall-table.ts'
import type { Ports } from '../../lib/host/ports.ts'
import { removeOwned } from '../../lib/nftables/owned-elements.ts'
import { firewall, ownerOf } from './firewall.ts'

export async function del(ports: Ports, request: Request): Promise<void> {
  if (await delRecorded(ports, request, firewall)) return
  const { nft } = ports.kernel.host
  const owner = ownerOf(request)
  const elements = await listFirewallElements(nft)
  await removeOwned(
    nft,
    elements.filter(({ element: { comment } }) => comment === owner),
  )
}
