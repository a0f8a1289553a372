// DEL: from the record alone; without one, by the owner that is written on each element, and what upstream's plugin has
// made. Neither the config nor the namespace nor `runtimeConfig` is looked at.

import { delRecorded } from '../../lib/attach/recorded.ts'
import type { Request } from '../../lib/cni/request.ts'
import { attachmentKey } from '../../lib/host/attachment-key.ts'
import type { Ports } from '../../lib/host/ports.ts'
import { listHostportElements } from '../../lib/hostport/hostport-table.ts'
import { removeOwned } from '../../lib/nftables/owned-elements.ts'
import { removeUpstreamHostports } from '../../lib/nftables/upstream-chained.ts'
import { PLUGIN } from './attachment.ts'
import { ownerOf, portmap } from './portmap.ts'

export async function del(ports: Ports, request: Request): Promise<void> {
  if (await delRecorded(ports, request, portmap)) return
  const { nft } = ports.kernel.host
  const owner = ownerOf(request)
  const elements = await listHostportElements(nft)
  await removeOwned(
    nft,
    elements.filter(({ element: { comment } }) => comment === owner),
  )
  await removeUpstreamHostports(nft, attachmentKey(PLUGIN, request))
}
