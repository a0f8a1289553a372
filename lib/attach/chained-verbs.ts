// The verbs of a chained plugin, from what it does (chained.ts).

import type { Garbage } from '../cni/plugin.ts'
import type { Request } from '../cni/request.ts'
import type { Result } from '../cni/result.ts'
import type { Ports } from '../host/ports.ts'
import { addChained, type ChainedPlugin, checkChained, delChained, gcChained } from './chained.ts'
import { findStoreProblem, type Problem, requireReady } from './readiness.ts'
import { findDeadRecords } from './recorded.ts'

/**
 * @param findProblems  what, beside a store that cannot be written, stands in the way of the next ADD; throws for a
 *   config that it would refuse
 */
export function chainedVerbs<R extends object>(
  chained: ChainedPlugin<R>,
  findProblems: (ports: Ports, request: Request) => Promise<Problem[]>,
) {
  return {
    add: (ports: Ports, request: Request): Promise<Result> => addChained(ports, request, chained),
    del: (ports: Ports, request: Request): Promise<void> => delChained(ports, request, chained),
    check: (ports: Ports, request: Request): Promise<void> => checkChained(ports, request, chained),
    gc: (ports: Ports, request: Request): Promise<void> => gcChained(ports, request, chained),
    async findGarbage(ports: Ports, request: Request): Promise<Garbage[]> {
      return findDeadRecords(ports, request, chained)
    },
    async status(ports: Ports, request: Request): Promise<void> {
      requireReady([...findStoreProblem(ports), ...(await findProblems(ports, request))])
    },
  }
}
