// What the verbs have in common: the record is planned, compared with the node, and taken back.

import type { ChainedPlugin } from '../../lib/attach/chained.ts'
import { differences } from '../../lib/attach/drift.ts'
import type { Request } from '../../lib/cni/request.ts'
import type { Result } from '../../lib/cni/result.ts'
import { attachmentKey } from '../../lib/host/attachment-key.ts'
import { forgetPortConnections } from '../../lib/host/connections.ts'
import { Failures } from '../../lib/host/failures.ts'
import type { Namespace } from '../../lib/host/kernel.ts'
import { ownerText } from '../../lib/host/owner.ts'
import type { Ports } from '../../lib/host/ports.ts'
import { checkHostports, removeHostports } from '../../lib/hostport/hostport-table.ts'
import { isLeft, portsOf } from '../../lib/hostport/stale-connections.ts'
import type { IpAddress } from '../../lib/ip/address.ts'
import type { Rtnl } from '../../lib/rtnl/rtnl.ts'
import type { SysctlSetting } from '../../lib/sysctl/sysctl.ts'
import { hostportsOf, PLUGIN, type PortmapRecord, toRecord } from './attachment.ts'
import { parseNetconf } from './netconf.ts'
import { planHostports } from './plan.ts'
import { withoutSiblings, yieldToSiblings } from './siblings.ts'

export const portmap: Omit<ChainedPlugin<PortmapRecord>, 'make'> = { plugin: PLUGIN, plan, compare, takeBack }

export function ownerOf(request: Request): string {
  return ownerText(attachmentKey(PLUGIN, request))
}

async function plan(
  { kernel }: Ports,
  request: Request,
  prevResult: Result,
): Promise<PortmapRecord | undefined> {
  const netconf = parseNetconf(request.netconf)
  const planned = planHostports(netconf, prevResult, request.ifname)
  if (planned.hostports.length === 0) return undefined
  const v4 = planned.masquerades.find(({ address }) => address.family === 4)
  const localnet = v4 === undefined ? undefined : await findLinkTo(kernel.host.rtnl, v4.address)
  return toRecord(planned, localnet ?? null)
}

/** The link of the most special route to the pod. A default route leads away from the node. */
async function findLinkTo(rtnl: Rtnl, address: IpAddress): Promise<string | undefined> {
  const routes = (await rtnl.listRoutes({ family: 4 })).filter(
    ({ dst, dev }) => dst.length > 0 && dev !== undefined && dst.contains(address),
  )
  const [best] = routes.toSorted((a, b) => b.dst.length - a.dst.length)
  return best?.dev === undefined ? undefined : (await rtnl.findLink(best.dev))?.name
}

/** What 127.0.0.1 sends, and what comes back to it, passes this link. Guarded by hostport-rules.ts. */
export function localnetSysctls({ localnet }: PortmapRecord): SysctlSetting[] {
  return localnet === null
    ? []
    : [{ key: `ipv4/conf/${localnet}/route_localnet`, value: '1', optional: true }]
}

async function compare(
  ports: Ports,
  request: Request,
  { record }: { record: PortmapRecord },
): Promise<string[]> {
  const { host } = ports.kernel
  const own = await withoutSiblings(ports, request, record)
  return [
    ...(await checkHostports(host.nft, hostportsOf(own), ownerOf(request))),
    ...checkLocalnet(host, record),
  ]
}

export function checkLocalnet({ sysctl }: Pick<Namespace, 'sysctl'>, record: PortmapRecord): string[] {
  return localnetSysctls(record).flatMap(({ key, value }) =>
    differences('node', [[`sysctl net/${key}`, value, sysctl.find(key) ?? value]]),
  )
}

/** The sysctl stays: other pods are behind the same link, or it goes with its pod. */
async function takeBack(ports: Ports, request: Request, record: PortmapRecord): Promise<void> {
  const { host } = ports.kernel
  const held = hostportsOf(record)
  const failures = new Failures()
  await failures.attempt(() => removeHostports(host.nft, held, ownerOf(request)))
  await failures.attempt(() => yieldToSiblings(ports, request))
  // After it, or the next packet would be translated again.
  await failures.attempt(() => forgetPortConnections(host, portsOf(held.hostports), isLeft(held.hostports)))
  failures.throwIfAny()
}
