// The pod's end of whatever was made for it: its interface up with addresses and routes, and its loopback up.

import type { Namespace } from '../host/kernel.ts'
import type { Undo } from '../host/undo.ts'
import { Prefix } from '../ip/prefix.ts'
import { unlessGone } from '../netlink/error.ts'
import { LOOPBACK_INDEX } from '../rtnl/link.ts'
import { hasIpv6, type PodAddressing, podChanges, podSysctlFiles } from '../veth/pod-link.ts'

const LOOPBACK_ADDRESS = Prefix.parse('127.0.0.1/8')
const LOOPBACK_IPV6 = 'ipv6/conf/lo/disable_ipv6'

/** What is set on the interface goes with it; the loopback was there before, and is set back by `undo`. */
export async function configurePodEnd(
  pod: Namespace,
  ifname: string,
  { addressing, undo }: { addressing: PodAddressing; undo: Undo },
): Promise<void> {
  const [link, loopback] = await Promise.all([pod.rtnl.getLink(ifname), pod.rtnl.getLink(LOOPBACK_INDEX)])
  const value = hasIpv6(addressing.addresses) ? pod.sysctl.find(LOOPBACK_IPV6) : undefined
  undo.push('set the pod’s lo back', async () => {
    if (value !== undefined) pod.sysctl.set({ key: LOOPBACK_IPV6, value })
    if (!loopback.up) await lowerLoopback(pod)
  })
  pod.sysctl.set(...podSysctlFiles(ifname, addressing))
  await pod.rtnl.apply(...podChanges(link.index, addressing))
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
