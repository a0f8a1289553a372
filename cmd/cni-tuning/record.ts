// What `cni-tuning` changes for one attachment, with what was there before; plain JSON.

import type { PodRecord } from '../../lib/attach/recorded-pod.ts'
import type { IfIndex, Link } from '../../lib/rtnl/link.ts'
import type { LinkTuning } from './netconf.ts'

export interface TuningRecord extends PodRecord {
  /** In the order in which they are set. */
  readonly sysctls: readonly SysctlRecord[]
  readonly link?: {
    readonly index: IfIndex
    readonly set: LinkTuning
    /** Of the same attributes. */
    readonly before: LinkTuning
  }
}

export interface SysctlRecord {
  /** Path below /proc/sys/net. */
  readonly key: string
  readonly value: string
  /** Absent where there was no such parameter. */
  readonly before?: string
}

/** Those attributes that are to be changed, as they are now. */
export function currentTuning(link: Link, set: LinkTuning): LinkTuning {
  const now: LinkTuning = {
    ...(link.mac === undefined ? {} : { mac: link.mac }),
    mtu: link.mtu,
    promisc: link.promisc,
    allmulti: link.allmulti ?? false,
    txQueueLength: link.txQueueLength ?? 0,
  }
  return Object.fromEntries(Object.entries(now).filter(([name]) => Object.hasOwn(set, name)))
}

/** The kernel separates numbers by tabs, people by spaces. */
export function isSameValue(a: string | undefined, b: string | undefined): boolean {
  const words = (text = '') => text.trim().split(/\s+/).join(' ')
  return a === undefined || b === undefined ? a === b : words(a) === words(b)
}
