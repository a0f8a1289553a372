// The node passes on what pods send and what is for them (lib/host/forwarding.ts).

import type { Request } from '../cni/request.ts'
import { attachmentKey } from '../host/attachment-key.ts'
import { planForwarding } from '../host/forwarding.ts'
import type { Ports } from '../host/ports.ts'
import type { Undo } from '../host/undo.ts'
import type { Family } from '../ip/address.ts'
import type { Attachment } from '../state/attachments.ts'
import type { SysctlSetting } from '../sysctl/sysctl.ts'

export interface Forwarding {
  readonly plugin: string
  readonly families: ReadonlySet<Family>
  readonly undo: Undo
  /** Whether an attachment of the same plugin needs the setting; when absent, each does. */
  readonly reliesOn?: (record: unknown, setting: SysctlSetting) => boolean
}

/** Undone only while nobody else is attached who may need it. */
export async function enableForwarding(
  ports: Ports,
  request: Request,
  { plugin, families, undo, reliesOn = () => true }: Forwarding,
): Promise<void> {
  const { host } = ports.kernel
  for (const setting of await planForwarding(host, families)) {
    const before = host.sysctl.find(setting.key)
    if (before === undefined) continue
    undo.push(`set ${setting.key} back to ${before}`, () => {
      const isNeeded = listOthers(ports, request, plugin).some(
        (other) => other.plugin !== plugin || reliesOn(other.record, setting),
      )
      if (!isNeeded) host.sysctl.set({ ...setting, value: before })
    })
    host.sysctl.set(setting)
  }
}

function listOthers({ attachments }: Ports, request: Request, plugin: string): Attachment[] {
  const own = attachmentKey(plugin, request)
  return attachments.list().filter(({ network, containerId, ifname }) => {
    return network !== own.network || containerId !== own.containerId || ifname !== own.ifname
  })
}
