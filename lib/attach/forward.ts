// The node passes on what pods send and what is for them (lib/host/forwarding.ts).

import type { Request } from '../cni/request.ts'
import { attachmentKey } from '../host/attachment-key.ts'
import { planForwarding } from '../host/forwarding.ts'
import type { Ports } from '../host/ports.ts'
import type { Undo } from '../host/undo.ts'
import type { Family } from '../ip/address.ts'

/** Undone only while nobody else is attached: then others may need it. */
export async function enableForwarding(
  ports: Ports,
  request: Request,
  { plugin, families, undo }: { plugin: string; families: ReadonlySet<Family>; undo: Undo },
): Promise<void> {
  const { host } = ports.kernel
  for (const setting of await planForwarding(host, families)) {
    const before = host.sysctl.find(setting.key)
    if (before === undefined) continue
    undo.push(`set ${setting.key} back to ${before}`, () => {
      if (!hasOthers(ports, request, plugin)) host.sysctl.set({ ...setting, value: before })
    })
    host.sysctl.set(setting)
  }
}

function hasOthers({ attachments }: Ports, request: Request, plugin: string): boolean {
  const own = attachmentKey(plugin, request)
  return attachments.list().some(({ network, containerId, ifname }) => {
    return network !== own.network || containerId !== own.containerId || ifname !== own.ifname
  })
}
