// The verbs of a plugin whose interface is one link (single-link.ts), from what its config comes to.

import type { Garbage } from '../cni/plugin.ts'
import type { Request } from '../cni/request.ts'
import type { Result } from '../cni/result.ts'
import { Failures } from '../host/failures.ts'
import { collect } from '../host/garbage.ts'
import type { Ports } from '../host/ports.ts'
import { addInterface, checkInterface, findInterfaceGarbage } from './interface-plugin.ts'
import { findKindProblem } from './link-kind.ts'
import { findDelegateProblem, findStoreProblem, type Problem, requireReady } from './readiness.ts'
import { delRecorded } from './recorded.ts'
import { compareSingleLink, type SingleLink, singleLinkPlugin, singleLinkSteps } from './single-link.ts'
import { releaseUnrecorded, removePodLink } from './unrecorded.ts'

export interface SingleLinkKind {
  readonly plugin: string
  readonly kind: string
  /** Reads the config. @throws CniError 7 for what is wrong in it */
  parse(ports: Ports, request: Request): SingleLink
  /** What else may stand in the way of an ADD, for STATUS. */
  readonly findProblems?: (ports: Ports, request: Request) => Promise<Problem[]>
}

export function singleLinkVerbs({ plugin, kind, parse, findProblems }: SingleLinkKind) {
  const recorded = singleLinkPlugin(plugin)
  const findGarbage = (ports: Ports, request: Request): Promise<Garbage[]> =>
    findInterfaceGarbage(ports, request, recorded)
  return {
    findGarbage,
    add(ports: Ports, request: Request): Promise<Result> {
      const steps = singleLinkSteps(ports, request, { plugin, link: parse(ports, request) })
      return addInterface(ports, request, { recorded, steps })
    },
    async del(ports: Ports, request: Request): Promise<void> {
      if (await delRecorded(ports, request, recorded)) return
      const failures = new Failures()
      await failures.attempt(() => removePodLink(ports, request, kind))
      await failures.attempt(() => releaseUnrecorded(ports, request, plugin))
      failures.throwIfAny()
    },
    check(ports: Ports, request: Request): Promise<void> {
      parse(ports, request)
      return checkInterface(ports, request, {
        recorded,
        compare: (comparison) => compareSingleLink(ports, request, { plugin, comparison }),
      })
    },
    async gc(ports: Ports, request: Request): Promise<void> {
      await collect(await findGarbage(ports, request))
    },
    async status(ports: Ports, request: Request): Promise<void> {
      const { ipam } = parse(ports, request)
      requireReady([
        ...findStoreProblem(ports),
        ...(await findKindProblem(ports.kernel.host.rtnl, kind)),
        ...((await findProblems?.(ports, request)) ?? []),
        ...(await findDelegateProblem(ports, request, ipam)),
      ])
    },
  }
}
