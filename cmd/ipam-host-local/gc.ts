// GC: leases of this network whose attachment is not valid. When the runtime names none, those whose namespace is gone,
// as far as it is known; leases of an earlier boot are free anyway.

import type { Garbage } from '../../lib/cni/plugin.ts'
import type { Request } from '../../lib/cni/request.ts'
import { collect, isAlive, listValid } from '../../lib/host/garbage.ts'
import type { Ports } from '../../lib/host/ports.ts'
import { describeLease } from '../../lib/ipam/exhaustion.ts'
import { type Lease, listStray, pickHeldBy, releaseAllExcept, strayRule } from '../../lib/ipam/lease-store.ts'
import { read, release } from './leases.ts'
import { readDataDir } from './netconf.ts'

export async function gc(ports: Ports, request: Request): Promise<void> {
  const keep = listValid(request)
  if (keep === undefined) return collect(await findGarbage(ports, request))
  const { name: network } = request
  const nowMs = ports.clock.nowMs()
  const released = release(
    ports,
    { network, dataDir: readDataDir(request) },
    {
      ours: (tx) => releaseAllExcept(tx, { network, keep, nowMs }),
      theirs: (leases) => leases.filter(strayRule(keep)),
    },
  )
  if (released.length === 0) return
  ports.log.info({ network, addresses: released.map(({ address }) => String(address)) }, 'released leases')
}

/** Those that `gc` releases, all at once there. */
export async function findGarbage(ports: Ports, request: Request): Promise<Garbage[]> {
  const valid = listValid(request)
  const place = { network: request.name, dataDir: readDataDir(request) }
  const leases = read(ports, place, (reader) =>
    valid === undefined ? reader.listHeld(place.network) : listStray(reader, place.network, valid),
  )
  const stray = valid === undefined ? leases.filter(orphanRule(ports, place.network)) : leases
  return stray.map((lease) => ({
    what: `lease ${lease.address} of network ${lease.network}`,
    why: reasonOf(lease, valid?.length),
    remove: () => releaseFound(ports, place, lease),
  }))
}

/** Its holder may have been deleted and added anew since it was found. @returns false when it has another lease by now */
function releaseFound(ports: Ports, place: { network: string; dataDir: string }, lease: Lease): boolean {
  let isAnew = false
  const pickSame = <T extends Taken>(held: readonly T[]) => {
    const isStill = held.some((one) => isSameLease(one, lease))
    isAnew = held.length > 0 && !isStill
    return isStill ? held : []
  }
  release(ports, place, {
    ours: (tx) =>
      pickSame(tx.listByHolder(place.network, lease)).length > 0
        ? tx.release(place.network, lease, ports.clock.nowMs())
        : [],
    theirs: (leases) => pickSame(pickHeldBy(leases, lease)),
  })
  return !isAnew
}

type Taken = Pick<Lease, 'address' | 'acquiredAtMs' | 'netns'>

function isSameLease(a: Taken, b: Taken): boolean {
  return a.address.equals(b.address) && a.acquiredAtMs === b.acquiredAtMs && a.netns === b.netns
}

/** Whose namespace is gone. One that an attachment is recorded for goes with that, and not by itself. */
function orphanRule({ kernel, attachments }: Ports, network: string): (lease: Lease) => boolean {
  const isUnrecorded = strayRule(attachments.list({ network }))
  return (lease) => lease.netns !== undefined && isUnrecorded(lease) && !isAlive(kernel, lease.netns)
}

function reasonOf(lease: Lease, valid: number | undefined): string {
  if (valid === undefined) return `${describeLease(lease)}; its network namespace ${lease.netns} is gone`
  return `${describeLease(lease)}; it is not one of the ${valid} attachments that the runtime names as valid`
}
