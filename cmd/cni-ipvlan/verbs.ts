// The verbs of `cni-ipvlan`, as of any plugin whose interface is one link (lib/attach/single-link-verbs.ts).

import { singleLinkVerbs } from '../../lib/attach/single-link-verbs.ts'
import { findParentProblem, PLUGIN, parse } from './netconf.ts'

export const { add, del, check, gc, status, findGarbage } = singleLinkVerbs({
  plugin: PLUGIN,
  kind: 'ipvlan',
  parse,
  findProblems: findParentProblem,
})
