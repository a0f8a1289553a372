// The verbs of `cni-vrf`, as of any chained plugin (lib/attach/chained-verbs.ts).

import { chainedVerbs } from '../../lib/attach/chained-verbs.ts'
import { findKindProblem } from '../../lib/attach/link-kind.ts'
import { parseNetconf } from './netconf.ts'
import { vrf } from './vrf.ts'

export const { add, del, check, gc, status, findGarbage } = chainedVerbs(vrf, async ({ kernel }, request) => {
  parseNetconf(request)
  return findKindProblem(kernel.host.rtnl, 'vrf')
})
