// ipvlan: a link of its own that shares the MAC address of another (drivers/net/ipvlan).

import { attributeTable } from '../../netlink/attributes.ts'
import { u16 } from '../../netlink/codecs.ts'
import type { StackedLink } from './stacked.ts'

/** Where it is decided which of them a packet is for (enum ipvlan_mode, linux/if_link.h). */
const MODES = { l2: 0, l3: 1, l3s: 2 } as const
export type IpvlanMode = keyof typeof MODES

export interface NewIpvlan extends Omit<StackedLink, 'mac'> {
  readonly kind: 'ipvlan'
  readonly mode: IpvlanMode
}

export const IFLA_IPVLAN = attributeTable({ IFLA_IPVLAN_MODE: [1, u16] })

export function ipvlanData({ mode }: NewIpvlan) {
  return { IFLA_IPVLAN_MODE: MODES[mode] }
}

export function readIpvlanMode(value: number | undefined): IpvlanMode | undefined {
  return (Object.keys(MODES) as IpvlanMode[]).find((mode) => MODES[mode] === value)
}
