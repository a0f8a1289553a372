// Addresses by delegation: ADD has the IPAM plugin lease them, and gives them back when a later step fails.

import { delegateAdd, delegateDel } from '../cni/delegate.ts'
import { CNI_CODE, CniError } from '../cni/errors.ts'
import type { Request } from '../cni/request.ts'
import type { Result } from '../cni/result.ts'
import type { Ports } from '../host/ports.ts'
import type { Undo } from '../host/undo.ts'
import { parseIp } from './addressing.ts'
import { type IpamSection, ipamSection } from './ipam.ts'

export interface Leased {
  readonly result: Result
  /** The section of the config that they came by: DEL releases them by it. */
  readonly section: IpamSection
}

/**
 * @param type  of the IPAM plugin
 * @throws CniError the IPAM's; 999 when it gave no address
 */
export async function leaseAddresses(
  ports: Ports,
  request: Request,
  { type, undo }: { type: string; undo: Undo },
): Promise<Leased> {
  const result = await delegateAdd(ports, type, request)
  undo.push(`release the addresses (${type} DEL)`, () => delegateDel(ports, type, request))
  const { ips = [] } = result
  if (ips.length === 0) throw new CniError(CNI_CODE.internal, 'IPAM plugin returned missing IP config')
  await ports.kernel.host.conntrack.settle(ips.map((ip) => parseIp(ip).prefix.address))
  return { result, section: ipamSection(request) }
}
