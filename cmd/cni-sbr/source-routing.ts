// Doing, comparing and undoing what `cni-sbr` has planned.

import type { ChainedPlugin } from '../../lib/attach/chained.ts'
import { isSameRoute } from '../../lib/attach/check-addressing.ts'
import { listOthers } from '../../lib/attach/others.ts'
import { findRecordedPod } from '../../lib/attach/recorded-pod.ts'
import { fromRouteRecord, type RouteRecord } from '../../lib/attach/route-record.ts'
import { CNI_CODE, CniError } from '../../lib/cni/errors.ts'
import type { Request } from '../../lib/cni/request.ts'
import type { Result } from '../../lib/cni/result.ts'
import { Failures } from '../../lib/host/failures.ts'
import type { Namespace } from '../../lib/host/kernel.ts'
import { inPodNamespace } from '../../lib/host/pod-namespace.ts'
import type { Ports } from '../../lib/host/ports.ts'
import { Prefix } from '../../lib/ip/prefix.ts'
import { isAlreadyExists, NetlinkError } from '../../lib/netlink/error.ts'
import { formatRoute, formatRule } from '../../lib/rtnl/format.ts'
import { type Route, RT_TABLE_MAIN } from '../../lib/rtnl/route.ts'
import type { Rtnl } from '../../lib/rtnl/rtnl.ts'
import type { Rule } from '../../lib/rtnl/rule.ts'
import { parseNetconf } from './netconf.ts'
import { planRecord, type SbrRecord, tablesOf } from './plan.ts'

export const sourceRouting: ChainedPlugin<SbrRecord> = {
  plugin: 'cni-sbr',
  notChained: 'This plugin must be called as chained plugin',
  plan: (ports, request, prevResult) => {
    const netconf = parseNetconf(request)
    return inPodNamespace(ports.kernel, request, (pod) =>
      planRecord(ports, { request, pod, prevResult, netconf }),
    )
  },
  make,
  compare,
  takeBack,
}

/** In the table first, then gone from the main one: there is a way at every moment. */
async function make(
  ports: Ports,
  request: Request,
  { record, prevResult }: { record: SbrRecord; prevResult: Result },
): Promise<Result> {
  requireOwnTables(ports, request, record)
  await inPodNamespace(ports.kernel, request, async ({ rtnl }) => {
    for (const route of tableRoutesOf(record)) await addUnlessThere(rtnl, route)
    await rtnl.apply(...rulesOf(record).map((rule) => ({ change: 'add rule', rule }) as const))
    for (const route of routesOf(record, record.moved).toReversed())
      await rtnl.apply({ change: 'delete route', route })
  })
  return prevResult
}

/**
 * Two interfaces of one pod that are added at the same moment may have chosen the same table. Both are recorded by now,
 * so one of them sees it here, or both; a table that the config names may be shared.
 *
 * @throws CniError 11
 */
function requireOwnTables(ports: Ports, request: Request, { routesTo }: SbrRecord): void {
  if (routesTo.length === 0) return
  const { containerId } = request
  const others = listOthers(ports, request, { plugin: sourceRouting.plugin, containerId })
  const taken = others.flatMap(({ record }) => tablesOf(record as SbrRecord))
  const shared = routesTo.find((table) => taken.includes(table))
  if (shared === undefined) return
  const message = `routing table ${shared} is taken by another interface of this pod at this moment`
  throw new CniError(CNI_CODE.tryAgainLater, message, { details: 'try again, or name the table in "table"' })
}

async function compare(ports: Ports, request: Request, { record }: { record: SbrRecord }): Promise<string[]> {
  return inPodNamespace(ports.kernel, request, async ({ rtnl }) => {
    const rules = [...(await rtnl.listRules(4)), ...(await rtnl.listRules(6))]
    const routes = (await rtnl.listRoutes()).filter(({ dev }) => dev === record.index)
    const lostRules = rulesOf(record).filter((rule) => !rules.some((present) => isSameRule(rule, present)))
    const lost = tableRoutesOf(record).filter(
      (route) => !routes.some((present) => isSameRoute(route, present)),
    )
    return [
      ...lostRules.map((rule) => `pod has no rule ${formatRule(rule)}`),
      ...lost.map(({ dev: _, ...route }) => `pod has no route ${formatRoute(route)}`),
    ]
  })
}

async function takeBack(ports: Ports, request: Request, record: SbrRecord): Promise<void> {
  const pod = findRecordedPod(ports, request, record)
  if (pod === undefined) return
  const failures = new Failures()
  try {
    for (const rule of rulesOf(record))
      await failures.attempt(() => pod.rtnl.apply({ change: 'delete rule', rule }).catch(unlessNotThere))
    await failures.attempt(() => moveBack(pod, record))
  } finally {
    pod.close()
  }
  failures.throwIfAny()
}

/** The routes of an interface that is gone went with it. */
async function moveBack({ rtnl }: Namespace, record: SbrRecord): Promise<void> {
  const link = await rtnl.findLink(record.index)
  if (link === undefined) return
  const present = await rtnl.listRoutes({ dev: link.index })
  for (const route of link.up ? routesOf(record, record.moved) : []) {
    if (!present.some((one) => isSameRoute(route, one))) await addUnlessThere(rtnl, route)
  }
  for (const route of tableRoutesOf(record).toReversed()) {
    if (present.some((one) => isSameRoute(route, one)))
      await rtnl.apply({ change: 'delete route', route }).catch(unlessNotThere)
  }
}

async function addUnlessThere(rtnl: Rtnl, route: Route): Promise<void> {
  await rtnl.apply({ change: 'add route', route }).catch((error: unknown) => {
    if (!isAlreadyExists(error)) throw error
  })
}

/** ENOENT of a rule, ESRCH of a route. */
function unlessNotThere(error: unknown): void {
  if (!(error instanceof NetlinkError && ['ENOENT', 'ESRCH'].includes(error.code))) throw error
}

function rulesOf({ ways }: SbrRecord): Rule[] {
  return ways.map((way) => {
    const source = Prefix.parse(way.source)
    return { family: source.family, source, table: way.table }
  })
}

function tableRoutesOf(record: SbrRecord): Route[] {
  return record.ways.flatMap(({ routes, table }) => routesOf(record, routes, table))
}

function isSameRule(wanted: Rule, present: Rule): boolean {
  const { source } = wanted
  return wanted.table === present.table && source !== undefined && present.source?.equals(source) === true
}

function routesOf({ index: dev }: SbrRecord, routes: readonly RouteRecord[], table = RT_TABLE_MAIN): Route[] {
  return routes.map((route) => ({ ...fromRouteRecord(route), dev, table }))
}
