// GC: ports of attachments that are no more. Records first, by the same way as DEL; then what has no record, by the
// owner that is written on each element.

import { findDeadRecords } from '../../lib/attach/recorded.ts'
import { STRAY, strayRule } from '../../lib/attach/strays.ts'
import type { Garbage } from '../../lib/cni/plugin.ts'
import type { Request } from '../../lib/cni/request.ts'
import { collect } from '../../lib/host/garbage.ts'
import type { Ports } from '../../lib/host/ports.ts'
import { listHostportElements } from '../../lib/hostport/hostport-table.ts'
import { elementSubject } from '../../lib/nftables/find-elements.ts'
import { removeOwned } from '../../lib/nftables/owned-elements.ts'
import { portmap } from './portmap.ts'

export async function gc(ports: Ports, request: Request): Promise<void> {
  await collect(await findGarbage(ports, request))
}

export async function findGarbage(ports: Ports, request: Request): Promise<Garbage[]> {
  const { nft } = ports.kernel.host
  const isStray = strayRule(ports, request)
  const strays = (await listHostportElements(nft)).filter(({ element }) => isStray(element.comment ?? ''))
  return [
    ...findDeadRecords(ports, request, portmap),
    ...strays.map((one) => ({
      what: `host port: ${elementSubject(one)} (${one.element.comment})`,
      why: STRAY,
      remove: () => removeOwned(nft, [one]),
    })),
  ]
}
