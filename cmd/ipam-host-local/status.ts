// STATUS: whether the next ADD would get its addresses. Runtimes ask every few seconds.

import { CNI_CODE, CniError } from '../../lib/cni/errors.ts'
import type { Request } from '../../lib/cni/request.ts'
import type { Ports } from '../../lib/host/ports.ts'
import { describeUsage, hasFree, usageOf } from '../../lib/ipam/exhaustion.ts'
import type { LeaseReader } from '../../lib/ipam/lease-store.ts'
import { formatRangeSet } from '../../lib/ipam/range-set.ts'
import { StoreError } from '../../lib/state/store-error.ts'
import { read } from './leases.ts'
import { type HostLocalNetconf, parseNetconf } from './netconf.ts'

/** @throws CniError 50 when addresses run out or the leases cannot be kept, 7 for what is wrong in the config */
export async function status(ports: Ports, request: Request): Promise<void> {
  const netconf = parseNetconf(request)
  const { name: network } = request
  const { dataDir } = netconf
  try {
    ports.leases(dataDir).probe()
    read(ports, { network, dataDir }, (reader) => requireFree(reader, network, netconf))
  } catch (cause) {
    if (!(cause instanceof StoreError)) throw cause
    throw new CniError(CNI_CODE.pluginNotAvailable, cause.message, { details: cause.remedy, cause })
  }
}

function requireFree(
  reader: LeaseReader,
  network: string,
  { sets, statusMinFree }: Pick<HostLocalNetconf, 'sets' | 'statusMinFree'>,
): void {
  for (const [index, set] of sets.entries()) {
    if (hasFree(reader, network, { set, atLeast: statusMinFree })) continue
    const { used, total } = usageOf(reader, network, set)
    const free = total - BigInt(used)
    const message = `${free > 0n ? `only ${free}` : 'no'} IP addresses available in range set ${index}: ${formatRangeSet(set)}`
    throw new CniError(CNI_CODE.pluginNotAvailable, message, {
      details: describeUsage(reader, network, set),
    })
  }
}
