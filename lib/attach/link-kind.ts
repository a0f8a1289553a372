// Kinds of links that a kernel may be built without.

import { CNI_CODE, CniError } from '../cni/errors.ts'
import { NetlinkError } from '../netlink/error.ts'
import type { Rtnl } from '../rtnl/rtnl.ts'
import type { Problem } from './readiness.ts'

const CONFIG: Readonly<Record<string, string>> = {
  macvlan: 'CONFIG_MACVLAN (modprobe macvlan)',
  ipvlan: 'CONFIG_IPVLAN (modprobe ipvlan)',
  vlan: 'CONFIG_VLAN_8021Q (modprobe 8021q)',
  vrf: 'CONFIG_NET_VRF (modprobe vrf)',
  dummy: 'CONFIG_DUMMY (modprobe dummy)',
}

/** Of a link that could not be made. @throws CniError 999 where that is the reason, else the error */
export async function explainMissingKind(error: unknown, rtnl: Rtnl, kind: string): Promise<never> {
  const [problem] =
    error instanceof NetlinkError && error.code === 'EOPNOTSUPP' ? await findKindProblem(rtnl, kind) : []
  if (problem === undefined) throw error
  throw new CniError(CNI_CODE.internal, problem.message, { details: problem.remedy, cause: error })
}

/** For STATUS. */
export async function findKindProblem(rtnl: Rtnl, kind: string): Promise<Problem[]> {
  if (await rtnl.hasFeature(`link ${kind}`)) return []
  const message = `this kernel has no links of kind ${kind}`
  return [
    { code: CNI_CODE.pluginNotAvailable, message, remedy: `it takes a kernel with ${CONFIG[kind] ?? kind}` },
  ]
}
