// What `cni-vrf` does for one attachment, as plain JSON, and how it comes about.

import { type PodRecord, podRecord } from '../../lib/attach/recorded-pod.ts'
import { type RouteRecord, toRouteRecord } from '../../lib/attach/route-record.ts'
import { CNI_CODE, CniError } from '../../lib/cni/errors.ts'
import type { Request } from '../../lib/cni/request.ts'
import type { Namespace } from '../../lib/host/kernel.ts'
import { Prefix } from '../../lib/ip/prefix.ts'
import type { IfIndex, Link } from '../../lib/rtnl/link.ts'
import { RT_TABLE_MAIN } from '../../lib/rtnl/route.ts'
import type { VrfNetconf } from './netconf.ts'

const LINK_LOCAL6 = Prefix.parse('fe80::/10')

export interface VrfRecord extends PodRecord {
  /** Of the interface. */
  readonly index: IfIndex
  readonly vrf: string
  /** It was there with nothing in it: it stays when this interface leaves it. */
  readonly keep: boolean
  /** IPv6 addresses of the interface, which the kernel takes when it changes its table. */
  readonly addresses: readonly string[]
  /** Routes of the interface that are not made by the kernel for its addresses. */
  readonly routes: readonly RouteRecord[]
  /** The VRF's table: other plugins' CHECK looks there for the interface's routes. */
  readonly routesTo: readonly number[]
}

/** @throws CniError 999 when it cannot be, in upstream's words */
export async function planRecord(
  request: Request,
  pod: Namespace,
  { name, table }: VrfNetconf,
): Promise<VrfRecord> {
  const { rtnl } = pod
  const link = await rtnl.findLink(request.ifname)
  if (link === undefined) throw refusal(`could not get link by name ${request.ifname}`)
  if (link.master !== undefined) {
    const master = await rtnl.findLink(link.master)
    throw refusal(`interface ${request.ifname} has already a master set: ${master?.name ?? link.master}`)
  }
  const found = await findVrf(pod, { name, table })
  const members = found === undefined ? [] : await rtnl.listLinks({ master: found.index })
  return {
    ...podRecord(request, pod),
    index: link.index,
    vrf: name,
    keep: found !== undefined && members.length === 0,
    ...(await describeAddressing(pod, link.index)),
    routesTo: [found?.vrfTable ?? (table || (await findFreeTable(pod)))],
  }
}

async function findVrf({ rtnl }: Namespace, { name, table }: VrfNetconf): Promise<Link | undefined> {
  const found = await rtnl.findLink(name)
  if (found === undefined) return undefined
  if (found.kind !== 'vrf') throw refusal(`Netlink ${name} is not a VRF`)
  if (table !== 0 && found.vrfTable !== table)
    throw refusal(`VRF ${name} already exist with different routing table ${found.vrfTable}`)
  return found
}

async function describeAddressing({ rtnl }: Namespace, dev: IfIndex) {
  const addresses = (await rtnl.listAddresses({ dev, family: 6 })).map(({ prefix }) => prefix)
  const routes = await rtnl.listRoutes({ dev, table: RT_TABLE_MAIN })
  return {
    addresses: addresses.filter(({ address }) => !LINK_LOCAL6.contains(address)).map(String),
    routes: routes
      .filter(({ connected, dst }) => !connected && !LINK_LOCAL6.contains(dst.address))
      .map(toRouteRecord)
      .sort((a, b) => Number(a.gateway !== undefined) - Number(b.gateway !== undefined)), // gateways must be reached
  }
}

/** Neither a VRF nor a rule has it. */
async function findFreeTable({ rtnl }: Namespace): Promise<number> {
  const vrfs = (await rtnl.listLinks({ kind: 'vrf' })).map(({ vrfTable }) => vrfTable)
  const rules = [...(await rtnl.listRules(4)), ...(await rtnl.listRules(6))]
  const taken = new Set<number | undefined>([...vrfs, ...rules.map(({ table }) => table)])
  let table = 1
  while (taken.has(table)) table++
  return table
}

function refusal(message: string): CniError {
  return new CniError(CNI_CODE.internal, message)
}
