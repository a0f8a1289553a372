// The config of `cni-sbr`.

import { CNI_CODE, CniError } from '../../lib/cni/errors.ts'
import type { Request } from '../../lib/cni/request.ts'
import { boolean, decode, integer, list, object, optional, string } from '../../lib/cni/schema.ts'
import { IpAddress } from '../../lib/ip/address.ts'

const MAX_TABLE = 0xffff_ffff

export const netconfSchema = object({
  table: optional(
    integer({
      min: 1,
      max: MAX_TABLE,
      doc: 'the routing table of all addresses, with the routes that others have put there: none are moved',
    }),
  ),
  gateways: list(string(), {
    doc: 'gateways of the default routes, one of each family at most; without effect beside "table"',
  }),
  addSourceHints: boolean({
    doc: 'routes name the interface’s address as their source; without effect beside "table"',
  }),
})

export interface SbrNetconf {
  readonly table: number | undefined
  readonly gateways: readonly IpAddress[]
  readonly addSourceHints: boolean
}

/** @throws CniError 7 */
export function parseNetconf({ netconf }: Request): SbrNetconf {
  const { table, gateways: texts, addSourceHints } = decode(netconfSchema, netconf)
  const gateways = texts.map((text, at) => parseGateway(text, `gateways[${at}]`))
  for (const family of [4, 6]) {
    if (gateways.filter((one) => one.family === family).length > 1)
      throw new CniError(CNI_CODE.invalidNetconf, `gateways: more than one for IPv${family}`)
  }
  return { table, gateways, addSourceHints }
}

function parseGateway(text: string, path: string): IpAddress {
  try {
    return IpAddress.parse(text)
  } catch (cause) {
    throw new CniError(CNI_CODE.invalidNetconf, `${path}: ${(cause as Error).message}`, { cause })
  }
}
