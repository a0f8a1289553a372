// DEL and GC: everything that ADD made is taken back, from the record alone. Its address is given back when nothing is let
// through for it any more.

import { findInterfaceGarbage, type InterfacePlugin } from '../../lib/attach/interface-plugin.ts'
import { removeOwnedMasquerade } from '../../lib/attach/masquerade.ts'
import { delRecorded } from '../../lib/attach/recorded.ts'
import { unplug } from '../../lib/attach/unplug.ts'
import { releaseUnrecorded, removePodLink } from '../../lib/attach/unrecorded.ts'
import type { Garbage } from '../../lib/cni/plugin.ts'
import type { Request } from '../../lib/cni/request.ts'
import { findField } from '../../lib/cni/schema.ts'
import { Failures } from '../../lib/host/failures.ts'
import { collect } from '../../lib/host/garbage.ts'
import type { Ports } from '../../lib/host/ports.ts'
import { PLUGIN, type PtpRecord, wireOf } from './record.ts'

export const recorded: InterfacePlugin<PtpRecord> = {
  plugin: PLUGIN,
  takeBack,
  ipamOf: ({ ipam }) => ipam,
  isLive: async ({ kernel }, _, { hostIfname, hostMac }) => {
    const wire = await kernel.host.rtnl.findLink(hostIfname)
    return wire?.mac === hostMac
  },
}

export async function del(ports: Ports, request: Request): Promise<void> {
  if (!(await delRecorded(ports, request, recorded))) await removeUnrecorded(ports, request)
}

export async function gc(ports: Ports, request: Request): Promise<void> {
  await collect(await findGarbage(ports, request))
}

export function findGarbage(ports: Ports, request: Request): Promise<Garbage[]> {
  return findInterfaceGarbage(ports, request, recorded)
}

/** Addresses and routes of the node's end go with it. */
async function takeBack(ports: Ports, request: Request, record: PtpRecord): Promise<void> {
  const failures = new Failures()
  const { masquerade } = record
  await unplug(ports, request, { wire: wireOf(record, request), masquerade, failures })
  failures.throwIfAny()
}

async function removeUnrecorded(ports: Ports, request: Request): Promise<void> {
  const failures = new Failures()
  if (findField(request.netconf, 'ipMasq') === true)
    await failures.attempt(() => removeOwnedMasquerade(ports, request))
  await failures.attempt(() => removePodLink(ports, request, 'veth'))
  await failures.attempt(() => releaseUnrecorded(ports, request, PLUGIN))
  failures.throwIfAny()
}
