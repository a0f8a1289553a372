// DEL: from the record alone; without one, by the owner that is written on each element, and what upstream's plugin has
// made for the addresses that the runtime remembers.

import { delRecorded } from '../../lib/attach/recorded.ts'
import type { Request } from '../../lib/cni/request.ts'
import { listFirewallElements } from '../../lib/firewall/firewall-table.ts'
import type { Ports } from '../../lib/host/ports.ts'
import type { IpAddress } from '../../lib/ip/address.ts'
import { Prefix } from '../../lib/ip/prefix.ts'
import { removeOwned } from '../../lib/nftables/owned-elements.ts'
import { removeUpstreamFirewall } from '../../lib/nftables/upstream-chained.ts'
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
  await removeUpstreamFirewall(nft, rememberedAddresses(request))
}

/** What cannot be read is no address of upstream's. */
function rememberedAddresses({ prevResult }: Request): IpAddress[] {
  return (prevResult?.ips ?? []).flatMap(({ address }) => {
    try {
      return [Prefix.parse(address).address]
    } catch {
      return []
    }
  })
}
