// GC: the limits of attachments that are no more, and intermediate links that have no record.

import { findDeadRecords } from '../../lib/attach/recorded.ts'
import { STRAY, strayRule } from '../../lib/attach/strays.ts'
import type { Garbage } from '../../lib/cni/plugin.ts'
import type { Request } from '../../lib/cni/request.ts'
import { collect } from '../../lib/host/garbage.ts'
import type { Ports } from '../../lib/host/ports.ts'
import { unlessGone } from '../../lib/netlink/error.ts'
import { limits } from './limits.ts'

export async function gc(ports: Ports, request: Request): Promise<void> {
  await collect(await findGarbage(ports, request))
}

export async function findGarbage(ports: Ports, request: Request): Promise<Garbage[]> {
  return [...findDeadRecords(ports, request, limits), ...(await findStrayDetours(ports, request))]
}

async function findStrayDetours(ports: Ports, request: Request): Promise<Garbage[]> {
  const { rtnl } = ports.kernel.host
  const isStray = strayRule(ports, request)
  const links = (await rtnl.listLinks({ kind: 'ifb' })).filter(({ alias = '' }) => isStray(alias))
  return links.map(({ name, alias, index }) => ({
    what: `link ${name} (${alias})`,
    why: STRAY,
    remove: () => rtnl.apply({ change: 'delete link', link: index }).catch(unlessGone),
  }))
}
