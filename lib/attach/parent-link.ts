// The link that a pod's interface is to lie on: the one that the config names, or that of the default route.

import { CNI_CODE, CniError } from '../cni/errors.ts'
import type { Link } from '../rtnl/link.ts'
import type { Rtnl } from '../rtnl/rtnl.ts'
import { findUplinks } from '../rtnl/uplink.ts'
import type { Problem } from './readiness.ts'

/**
 * The words of errors are upstream's.
 *
 * @param rtnl    of the namespace where it is
 * @param master  '' for that of the default route
 * @throws CniError 999 when it is not there
 */
export async function getParent(rtnl: Rtnl, master: string): Promise<Link> {
  const [uplink] = master === '' ? await findUplinks(rtnl) : []
  const parent = uplink ?? (master === '' ? undefined : await rtnl.findLink(master))
  if (parent !== undefined) return parent
  const message =
    master === '' ? 'no default route interface found' : `failed to lookup master "${master}": Link not found`
  throw new CniError(CNI_CODE.internal, message, {
    details: '"master" names the link that pods’ interfaces lie on',
  })
}

/** @throws CniError 7 for an MTU that is above its */
export function requireMtu(mtu: number, parent: Link): void {
  if (mtu >= 0 && mtu <= parent.mtu) return
  throw new CniError(CNI_CODE.invalidNetconf, `invalid MTU ${mtu}, must be [0, master MTU(${parent.mtu})]`)
}

/** For STATUS. */
export async function findParentProblem(rtnl: Rtnl, master: string): Promise<Problem[]> {
  try {
    await getParent(rtnl, master)
    return []
  } catch (error) {
    if (!(error instanceof CniError)) throw error
    return [{ code: CNI_CODE.pluginNotAvailable, message: error.message, remedy: error.details }]
  }
}
