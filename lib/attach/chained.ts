// A chained plugin: it comes after one that made the pod's interface, and changes or adds something for that
// interface. What it is going to do is a record; to do it, to compare it with what is there and to take it back all go
// by the record (docs/writing-a-plugin.md).

import { CniError } from '../cni/errors.ts'
import type { Request } from '../cni/request.ts'
import type { Result } from '../cni/result.ts'
import { collect } from '../host/garbage.ts'
import type { Ports } from '../host/ports.ts'
import { CHECK_FAILED, requireNoDrift } from './drift.ts'
import { requirePrevResult } from './prev-result.ts'
import {
  completeRecord,
  delRecorded,
  findDeadRecords,
  findRecord,
  putRecord,
  type RecordedPlugin,
  removeRecord,
} from './recorded.ts'
import { withUndo } from './undoing.ts'

export interface ChainedPlugin<R extends object> extends RecordedPlugin<R> {
  /**
   * Config and prevResult become a record of all that will be done. Nothing is changed.
   *
   * @returns undefined when there is nothing to do
   * @throws CniError 7 for what is wrong in the config
   */
  plan(ports: Ports, request: Request, prevResult: Result): Promise<R | undefined>
  /** Does it. When it throws, what was done is taken back by `takeBack`. @returns the chain's result so far */
  make(ports: Ports, request: Request, made: { record: R; prevResult: Result }): Promise<Result>
  /** Looks only. @returns a text for each difference */
  compare(ports: Ports, request: Request, expected: { record: R; prevResult: Result }): Promise<string[]>
  /** Upstream's words for an ADD without prevResult, where they are not the usual ones. */
  readonly notChained?: string
}

/**
 * A record that is there already is of an ADD that was killed, or of one whose chain failed later and was not deleted:
 * the interface is new, since the plugin that makes it refuses a second ADD. So what it names is taken back first.
 */
export async function addChained<R extends object>(
  ports: Ports,
  request: Request,
  chained: ChainedPlugin<R>,
): Promise<Result> {
  const prevResult = requirePrevResult(request, chained.notChained)
  await delRecorded(ports, request, chained)
  const record = await chained.plan(ports, request, prevResult)
  if (record === undefined) return prevResult
  return withUndo(async (undo) => {
    undo.push(`take ${chained.plugin}’s part back`, () =>
      removeRecord(ports, request, { recorded: chained, record }),
    )
    putRecord(ports, request, { plugin: chained.plugin, record })
    const result = await chained.make(ports, request, { record, prevResult })
    completeRecord(ports, request, chained.plugin)
    return result
  })
}

/**
 * @throws CniError 7 without prevResult; 100 when something is not as it was made, or ADD should have made something
 *   and nothing is recorded
 */
export async function checkChained<R extends object>(
  ports: Ports,
  request: Request,
  chained: Omit<ChainedPlugin<R>, 'make'>,
): Promise<void> {
  const prevResult = requirePrevResult(request)
  const record = findRecord<R>(ports, request, chained.plugin)
  if (record !== undefined)
    return requireNoDrift(request, await chained.compare(ports, request, { record, prevResult }))
  if ((await chained.plan(ports, request, prevResult)) === undefined) return
  throw new CniError(CHECK_FAILED, `nothing that ${chained.plugin} made is recorded for this attachment`, {
    details:
      'ADD has not run for it, or the state directory was lost; restart the pod, or DEL and ADD it again',
  })
}

export async function delChained<R extends object>(
  ports: Ports,
  request: Request,
  chained: ChainedPlugin<R>,
): Promise<void> {
  await delRecorded(ports, request, chained)
}

/** GC. A plugin that can tell its own things on the node adds those that have no record. */
export async function gcChained<R extends object>(
  ports: Ports,
  request: Request,
  chained: ChainedPlugin<R>,
): Promise<void> {
  await collect(findDeadRecords(ports, request, chained))
}
