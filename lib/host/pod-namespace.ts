// The pod's namespace as the runtime names it. A path that leads to the node's own would wire the pod into the node.

import { CNI_CODE, CniError } from '../cni/errors.ts'
import type { Request } from '../cni/request.ts'
import { NetnsError } from '../netns/netns.ts'
import type { Kernel, Namespace } from './kernel.ts'

/** @throws CniError 8 when nothing is there, when it is no network namespace, or the node's own */
export function openPodNamespace(kernel: Kernel, request: Request): Namespace {
  let namespace: Namespace
  try {
    namespace = kernel.openNamespace(request.netns)
  } catch (cause) {
    if (!(cause instanceof NetnsError)) throw cause
    throw new CniError(CNI_CODE.invalidNetns, cause.message, { cause })
  }
  if (namespace.inode === kernel.host.inode && !request.netnsOverride) {
    namespace.close()
    throw new CniError(
      CNI_CODE.invalidNetns,
      "plugin's netns and netns from CNI_NETNS should not be the same",
      {
        details: `CNI_NETNS is ${request.netns}, which is the network namespace of the node`,
      },
    )
  }
  return namespace
}

/** Works inside the pod's namespace, which is closed after. @throws as openPodNamespace */
export async function inPodNamespace<T>(
  kernel: Kernel,
  request: Request,
  work: (pod: Namespace) => Promise<T>,
): Promise<T> {
  const pod = openPodNamespace(kernel, request)
  try {
    return await work(pod)
  } finally {
    pod.close()
  }
}

/**
 * For DEL, to which a namespace that is gone is as good as one that was emptied, and so is the node's own: nothing was
 * ever attached to it.
 *
 * @returns undefined for none
 */
export function findPodNamespace(kernel: Kernel, request: Request): Namespace | undefined {
  if (request.netns === '') return undefined
  try {
    const namespace = kernel.openNamespace(request.netns)
    if (namespace.inode !== kernel.host.inode || request.netnsOverride) return namespace
    namespace.close()
    return undefined
  } catch (error) {
    if (error instanceof NetnsError && error.isGone) return undefined
    throw error
  }
}
