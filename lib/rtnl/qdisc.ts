// Queueing disciplines: how packets wait before a link sends them (RTM_*QDISC, linux/pkt_sched.h).

import type { Attributes } from '../netlink/attributes.ts'
import { NLM_F_CREATE, NLM_F_EXCL } from '../netlink/message.ts'
import { type Operation, type Request, readPayload, request } from '../netlink/request.ts'
import type { IfIndex } from './link.ts'
import { tbfBufferTicks } from './psched.ts'
import {
  RTM_DELQDISC,
  RTM_GETQDISC,
  RTM_NEWQDISC,
  TC_H,
  type TCA,
  type TCA_TBF,
} from './traffic-attributes.ts'

/** Where a qdisc is: at the root of what a link sends, or before what it receives. */
export type QdiscParent = keyof typeof TC_H

/** The major number of the handle that a qdisc at the root gets: `1:`. */
const ROOT_HANDLE = 0x10000
/** The kernel gives it this handle by itself. */
export const INGRESS_HANDLE = 0xffff0000
const LINKLAYER_ETHERNET = 1
const U32_MAX = 0xffffffff

/** A token bucket (tc-tbf(8)): packets wait until there are tokens for them. */
export interface Tbf {
  readonly kind: 'tbf'
  /** At least 1; what the kernel counts are whole frames with their Ethernet headers. */
  readonly rateBytesPerSecond: number
  /** What may be sent at once after a rest, 1 to 2^32-1. A larger frame would never be sent. */
  readonly burstBytes: number
  /** What may wait, up to 2^32-1; frames beyond it are dropped. */
  readonly limitBytes: number
}

/** The place of filters for what a link receives (sch_ingress). */
export interface IngressQdisc {
  readonly kind: 'ingress'
}

export type Qdisc = Tbf | IngressQdisc

export interface QdiscState {
  readonly dev: IfIndex
  /** `tbf`, `ingress`, `fq_codel`, … */
  readonly kind: string
  /** The handle of another qdisc's class, where it is inside of one. */
  readonly parent: QdiscParent | number
  readonly tbf?: TbfState
}

export interface TbfState {
  readonly rateBytesPerSecond: number
  readonly limitBytes: number
  /** All that the kernel tells of the burst; see `tbfBufferTicks`. */
  readonly bufferTicks: number
}

export function parentOf({ kind }: Qdisc): QdiscParent {
  return kind === 'ingress' ? 'ingress' : 'root'
}

/** What the kernel had put there by itself gives way; a qdisc that somebody set does not (EEXIST). */
export function addQdiscRequest(dev: IfIndex, qdisc: Qdisc, operation: Operation): Request {
  return request(RTM_NEWQDISC, {
    flags: NLM_F_CREATE | NLM_F_EXCL,
    header: {
      tcm_ifindex: dev,
      tcm_parent: TC_H[parentOf(qdisc)],
      tcm_handle: qdisc.kind === 'ingress' ? INGRESS_HANDLE : ROOT_HANDLE,
    },
    attributes: {
      TCA_KIND: qdisc.kind,
      TCA_OPTIONS: qdisc.kind === 'tbf' ? tbfOptions(qdisc) : undefined,
    },
    operation,
  })
}

function tbfOptions({ rateBytesPerSecond, burstBytes, limitBytes }: Tbf): Attributes<typeof TCA_TBF> {
  return {
    TCA_TBF_PARMS: {
      rate_linklayer: LINKLAYER_ETHERNET,
      rate: Math.min(rateBytesPerSecond, U32_MAX),
      limit: limitBytes,
    },
    TCA_TBF_RATE64: rateBytesPerSecond > U32_MAX ? BigInt(rateBytesPerSecond) : undefined,
    TCA_TBF_BURST: burstBytes,
  }
}

/** With the filters in it. @throws when sent: ENOENT when there is none but the kernel's own */
export function deleteQdiscRequest(dev: IfIndex, parent: QdiscParent, operation: Operation): Request {
  return request(RTM_DELQDISC, { header: { tcm_ifindex: dev, tcm_parent: TC_H[parent] }, operation })
}

/** Of all links: the kernel has no filter. */
export function listQdiscsRequest(): Request {
  return request(RTM_GETQDISC, { operation: 'tc qdisc show' })
}

/** @returns undefined for what the kernel puts there by itself: such a qdisc has no handle */
export function readQdisc(payload: Uint8Array): QdiscState | undefined {
  const { header, attributes } = readPayload(RTM_NEWQDISC, payload)
  if (header.tcm_handle === 0) return undefined
  const { TCA_KIND: kind = '' } = attributes
  return {
    dev: header.tcm_ifindex as IfIndex,
    kind,
    parent: PARENTS.get(header.tcm_parent) ?? header.tcm_parent,
    ...(kind === 'tbf' ? readTbf(attributes) : {}),
  }
}

const PARENTS = new Map<number, QdiscParent>([
  [TC_H.root, 'root'],
  [TC_H.ingress, 'ingress'],
])

function readTbf({ TCA_OPTIONS }: Attributes<typeof TCA>): { tbf?: TbfState } {
  const { TCA_TBF_PARMS: parameters, TCA_TBF_RATE64 } = (TCA_OPTIONS ?? {}) as Attributes<typeof TCA_TBF>
  if (parameters === undefined) return {}
  const { rate = 0, limit = 0, buffer = 0 } = parameters
  return {
    tbf: { rateBytesPerSecond: Number(TCA_TBF_RATE64 ?? rate), limitBytes: limit, bufferTicks: buffer },
  }
}

/** What a bucket that was made of this tells of itself. */
export function tbfState(tbf: Tbf): TbfState {
  const { rateBytesPerSecond, limitBytes } = tbf
  return { rateBytesPerSecond, limitBytes, bufferTicks: tbfBufferTicks(tbf) }
}
