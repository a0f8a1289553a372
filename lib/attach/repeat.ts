// A second ADD of one attachment, of a plugin that makes the pod's interface.

import { CNI_CODE, CniError } from '../cni/errors.ts'
import type { Request } from '../cni/request.ts'
import type { Ports } from '../host/ports.ts'
import { findRecord, type RecordedPlugin, removeRecord } from './recorded.ts'

/**
 * A second ADD of a live attachment must not take anything from it, whatever namespace it names. What an ADD that was
 * killed left behind is cleared away.
 *
 * @param isLive  whether the interface that the record names is there
 * @throws CniError 999 when it is live
 */
export async function refuseRepeat<R extends object>(
  ports: Ports,
  request: Request,
  { recorded, isLive }: { recorded: RecordedPlugin<R>; isLive: (record: R) => Promise<boolean> },
): Promise<void> {
  const record = findRecord<R>(ports, request, recorded.plugin)
  if (record === undefined) return
  if (!(await isLive(record))) return removeRecord(ports, request, { recorded, record })
  const message = `${request.containerId} is already attached to ${request.name} by ${request.ifname}`
  throw new CniError(CNI_CODE.internal, message, {
    details: 'an attachment is added once; DEL it before it is added again',
  })
}
