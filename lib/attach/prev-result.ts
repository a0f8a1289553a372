// What the plugins before this one in a chain have made, as the runtime passes it on (SPEC.md, `prevResult`).

import { CNI_CODE, CniError } from '../cni/errors.ts'
import type { Request } from '../cni/request.ts'
import type { Result, ResultInterface } from '../cni/result.ts'
import type { Kernel, Namespace } from '../host/kernel.ts'
import type { Link } from '../rtnl/link.ts'

/** Upstream's words for ADD and CHECK; plugins of its suite differ in them. */
export const NOT_CHAINED = 'must be called as chained plugin'
export const NO_PREV_RESULT = 'Required prevResult missing'

/**
 * @param message  upstream's words in the plugin of this name; CHECK of all plugins says the same
 * @throws CniError 7 when the plugin is the first of its chain
 */
export function requirePrevResult({ command, prevResult, ...request }: Request, message?: string): Result {
  if (prevResult !== undefined) return prevResult
  const words = message ?? (command === 'CHECK' ? NO_PREV_RESULT : NOT_CHAINED)
  const details =
    command === 'CHECK'
      ? `network ${request.name}: CHECK goes by what ADD answered, which the runtime passes on`
      : `network ${request.name}: in "plugins" it comes after one that makes an interface, such as cni-bridge`
  throw new CniError(CNI_CODE.invalidNetconf, words, { details })
}

/** The interface inside the pod that this call is about. @returns undefined when no plugin before made one */
export function findPodInterface({ ifname }: Request, result: Result): ResultInterface | undefined {
  return result.interfaces?.find((one) => one.name === ifname && (one.sandbox ?? '') !== '')
}

/**
 * The node's end of the pod's veth pair. The words of errors are upstream's (bandwidth).
 *
 * @param pod  the namespace of the request
 * @throws CniError 999 when the pod's interface is gone, no veth, or its other end is not on the node or not said to
 *   be in prevResult
 */
export async function getHostEnd(
  { host }: Pick<Kernel, 'host'>,
  { request, pod, result }: { request: Request; pod: Namespace; result: Result },
): Promise<Link> {
  const fail = (message: string) => new CniError(CNI_CODE.internal, message)
  if ((result.interfaces ?? []).length === 0) throw fail('no interfaces provided')
  const end = await pod.rtnl.findLink(request.ifname)
  if (end?.kind !== 'veth' || end.peerIndex === undefined)
    throw fail(`container interface ${request.ifname} has no veth peer`)
  // An index means something in its own namespace only: the node may have another link of this one.
  const link = await host.rtnl.findLink(end.peerIndex)
  if (link?.kind !== 'veth' || link.peerIndex !== end.index)
    throw fail(`veth peer with index ${end.peerIndex} is not in host ns`)
  const isSaid = result.interfaces?.some(({ name, sandbox = '' }) => sandbox === '' && name === link.name)
  if (!isSaid) throw fail('no veth peer of container interface found in host ns')
  return link
}
