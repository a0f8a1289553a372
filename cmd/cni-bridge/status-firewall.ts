// STATUS: firewalls of others that drop what pods send.

import { ipamSection } from '../../lib/attach/ipam.ts'
import type { Problem } from '../../lib/attach/readiness.ts'
import { CNI_CODE } from '../../lib/cni/errors.ts'
import type { Request } from '../../lib/cni/request.ts'
import { findField, isObject } from '../../lib/cni/schema.ts'
import type { Ports } from '../../lib/host/ports.ts'
import type { Family } from '../../lib/ip/address.ts'
import { dropText, explainDrop, findForwardDrops } from '../../lib/nftables/forward-drops.ts'
import { findUplinks } from '../../lib/rtnl/uplink.ts'
import type { BridgeNetconf } from './netconf.ts'

/** Where the kernel lists the tables of the older iptables, whose rules cannot be read in this way. */
const LEGACY_TABLES = ['/proc/net/ip_tables_names', '/proc/net/ip6_tables_names']

export async function findFirewalls(
  ports: Ports,
  request: Request,
  { bridge }: BridgeNetconf,
): Promise<Problem[]> {
  const { nft, rtnl } = ports.kernel.host
  const families = familiesOf(ipamSection(request))
  const drops = await findForwardDrops(nft, async () => ({
    from: (await rtnl.findLink(bridge)) ?? { name: bridge },
    to: await findUplinks(rtnl),
  }))
  const legacy = legacyNote(ports)
  return (
    drops
      // Where cni-firewall has its rule, pods are not dropped.
      .filter((drop) => !drop.isPassed && drop.families.some((family) => families.has(family)))
      .map((drop) => {
        const { owner, remedy } = explainDrop(drop, bridge)
        const message = `${dropText(drop)} drops what pods on ${bridge} send out of the node: it is of ${owner}`
        return { code: CNI_CODE.limitedConnectivity, message, remedy: `${remedy}${legacy}` }
      })
  )
}

/** Said to who is looking at firewalls anyway: by itself it is no reason not to be ready. */
function legacyNote({ files }: Ports): string {
  const present = LEGACY_TABLES.filter((path) => files.find(path)?.split('\n').includes('filter'))
  if (present.length === 0) return ''
  return ` (rules of iptables-legacy, which are there as well, cannot be looked into: iptables-legacy -S FORWARD)`
}

/** Which families pods will have, by the subnets in the config, wherever an IPAM plugin has them; IPv4 if none is. */
function familiesOf(section: Readonly<Record<string, unknown>>): Set<Family> {
  const families = new Set<Family>(subnetsIn(section).map((text) => (text.includes(':') ? 6 : 4)))
  return families.size === 0 ? new Set([4]) : families
}

function subnetsIn(value: unknown): string[] {
  if (Array.isArray(value)) return value.flatMap(subnetsIn)
  if (!isObject(value)) return []
  const own = [findField(value, 'subnet'), findField(value, 'address')].filter(
    (one) => typeof one === 'string',
  )
  return [...own, ...['ranges', 'addresses'].flatMap((key) => subnetsIn(findField(value, key)))]
}
