// vlan: the frames of one VLAN of a link, without their tags (IEEE 802.1Q, net/8021q).

import { attributeTable } from '../../netlink/attributes.ts'
import { u16 } from '../../netlink/codecs.ts'
import type { StackedLink } from './stacked.ts'

export interface NewVlan extends StackedLink {
  readonly kind: 'vlan'
  /** 0–4094 */
  readonly vlanId: number
}

export const IFLA_VLAN = attributeTable({ IFLA_VLAN_ID: [1, u16] })

export function vlanData({ vlanId }: NewVlan) {
  return { IFLA_VLAN_ID: vlanId }
}
