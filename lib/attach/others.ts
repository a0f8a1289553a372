// What else is attached: who may rely on what an attachment shares with others.

import type { Request } from '../cni/request.ts'
import type { Ports } from '../host/ports.ts'
import type { Attachment, AttachmentFilter } from '../state/attachments.ts'

/** Without what is recorded, by whatever plugin, of the request's own attachment. */
export function listOthers(
  { attachments }: Ports,
  request: Request,
  filter?: AttachmentFilter,
): Attachment[] {
  return attachments
    .list(filter)
    .filter(
      ({ network, containerId, ifname }) =>
        network !== request.name || containerId !== request.containerId || ifname !== request.ifname,
    )
}
