// Traffic control of the fake kernel, by the rules of net/sched/sch_api.c, sch_tbf.c, cls_api.c and act_mirred.c. No
// packet is ever sent: what is here is what the kernel keeps and tells.

import { FakeRefusal } from './fake-refusal.ts'
import type { FakeLink, FakeStack } from './fake-stack.ts'
import type { FilterState } from './filter.ts'
import type { KernelFeature } from './kernel-feature.ts'
import type { IfIndex } from './link.ts'
import { parentOf, type Qdisc, type QdiscParent, type QdiscState, tbfState } from './qdisc.ts'

export function isMissing(stack: FakeStack, feature: KernelFeature): boolean {
  return stack.network.features.missing?.includes(feature) ?? false
}

export function addQdisc(link: FakeLink, qdisc: Qdisc): void {
  const parent = parentOf(qdisc)
  if (link.qdiscs.has(parent)) throw new FakeRefusal('EEXIST', { text: TAKEN })
  if (isMissing(link.stack, `qdisc ${qdisc.kind}`))
    throw new FakeRefusal('ENOENT', { text: 'Specified qdisc kind is unknown' })
  if (qdisc.kind === 'tbf' && qdisc.burstBytes === 0) throw new FakeRefusal('EINVAL')
  link.qdiscs.set(parent, qdisc)
}

const TAKEN = 'Exclusivity flag on, cannot modify'

export function deleteQdisc(link: FakeLink, parent: QdiscParent): void {
  if (!link.qdiscs.delete(parent)) throw new FakeRefusal('ENOENT', { text: NO_QDISC[parent] })
  if (parent === 'ingress') link.redirects.length = 0
}

/** At the root there is always something: the kernel's own, which cannot be deleted. */
const NO_QDISC: Readonly<Record<QdiscParent, string>> = {
  root: 'Cannot delete qdisc with handle of zero',
  ingress: 'Cannot find specified qdisc on specified device',
}

export function addRedirect(link: FakeLink, to: IfIndex | 0): void {
  if (!link.qdiscs.has('ingress')) throw new FakeRefusal('EINVAL', { text: "Parent Qdisc doesn't exists" })
  if (isMissing(link.stack, 'action mirred'))
    throw new FakeRefusal('ENOENT', { text: 'Failed to load TC action module' })
  const target = to === 0 ? undefined : link.stack.findLink(to)
  if (target === undefined) throw new FakeRefusal('ENODEV')
  link.redirects.push(target)
}

export function describeQdiscs(link: FakeLink): QdiscState[] {
  return [...link.qdiscs].map(([parent, qdisc]) => ({
    dev: link.index,
    kind: qdisc.kind,
    parent,
    ...(qdisc.kind === 'tbf' ? { tbf: tbfState(qdisc) } : {}),
  }))
}

export function describeFilters(link: FakeLink): FilterState[] {
  return link.redirects.map((target) => ({ dev: link.index, kind: 'u32', to: target?.index ?? 0 }))
}

/** A link goes: redirects to it stay, and lead nowhere. */
export function forgetTarget(gone: FakeLink): void {
  for (const { redirects } of gone.stack.links) {
    for (const [at, target] of redirects.entries()) if (target === gone) redirects[at] = undefined
  }
}
