// The pod's end of whatever was made for it: its interface up with addresses and routes, and its loopback up.

import type { Namespace } from '../host/kernel.ts'
import { together } from '../host/together.ts'
import type { Undo } from '../host/undo.ts'
import { Prefix } from '../ip/prefix.ts'
import { unlessGone } from '../netlink/error.ts'
import { type IfIndex, LOOPBACK_INDEX } from '../rtnl/link.ts'
import { hasIpv6, type PodAddressing, podChanges, podSysctlFiles } from '../veth/pod-link.ts'

const LOOPBACK_ADDRESS = Prefix.parse('127.0.0.1/8')
const LOOPBACK_IPV6 = 'ipv6/conf/lo/disable_ipv6'

export interface PodEnd {
  readonly addressing: PodAddressing
  readonly undo: Undo
  /** Of the interface, where it is known. */
  readonly index?: IfIndex | undefined
}

/** What is set on the interface goes with it; the loopback was there before, and is set back by `undo`. */
export async function configurePodEnd(
  pod: Namespace,
  ifname: string,
  { addressing, undo, index }: PodEnd,
): Promise<void> {
  const dev = index ?? (await pod.rtnl.getLink(ifname)).index
  if (hasIpv6(addressing.addresses)) {
    const value = pod.sysctl.find(LOOPBACK_IPV6)
    if (value !== undefined)
      undo.push('set the pod’s lo back', () => pod.sysctl.set({ key: LOOPBACK_IPV6, value }))
  }
  pod.sysctl.set(...podSysctlFiles(ifname, addressing))
  const changes = podChanges(dev, addressing)
  let wasUp: boolean | undefined
  undo.push('set the pod’s lo down', async () => {
    if (!(wasUp ?? (await hasOthers(pod, ifname)))) await lowerLoopback(pod)
  })
  // In one datagram: the kernel tells of the loopback before it sets it up.
  const told = pod.rtnl.getLink(LOOPBACK_INDEX).then(({ up }) => {
    wasUp = up
  })
  await together(told, pod.rtnl.apply(...changes))
}

/** Of a pod of which the kernel has not told: without its loopback, others that it has would suffer. */
async function hasOthers({ rtnl }: Namespace, ifname: string): Promise<boolean> {
  return (await rtnl.listLinks()).some(({ index, name }) => index !== LOOPBACK_INDEX && name !== ifname)
}

/** The kernel gave it the address when it came up first, and leaves it there (net/ipv4/devinet.c). */
export async function lowerLoopback({ rtnl }: Namespace): Promise<void> {
  const address = { dev: LOOPBACK_INDEX, prefix: LOOPBACK_ADDRESS }
  await rtnl
    .apply(
      { change: 'set link', link: LOOPBACK_INDEX, set: { up: false } },
      { change: 'delete address', address },
    )
    .catch(unlessGone)
}
