// ADD: ports of the node become a pod's.

import { addChained } from '../../lib/attach/chained.ts'
import { removeRecord } from '../../lib/attach/recorded.ts'
import { CNI_CODE, CniError } from '../../lib/cni/errors.ts'
import type { Request } from '../../lib/cni/request.ts'
import type { Result } from '../../lib/cni/result.ts'
import { forgetPortConnections } from '../../lib/host/connections.ts'
import { asDel, isValid } from '../../lib/host/garbage.ts'
import { ownerText } from '../../lib/host/owner.ts'
import type { Ports } from '../../lib/host/ports.ts'
import { hostportText } from '../../lib/hostport/hostport.ts'
import {
  addHostports,
  HostportTaken,
  removeHostports,
  restoreHostports,
} from '../../lib/hostport/hostport-table.ts'
import { isMissing, portsOf } from '../../lib/hostport/stale-connections.ts'
import { fullPodName } from '../../lib/log/full-pod-name.ts'
import type { Attachment } from '../../lib/state/attachments.ts'
import { hostportsOf, PLUGIN, type PortmapRecord } from './attachment.ts'
import { localnetSysctls, ownerOf, portmap } from './portmap.ts'
import { withoutSiblings } from './siblings.ts'

export async function add(ports: Ports, request: Request): Promise<Result> {
  return addChained(ports, request, { ...portmap, make })
}

async function make(
  ports: Ports,
  request: Request,
  { record, prevResult }: { record: PortmapRecord; prevResult: Result },
): Promise<Result> {
  await claimPorts(ports, request, record)
  const { host } = ports.kernel
  host.sysctl.set(...localnetSysctls(record))
  const { hostports } = hostportsOf(record)
  const local = (await host.rtnl.listAddresses()).map(({ prefix }) => prefix.address)
  await forgetPortConnections(host, portsOf(hostports), isMissing(hostports, local))
  return prevResult
}

/** Whoever holds a port and is dead beyond doubt loses it: his DEL may never come (plugins#1190). */
export async function claimPorts(ports: Ports, request: Request, record: PortmapRecord): Promise<void> {
  const { nft } = ports.kernel.host
  const owner = ownerOf(request)
  // Each time round a dead attachment loses all of its ports.
  for (;;) {
    const hostports = hostportsOf(await withoutSiblings(ports, request, record))
    try {
      const isMended = await addHostports(nft, hostports, owner)
      if (isMended) await restoreOthers(ports, request)
      return
    } catch (error) {
      if (!(error instanceof HostportTaken)) throw error
      const holder = listRecords(ports).find((one) => ownerText(one) === error.owner)
      if (holder?.containerId === request.containerId) continue // a sibling, a moment ago
      if (holder === undefined || isValid(ports.kernel, undefined, holder)) throw taken(error, holder)
      const dead = { recorded: portmap, record: holder.record as PortmapRecord }
      await removeRecord(ports, { ...asDel(request, holder), name: holder.network }, dead)
    }
  }
}

function taken({ hostport, owner, cause }: HostportTaken, holder: Attachment | undefined): CniError {
  const [network, containerId, ifname] = owner.split(' ')
  const pod =
    holder?.podName === undefined ? '' : ` of pod ${fullPodName(holder.podNamespace, holder.podName)}`
  const by =
    containerId === undefined
      ? `somebody else (${JSON.stringify(owner)})`
      : `container ${containerId}${pod} on network ${network}, interface ${ifname}`
  return new CniError(CNI_CODE.internal, `host port ${hostportText(hostport)} is taken by ${by}`, {
    details:
      holder === undefined
        ? 'nothing is recorded of the holder; when it is gone, GC with the runtime’s list of attachments frees the port'
        : 'choose another port or hostIP, or end the holder first',
    cause,
  })
}

/** The table was not as we make it: flushed, most likely, and with it went what other pods had there. */
async function restoreOthers(ports: Ports, request: Request): Promise<void> {
  const { nft } = ports.kernel.host
  const own = ownerOf(request)
  for (const other of listRecords(ports)) {
    const owner = ownerText(other)
    if (owner === own) continue
    const hostports = hostportsOf(other.record as PortmapRecord)
    await restoreHostports(nft, hostports, owner)
    // A DEL that ran meanwhile had taken its elements away before.
    if (ports.attachments.find(other) === undefined) await removeHostports(nft, hostports, owner)
  }
}

function listRecords({ attachments }: Ports): Attachment[] {
  return attachments.list({ plugin: PLUGIN })
}
