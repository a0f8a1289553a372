// macvlan: one more MAC address on a link, and a link of its own that has it (drivers/net/macvlan.c).

import { attributeTable } from '../../netlink/attributes.ts'
import { u32 } from '../../netlink/codecs.ts'
import type { StackedLink } from './stacked.ts'

/** Who of those on one link hears whom (enum macvlan_mode, linux/if_link.h). */
const MODES = { private: 1, vepa: 2, bridge: 4, passthru: 8 } as const
export type MacvlanMode = keyof typeof MODES

export interface NewMacvlan extends StackedLink {
  readonly kind: 'macvlan'
  readonly mode: MacvlanMode
  /** Broadcasts that wait to be copied to all of them. */
  readonly broadcastQueueLength?: number
}

export const IFLA_MACVLAN = attributeTable({
  IFLA_MACVLAN_MODE: [1, u32],
  IFLA_MACVLAN_BC_QUEUE_LEN: [7, u32],
})

export function macvlanData({ mode, broadcastQueueLength }: NewMacvlan) {
  return {
    IFLA_MACVLAN_MODE: MODES[mode],
    IFLA_MACVLAN_BC_QUEUE_LEN: broadcastQueueLength,
  }
}

/** @returns undefined for one that has no name here */
export function readMacvlanMode(value: number | undefined): MacvlanMode | undefined {
  return (Object.keys(MODES) as MacvlanMode[]).find((mode) => MODES[mode] === value)
}
