// What `cni-tuning` changes for one attachment, with what was there before; plain JSON.

import type { Request } from '../../lib/cni/request.ts'
import type { Namespace } from '../../lib/host/kernel.ts'
import { findPodNamespace } from '../../lib/host/pod-namespace.ts'
import type { Ports } from '../../lib/host/ports.ts'
import type { IfIndex, Link } from '../../lib/rtnl/link.ts'
import type { LinkTuning } from './netconf.ts'

export interface TuningRecord {
  readonly netns: string
  /** Tells the pod's namespace from a later one under the same path. */
  readonly inode: string
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

/** The namespace that was tuned. @returns undefined when it is gone */
export function findTunedNamespace(
  { kernel }: Ports,
  request: Request,
  { netns, inode }: TuningRecord,
): Namespace | undefined {
  for (const path of new Set([request.netns, netns])) {
    const namespace = findPodNamespace(kernel, { ...request, netns: path })
    if (namespace?.inode === inode) return namespace
    namespace?.close()
  }
  return undefined
}
