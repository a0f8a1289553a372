// Doing, comparing and undoing what `cni-vrf` has planned. A link that enters or leaves a VRF is set down and up by the
// kernel: its routes go, but for those that are made for addresses, and so may its IPv6 addresses.

import type { ChainedPlugin } from '../../lib/attach/chained.ts'
import { isSameRoute } from '../../lib/attach/check-addressing.ts'
import { differences } from '../../lib/attach/drift.ts'
import { explainMissingKind } from '../../lib/attach/link-kind.ts'
import { findRecordedPod } from '../../lib/attach/recorded-pod.ts'
import { fromRouteRecord } from '../../lib/attach/route-record.ts'
import type { Request } from '../../lib/cni/request.ts'
import type { Result } from '../../lib/cni/result.ts'
import type { Namespace } from '../../lib/host/kernel.ts'
import { inPodNamespace } from '../../lib/host/pod-namespace.ts'
import type { Ports } from '../../lib/host/ports.ts'
import { Prefix } from '../../lib/ip/prefix.ts'
import { isAlreadyExists, unlessGone } from '../../lib/netlink/error.ts'
import { formatRoute } from '../../lib/rtnl/format.ts'
import type { Link } from '../../lib/rtnl/link.ts'
import { type Route, RT_TABLE_MAIN } from '../../lib/rtnl/route.ts'
import type { Change, Rtnl } from '../../lib/rtnl/rtnl.ts'
import { parseNetconf } from './netconf.ts'
import { planRecord, type VrfRecord } from './plan.ts'

export const vrf: ChainedPlugin<VrfRecord> = {
  plugin: 'cni-vrf',
  notChained: 'missing prevResult from earlier plugin',
  plan: ({ kernel }, request) => {
    const netconf = parseNetconf(request)
    return inPodNamespace(kernel, request, (pod) => planRecord(request, pod, netconf))
  },
  make,
  compare,
  takeBack,
}

async function make(
  { kernel }: Ports,
  request: Request,
  { record, prevResult }: { record: VrfRecord; prevResult: Result },
): Promise<Result> {
  await inPodNamespace(kernel, request, async ({ rtnl }) => {
    const { index: master } = (await rtnl.findLink(record.vrf)) ?? (await createVrf(rtnl, record))
    await rtnl.apply({ change: 'set link', link: record.index, set: { master } })
    await restoreAddressing(rtnl, record, tableOf(record))
  })
  return prevResult
}

function tableOf({ routesTo: [table = RT_TABLE_MAIN] }: VrfRecord): number {
  return table
}

async function createVrf(rtnl: Rtnl, record: VrfRecord): Promise<Link> {
  const link = { kind: 'vrf', name: record.vrf, table: tableOf(record), up: true } as const
  await rtnl.apply({ change: 'create link', link }).catch((error) => explainMissingKind(error, rtnl, 'vrf'))
  return rtnl.getLink(record.vrf)
}

async function restoreAddressing(rtnl: Rtnl, record: VrfRecord, table: number): Promise<void> {
  const { index: dev, addresses } = record
  const changes: Change[] = [
    ...addresses.map((text): Change => {
      return { change: 'add address', address: { dev, prefix: Prefix.parse(text), noDad: true } }
    }),
    ...routesOf(record, table).map((route): Change => ({ change: 'add route', route })),
  ]
  for (const change of changes) {
    await rtnl.apply(change).catch((error: unknown) => {
      if (!isAlreadyExists(error)) throw error
    })
  }
}

function routesOf({ index: dev, routes }: VrfRecord, table: number): Route[] {
  return routes.map((route) => ({ ...fromRouteRecord(route), dev, table }))
}

async function compare(
  { kernel }: Ports,
  request: Request,
  { record }: { record: VrfRecord },
): Promise<string[]> {
  return inPodNamespace(kernel, request, async ({ rtnl }) => {
    const master = await rtnl.findLink(record.vrf)
    const link = await rtnl.findLink(request.ifname)
    if (master === undefined) return [`pod has no VRF ${record.vrf}`]
    if (link === undefined) return [`pod interface ${request.ifname} is gone`]
    const present = await rtnl.listRoutes({ dev: link.index })
    const lost = routesOf(record, tableOf(record)).filter(
      (route) => !present.some((one) => isSameRoute(route, one)),
    )
    return [
      ...differences(`VRF ${record.vrf}`, [['table', tableOf(record), master.vrfTable]]),
      ...differences(`pod interface ${request.ifname}`, [['master', master.index, link.master]]),
      ...lost.map(({ dev: _, ...route }) => `pod has no route ${formatRoute(route)}`),
    ]
  })
}

/** The VRF goes with the last interface that is in it; so upstream. */
async function takeBack(ports: Ports, request: Request, record: VrfRecord): Promise<void> {
  const pod = findRecordedPod(ports, request, record)
  if (pod === undefined) return
  try {
    const master = await pod.rtnl.findLink(record.vrf)
    if (master?.kind !== 'vrf') return
    await leave(pod, master, record)
    const members = await pod.rtnl.listLinks({ master: master.index })
    if (members.length === 0 && !record.keep)
      await pod.rtnl.apply({ change: 'delete link', link: master.index }).catch(unlessGone)
  } finally {
    pod.close()
  }
}

async function leave({ rtnl }: Namespace, master: Link, record: VrfRecord): Promise<void> {
  const link = await rtnl.findLink(record.index)
  if (link === undefined) return
  if (link.master === master.index)
    await rtnl.apply({ change: 'set link', link: link.index, set: { master: 0 } })
  // Also where it has left already: an ADD that was killed between the two.
  if (link.up && (link.master === undefined || link.master === master.index))
    await restoreAddressing(rtnl, record, RT_TABLE_MAIN)
}
