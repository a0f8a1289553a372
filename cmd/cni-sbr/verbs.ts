// The verbs of `cni-sbr`, as of any chained plugin (lib/attach/chained-verbs.ts).

import { chainedVerbs } from '../../lib/attach/chained-verbs.ts'
import { parseNetconf } from './netconf.ts'
import { sourceRouting } from './source-routing.ts'

export const { add, del, check, gc, status, findGarbage } = chainedVerbs(
  sourceRouting,
  async (_, request) => {
    parseNetconf(request)
    return []
  },
)
