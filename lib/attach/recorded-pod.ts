// The pod's namespace that ADD saw, found again later: under the path that the runtime names now, else under that of
// ADD. Both may lead to another pod's by then (`/proc/<pid>/ns/net`), and that one is left alone.

import type { Request } from '../cni/request.ts'
import type { Namespace } from '../host/kernel.ts'
import { findPodNamespace } from '../host/pod-namespace.ts'
import type { Ports } from '../host/ports.ts'

/** Of a record. */
export interface PodRecord {
  readonly netns: string
  /** Tells the pod's namespace from a later one under the same path. */
  readonly inode: string
}

export function podRecord({ netns }: Request, { inode }: Namespace): PodRecord {
  return { netns, inode }
}

/** @returns undefined when it is gone, and with it all that was in it */
export function findRecordedPod(
  { kernel }: Ports,
  request: Request,
  { netns, inode }: PodRecord,
): Namespace | undefined {
  for (const path of new Set([request.netns, netns])) {
    const namespace = findPodNamespace(kernel, { ...request, netns: path })
    if (namespace?.inode === inode) return namespace
    namespace?.close()
  }
  return undefined
}
