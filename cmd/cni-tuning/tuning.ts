// Planning, doing, comparing and undoing what `cni-tuning` changes.

import type { ChainedPlugin } from '../../lib/attach/chained.ts'
import { differences } from '../../lib/attach/drift.ts'
import { NO_PREV_RESULT } from '../../lib/attach/prev-result.ts'
import { findRecordedPod, podRecord } from '../../lib/attach/recorded-pod.ts'
import { CNI_CODE, CniError } from '../../lib/cni/errors.ts'
import type { Request } from '../../lib/cni/request.ts'
import type { Result } from '../../lib/cni/result.ts'
import { Failures } from '../../lib/host/failures.ts'
import type { Namespace } from '../../lib/host/kernel.ts'
import { inPodNamespace } from '../../lib/host/pod-namespace.ts'
import type { Ports } from '../../lib/host/ports.ts'
import { unlessGone } from '../../lib/netlink/error.ts'
import { type LinkTuning, parseNetconf } from './netconf.ts'
import { currentTuning, isSameValue, type SysctlRecord, type TuningRecord } from './record.ts'
import { parseSysctlKey, requireAllowed } from './sysctl-key.ts'

export const tuning: ChainedPlugin<TuningRecord> = {
  plugin: 'cni-tuning',
  notChained: NO_PREV_RESULT,
  plan,
  make,
  compare,
  takeBack,
}

async function plan(ports: Ports, request: Request): Promise<TuningRecord | undefined> {
  const { sysctl, link } = parseNetconf(request)
  requireAllowed(ports.files, Object.keys(sysctl))
  if (Object.keys(sysctl).length + Object.keys(link).length === 0) return undefined
  return inPodNamespace(ports.kernel, request, async (pod) => ({
    ...podRecord(request, pod),
    sysctls: Object.entries(sysctl).map(([name, value]) => {
      const key = parseSysctlKey(name, request.ifname)
      const before = pod.sysctl.find(key)
      return { key, value, ...(before === undefined ? {} : { before }) }
    }),
    ...(Object.keys(link).length === 0 ? {} : { link: await planLink(pod, request.ifname, link) }),
  }))
}

async function planLink(
  pod: Namespace,
  ifname: string,
  set: LinkTuning,
): Promise<NonNullable<TuningRecord['link']>> {
  const link = await pod.rtnl.findLink(ifname)
  if (link === undefined) throw new CniError(CNI_CODE.internal, `failed to get "${ifname}": Link not found`)
  return { index: link.index, set, before: currentTuning(link, set) }
}

async function make(
  ports: Ports,
  request: Request,
  { record: { sysctls, link }, prevResult }: { record: TuningRecord; prevResult: Result },
): Promise<Result> {
  await inPodNamespace(ports.kernel, request, async (pod) => {
    pod.sysctl.set(...sysctls)
    if (link !== undefined) await pod.rtnl.apply({ change: 'set link', link: link.index, set: link.set })
  })
  return withTuning(request, prevResult, link?.set ?? {})
}

/** What the plugins after this one and the runtime are told of the interface. */
function withTuning({ ifname }: Request, result: Result, { mac, mtu }: LinkTuning): Result {
  const interfaces = result.interfaces?.map((one) => ({
    ...one,
    ...(one.name === ifname && mac !== undefined ? { mac } : {}),
    ...(one.name === ifname && mtu !== undefined && one.mtu !== undefined ? { mtu } : {}),
  }))
  return { ...result, ...(interfaces === undefined ? {} : { interfaces }) }
}

async function compare(
  ports: Ports,
  request: Request,
  { record: { sysctls, link } }: { record: TuningRecord },
): Promise<string[]> {
  return inPodNamespace(ports.kernel, request, async (pod) => {
    const drifted = sysctls
      .map(({ key, value }) => ({ key, value, now: pod.sysctl.find(key) }))
      .filter(({ value, now }) => !isSameValue(value, now))
    return [
      ...drifted.map(
        ({ key, value, now }) => `pod has sysctl net/${key} ${now ?? 'none'}, expected ${value}`,
      ),
      ...(link === undefined ? [] : await compareLink(pod, request.ifname, link.set)),
    ]
  })
}

async function compareLink(pod: Namespace, ifname: string, set: LinkTuning): Promise<string[]> {
  const link = await pod.rtnl.findLink(ifname)
  if (link === undefined) return [`pod interface ${ifname} is gone`]
  const now = currentTuning(link, set)
  const rows = Object.entries(set).map(
    ([name, value]) => [name, value, now[name as keyof LinkTuning]] as const,
  )
  return differences(`pod interface ${ifname}`, rows)
}

/** What somebody else has set since then stays. */
async function takeBack(ports: Ports, request: Request, record: TuningRecord): Promise<void> {
  const pod = findRecordedPod(ports, request, record)
  if (pod === undefined) return
  const failures = new Failures()
  try {
    await failures.attempt(() => restoreLink(pod, record))
    for (const sysctl of record.sysctls.toReversed()) await failures.attempt(() => restoreSysctl(pod, sysctl))
  } finally {
    pod.close()
  }
  failures.throwIfAny()
}

async function restoreLink(pod: Namespace, { link: recorded }: TuningRecord): Promise<void> {
  const link = recorded && (await pod.rtnl.findLink(recorded.index))
  if (recorded === undefined || link === undefined) return
  const now = currentTuning(link, recorded.set)
  const ours = Object.entries(recorded.before).filter(([key]) => {
    const name = key as keyof LinkTuning
    return now[name] === recorded.set[name] && now[name] !== recorded.before[name]
  })
  if (ours.length === 0) return
  await pod.rtnl
    .apply({ change: 'set link', link: link.index, set: Object.fromEntries(ours) as LinkTuning })
    .catch(unlessGone)
}

function restoreSysctl({ sysctl }: Namespace, { key, value, before }: SysctlRecord): void {
  if (before === undefined || !isSameValue(sysctl.find(key), value)) return
  sysctl.set({ key, value: before, optional: true })
}
