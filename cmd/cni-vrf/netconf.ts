// The config of `cni-vrf`. The words of errors are upstream's.

import { isIfname } from '../../lib/cni/environment.ts'
import { CNI_CODE, CniError } from '../../lib/cni/errors.ts'
import type { Request } from '../../lib/cni/request.ts'
import { decode, integer, object, string } from '../../lib/cni/schema.ts'

export const netconfSchema = object({
  vrfname: string({ doc: 'name of the VRF; made when it is not there' }),
  table: integer({
    min: 0,
    max: 0xffff_ffff,
    doc: 'its routing table; 0: the lowest that is free, or that it has',
  }),
})

export interface VrfNetconf {
  readonly name: string
  /** 0 for any. */
  readonly table: number
}

/** @throws CniError 7 */
export function parseNetconf({ netconf }: Request): VrfNetconf {
  const { vrfname: name, table } = decode(netconfSchema, netconf)
  if (!isIfname(name))
    throw new CniError(CNI_CODE.invalidNetconf, 'configuration is expected to have a valid vrf name')
  return { name, table }
}
