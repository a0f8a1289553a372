// The verbs of `cni-tuning`, as of any chained plugin (lib/attach/chained-verbs.ts).

import { chainedVerbs } from '../../lib/attach/chained-verbs.ts'
import { parseNetconf } from './netconf.ts'
import { requireAllowed } from './sysctl-key.ts'
import { tuning } from './tuning.ts'

export const { add, del, check, gc, status, findGarbage } = chainedVerbs(
  tuning,
  async ({ files }, request) => {
    requireAllowed(files, Object.keys(parseNetconf(request).sysctl))
    return []
  },
)
