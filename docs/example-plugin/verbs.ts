// The verbs of `cni-proxy-arp`, as of any chained plugin (lib/attach/chained-verbs.ts).

import { chainedVerbs } from '../../lib/attach/chained-verbs.ts'
import { parseNetconf } from './netconf.ts'
import { proxyArp } from './proxy-arp.ts'

export const { add, del, check, gc, status, findGarbage } = chainedVerbs(proxyArp, async (_, request) => {
  parseNetconf(request)
  return []
})
