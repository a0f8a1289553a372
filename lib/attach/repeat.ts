// A second ADD of one attachment, of a plugin that makes the pod's interface.

import { CNI_CODE, CniError } from '../cni/errors.ts'
import type { Request } from '../cni/request.ts'
import { attachmentKey } from '../host/attachment-key.ts'
import { isRetry, isRetryOf } from '../host/call.ts'
import type { Ports } from '../host/ports.ts'
import { type RecordedPlugin, removeRecord } from './recorded.ts'
import { releaseUnrecorded } from './unrecorded.ts'

/**
 * A second ADD of a live attachment must not take anything from it, whatever namespace it names: one that is complete
 * and whose interface is there is live. What an ADD that was killed left behind is cleared away, and so is what the
 * first try of this very call has made.
 *
 * @param isLive  whether the interface that the record names is there
 * @throws CniError 999 when it is live
 */
export async function refuseRepeat<R extends object>(
  ports: Ports,
  request: Request,
  { recorded, isLive }: { recorded: RecordedPlugin<R>; isLive: (record: R) => Promise<boolean> },
): Promise<void> {
  const earlier = ports.attachments.find(attachmentKey(recorded.plugin, request))
  if (earlier === undefined) {
    // Before there is a record, there is at most a lease.
    if (isRetry(request)) await releaseUnrecorded(ports, request, recorded.plugin)
    return
  }
  const record = earlier.record as R
  const isOver = !earlier.isComplete || isRetryOf(request, earlier) || !(await isLive(record))
  if (isOver) return removeRecord(ports, request, { recorded, record })
  const message = `${request.containerId} is already attached to ${request.name} by ${request.ifname}`
  throw new CniError(CNI_CODE.internal, message, {
    details: 'an attachment is added once; DEL it before it is added again',
  })
}
