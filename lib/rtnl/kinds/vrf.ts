// vrf: links that have it as their master look into a routing table of their own (drivers/net/vrf.c).

import { attributeTable } from '../../netlink/attributes.ts'
import { u32 } from '../../netlink/codecs.ts'
import type { IfName } from '../link.ts'

export interface NewVrf {
  readonly kind: 'vrf'
  readonly name: IfName
  readonly up?: boolean
  /** The routing table. */
  readonly table: number
}

export const IFLA_VRF = attributeTable({ IFLA_VRF_TABLE: [1, u32] })

export function vrfData({ table }: NewVrf) {
  return { IFLA_VRF_TABLE: table }
}
