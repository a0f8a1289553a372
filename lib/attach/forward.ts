// The node passes on what pods send and what is for them (lib/host/forwarding.ts).

import type { Request } from '../cni/request.ts'
import { planForwarding } from '../host/forwarding.ts'
import type { Ports } from '../host/ports.ts'
import type { Undo } from '../host/undo.ts'
import type { Family } from '../ip/address.ts'
import type { SysctlSetting } from '../sysctl/sysctl.ts'
import { listOthers } from './others.ts'

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
      const isNeeded = listOthers(ports, request).some(
        (other) => other.plugin !== plugin || reliesOn(other.record, setting),
      )
      if (!isNeeded) host.sysctl.set({ ...setting, value: before })
    })
    host.sysctl.set(setting)
  }
}
