// The end of a pod's wire, and of the masquerading of its addresses.

import type { Request } from '../cni/request.ts'
import type { Failures } from '../host/failures.ts'
import type { Ports } from '../host/ports.ts'
import { removeWire } from '../veth/pod-link.ts'
import { forgetPodConnections, type MasqueradeRecord, unmasquerade } from './masquerade.ts'

interface Plugged {
  readonly wire: Parameters<typeof removeWire>[1]
  readonly masquerade: readonly MasqueradeRecord[]
  readonly failures: Failures
}

/** Both at once: the kernel takes its time for a wire. Connections after both: until then the pod makes new ones. */
export async function unplug(
  ports: Ports,
  request: Request,
  { wire, masquerade, failures }: Plugged,
): Promise<void> {
  await Promise.all([
    failures.attempt(() => unmasquerade(ports, request, masquerade)),
    failures.attempt(() => removeWire(ports.kernel.host.rtnl, wire)),
  ])
  await failures.attempt(() => forgetPodConnections(ports, masquerade))
}
