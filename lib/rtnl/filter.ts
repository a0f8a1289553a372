// Filters of what a link receives (RTM_*TFILTER, linux/pkt_cls.h). The one that we make sends everything to another
// link instead: u32 with the action mirred. u32, because kernels have had it for longest; its one key holds for every packet.

import type { Attributes } from '../netlink/attributes.ts'
import { NLM_F_CREATE, NLM_F_EXCL } from '../netlink/message.ts'
import { type Operation, type Request, readPayload, request } from '../netlink/request.ts'
import type { IfIndex } from './link.ts'
import { INGRESS_HANDLE } from './qdisc.ts'
import { RTM_GETTFILTER, RTM_NEWTFILTER, type TCA_U32 } from './traffic-attributes.ts'

/** ETH_P_ALL in network order, as tcm_info has it. */
const ALL_PROTOCOLS = 0x0300
const PREFERENCE = 1
const TERMINAL = 1
const EVERY_PACKET = { mask: 0, val: 0 }
const TC_ACT_STOLEN = 4
const EGRESS_REDIRECT = 1

/** In the ingress qdisc of `dev`. */
export interface Redirect {
  readonly dev: IfIndex
  /** The link that sends it; 0 when that is gone: packets are dropped then. */
  readonly to: IfIndex | 0
}

export function addRedirectRequest({ dev, to }: Redirect, operation: Operation): Request {
  return request(RTM_NEWTFILTER, {
    flags: NLM_F_CREATE | NLM_F_EXCL,
    header: {
      tcm_ifindex: dev,
      tcm_parent: INGRESS_HANDLE,
      tcm_info: PREFERENCE * 0x10000 + ALL_PROTOCOLS,
    },
    attributes: { TCA_KIND: 'u32', TCA_OPTIONS: everythingTo(to) },
    operation,
  })
}

function everythingTo(ifindex: number): Attributes<typeof TCA_U32> {
  const mirred = { action: TC_ACT_STOLEN, eaction: EGRESS_REDIRECT, ifindex }
  return {
    TCA_U32_SEL: { flags: TERMINAL, keys: [EVERY_PACKET] },
    TCA_U32_ACT: { first: { TCA_ACT_KIND: 'mirred', TCA_ACT_OPTIONS: { TCA_MIRRED_PARMS: mirred } } },
  }
}

export interface FilterState {
  readonly dev: IfIndex
  /** `u32`, `bpf`, … */
  readonly kind: string
  /** Of a filter that is a `Redirect`. */
  readonly to?: IfIndex | 0
}

/** Of the ingress qdisc. */
export function listFiltersRequest(dev: IfIndex): Request {
  return request(RTM_GETTFILTER, {
    header: { tcm_ifindex: dev, tcm_parent: INGRESS_HANDLE },
    operation: `tc filter show dev #${dev} ingress`,
  })
}

/** @returns undefined for what is told beside a filter: the head of a list, and u32's hash tables */
export function readFilter(payload: Uint8Array): FilterState | undefined {
  const { header, attributes } = readPayload(RTM_NEWTFILTER, payload)
  const { TCA_KIND: kind = '', TCA_OPTIONS: options } = attributes
  const dev = header.tcm_ifindex as IfIndex
  if (options === undefined) return undefined
  if (kind !== 'u32') return { dev, kind }
  const { TCA_U32_SEL: selector, TCA_U32_ACT: actions } = options as Attributes<typeof TCA_U32>
  if (selector === undefined) return undefined
  const mirred = (actions?.first?.TCA_ACT_OPTIONS as Mirred | undefined)?.TCA_MIRRED_PARMS
  const isRedirect = selector.keys.every(({ mask }) => mask === 0) && mirred?.eaction === EGRESS_REDIRECT
  return { dev, kind, ...(isRedirect ? { to: mirred.ifindex as IfIndex | 0 } : {}) }
}

interface Mirred {
  readonly TCA_MIRRED_PARMS?: { readonly eaction?: number; readonly ifindex?: number }
}
