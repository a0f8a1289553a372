// DEL of what was never added, was added by upstream's plugin, or whose record is lost: what the config and the pod
// tell.

import { delegateDel } from '../cni/delegate.ts'
import { DelegateMissing } from '../cni/errors.ts'
import type { Request } from '../cni/request.ts'
import { findPodNamespace } from '../host/pod-namespace.ts'
import type { Ports } from '../host/ports.ts'
import { isNotFound } from '../netlink/error.ts'
import { ipamSection, ipamType } from './ipam.ts'

/** @param kind  of the link that the plugin makes: what else has that name is not from a plugin of this kind */
export async function removePodLink({ kernel }: Ports, request: Request, kind: string): Promise<void> {
  const pod = findPodNamespace(kernel, request)
  try {
    const link = await pod?.rtnl.findLink(request.ifname)
    if (link?.kind === kind) await pod?.rtnl.apply({ change: 'delete link', link: link.index })
  } catch (error) {
    if (!isNotFound(error)) throw error
  } finally {
    pod?.close()
  }
}

/** An IPAM plugin that is not there has leased nothing to an attachment that was never recorded. */
export async function releaseUnrecorded(ports: Ports, request: Request, plugin: string): Promise<void> {
  const type = ipamType(ipamSection(request), plugin)
  if (type === '') return
  try {
    await delegateDel(ports, type, request)
  } catch (error) {
    if (!(error instanceof DelegateMissing)) throw error
  }
}
