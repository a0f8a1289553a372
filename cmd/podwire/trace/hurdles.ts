// What may stop a packet on its way: each looks at one thing, and ends the journey where that is in the way.

import { forwardingSysctls } from '../../../lib/host/forwarding.ts'
import type { Namespace } from '../../../lib/host/kernel.ts'
import type { Family, IpAddress } from '../../../lib/ip/address.ts'
import { NetlinkError } from '../../../lib/netlink/error.ts'
import { dropText, explainDrop, findForwardDrops } from '../../../lib/nftables/forward-drops.ts'
import { listSpoofGuards } from '../../../lib/nftables/spoof-table.ts'
import type { Link } from '../../../lib/rtnl/link.ts'
import { die } from './journey.ts'

export const RESTART = 'restart the pod: what is inside it is not mended'
export const REPAIR = 'podwire repair'

/** Frames from a port that is guarded must have the pod's MAC. */
export async function passGuard({ nft }: Namespace, wire: Link, mac: string | undefined): Promise<void> {
  const guards = (await listSpoofGuards(nft)).filter(({ port }) => port === wire.name)
  if (guards.length === 0 || guards.some((guard) => guard.mac === mac)) return
  die(
    `${wire.name} takes frames from ${guards[0]?.mac} only, and the pod has ${mac}`,
    'give the pod its MAC back, or restart it',
  )
}

/** @returns the bridge that the wire is a port of: it is up, and forwards to the port */
export async function passPort({ rtnl }: Namespace, wire: Link): Promise<Link> {
  const bridge = await rtnl.getLink(wire.master ?? wire.index)
  if (!bridge.up) return die(`bridge ${bridge.name} is down`, REPAIR)
  if (wire.bridgePort?.state === 'forwarding') return bridge
  return die(
    `${wire.name} is a port of ${bridge.name} that is ${wire.bridgePort?.state ?? 'no port of a bridge'}`,
    `ip -d link show ${wire.name} tells why: STP, or no carrier`,
  )
}

export function passBetween(from: Link, to: Link): void {
  if (from.index === to.index && !to.bridgePort?.hairpin) {
    die(
      `${to.name} does not send back what came from it`,
      '"hairpinMode": true, and a restart of the pod; or podwire repair, when it was on',
    )
  }
  if (from.index !== to.index && from.bridgePort?.isolated && to.bridgePort?.isolated) {
    die(
      `${from.name} and ${to.name} are isolated from each other (portIsolation)`,
      'that is what the configuration wants',
    )
  }
}

/** With br_netfilter, what goes from port to port passes the chains at the hook forward, too. */
export async function passBridgeFilter(host: Namespace, bridge: Link, family: Family): Promise<void> {
  const key = `bridge/bridge-nf-call-ip${family === 6 ? '6' : ''}tables`
  if (host.sysctl.find(key) === '1') await passFirewalls(host, { from: bridge, to: bridge, family })
}

export async function passFirewalls(
  { nft }: Namespace,
  { from, to, family }: { from: Link; to: Link; family: Family },
): Promise<void> {
  const drops = await findForwardDrops(nft, async () => ({ from, to: [to] }))
  const [drop] = drops.filter(({ families }) => families.includes(family))
  if (drop === undefined) return
  const { owner, remedy } = explainDrop(drop, from.name)
  die(`${dropText(drop)} drops what goes from ${from.name} to ${to.name}: it is of ${owner}`, remedy)
}

export function passForwarding({ sysctl }: Namespace, family: Family): void {
  for (const { key, value } of forwardingSysctls(new Set([family]))) {
    if (sysctl.find(key) !== value)
      die(
        `forwarding is off (net/${key})`,
        `${REPAIR}; where no pod has a gateway, sysctl -w net/${key}=${value}`,
      )
  }
}

/** The pod's interface has the address. */
export async function passAddress({ rtnl }: Namespace, link: Link, address: IpAddress): Promise<void> {
  const found = (await rtnl.listAddresses({ dev: link.index })).find(({ prefix }) =>
    prefix.address.equals(address),
  )
  if (found === undefined) die(`${link.name} of the pod has no address ${address}`, RESTART)
  if (found?.dadFailed)
    die(`${address} is somebody else’s, too (duplicate address detection)`, 'find out whose: ip neigh')
}

/** What the kernel refuses to route; other troubles are thrown on. */
export function noWay(error: unknown, why: string, remedy: string): never {
  if (!(error instanceof NetlinkError)) throw error
  return die(`${why} (${error.code})`, remedy)
}
