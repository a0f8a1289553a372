// From a request to what its attachment is recorded under.

import type { Request } from '../cni/request.ts'
import type { Attachment, AttachmentKey } from '../state/attachments.ts'

export function attachmentKey(plugin: string, { name, containerId, ifname }: Request): AttachmentKey {
  return { plugin, network: name, containerId, ifname }
}

/** The Kubernetes pod that the runtime says it acts for. */
export function podOf({ args }: Request): Pick<Attachment, 'podNamespace' | 'podName'> {
  const podNamespace = args.get('K8S_POD_NAMESPACE')
  const podName = args.get('K8S_POD_NAME')
  return {
    ...(podNamespace === undefined ? {} : { podNamespace }),
    ...(podName === undefined ? {} : { podName }),
  }
}
