// The links by which a node reaches the rest of the world: those of its default routes.

import type { Family } from '../ip/address.ts'
import type { IfIndex, Link } from './link.ts'
import { RT_TABLE_MAIN } from './route.ts'
import type { Rtnl } from './rtnl.ts'

/** Of both families, each link once; of several routes in a family those of the lowest metric. */
export async function findUplinks(rtnl: Rtnl): Promise<Link[]> {
  const indices = new Set([...(await bestWays(rtnl, 4)), ...(await bestWays(rtnl, 6))])
  const links: Link[] = []
  for (const index of indices) {
    const link = await rtnl.findLink(index)
    if (link !== undefined) links.push(link)
  }
  return links
}

async function bestWays(rtnl: Rtnl, family: Family): Promise<IfIndex[]> {
  const routes = await rtnl.listRoutes({ family, table: RT_TABLE_MAIN })
  const defaults = routes.filter(({ dst }) => dst.length === 0)
  const best = Math.min(...defaults.map(({ priority = 0 }) => priority))
  return defaults.filter(({ priority = 0 }) => priority === best).flatMap(({ dev }) => dev ?? [])
}
