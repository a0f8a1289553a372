// The pod's wire, made: a veth pair whose one end is born inside the pod.

import { basename } from 'node:path'
import { CNI_CODE, CniError } from '../cni/errors.ts'
import type { Request } from '../cni/request.ts'
import type { Namespace } from '../host/kernel.ts'
import { isAlreadyExists } from '../netlink/error.ts'

/** An interface of that name is inside the pod already. The words are upstream's: clients look for them. */
export async function explainExisting(
  error: unknown,
  { request, pod, hostIfname }: { request: Request; pod: Namespace; hostIfname: string },
): Promise<never> {
  if (isAlreadyExists(error) && (await pod.rtnl.findLink(request.ifname)) !== undefined) {
    throw new CniError(
      CNI_CODE.internal,
      `container veth name ("${request.ifname}") peer provided ("${hostIfname}") already exists`,
      { details: existingDetails(request), cause: error },
    )
  }
  throw error
}

export function existingDetails({ netns }: Request): string {
  return `the namespace has an interface of that name already: ip -n ${basename(netns)} link`
}
