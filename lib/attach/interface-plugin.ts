// A plugin that makes the pod's interface: what its verbs have in common, whatever kind of interface it is. What is
// going to be made is a record; ADD does it, CHECK compares with it, DEL and GC take it back.

import { delegateCheck, findDelegateGarbage } from '../cni/delegate.ts'
import type { Garbage } from '../cni/plugin.ts'
import type { Request } from '../cni/request.ts'
import { encodeResult, type Result } from '../cni/result.ts'
import { attachmentKey } from '../host/attachment-key.ts'
import type { Namespace } from '../host/kernel.ts'
import { openPodNamespace } from '../host/pod-namespace.ts'
import type { Ports } from '../host/ports.ts'
import type { Undo } from '../host/undo.ts'
import { podAddressing } from './addressing.ts'
import { checkAddressing } from './check-addressing.ts'
import { requireNoDrift } from './drift.ts'
import { type IpamSection, ipamSection, ipamType, withIpamSection } from './ipam.ts'
import { type Leased, leaseAddresses } from './leased.ts'
import { findPodInterface, requirePrevResult } from './prev-result.ts'
import { completeRecord, findDeadRecords, findRecord, putRecord, type RecordedPlugin } from './recorded.ts'
import { refuseRepeat } from './repeat.ts'
import { findStrayMasquerade, findStrayWires, strayRule } from './strays.ts'
import { withUndo } from './undoing.ts'

export interface InterfacePlugin<R extends object> extends RecordedPlugin<R> {
  readonly ipamOf: (record: R) => IpamSection | null
  /** Whether the interface that the record names is there. */
  isLive(ports: Ports, request: Request, record: R): Promise<boolean>
  /** False where a program drives the device: then there is none in prevResult. Else true. */
  readonly hasInterface?: (record: R) => boolean
}

/** One ADD in the making. */
export interface Making<R> {
  readonly ports: Ports
  readonly request: Request
  readonly pod: Namespace
  readonly record: R
  /** What was leased; undefined for an interface without addresses. */
  readonly leased: Leased | undefined
  /** For what `takeBack` does not undo. */
  readonly undo: Undo
}

export interface InterfaceSteps<R> {
  /** `ipam.type` of the config; '' for none. */
  readonly ipam: string
  /** From the addresses to all that will be made. Nothing is changed. */
  plan(pod: Namespace, leased: Leased | undefined): Promise<R>
  make(making: Making<R>): Promise<Result>
}

/** All or nothing. @throws CniError 999 when the attachment is there already */
export async function addInterface<R extends object>(
  ports: Ports,
  request: Request,
  { recorded, steps }: { recorded: InterfacePlugin<R>; steps: InterfaceSteps<R> },
): Promise<Result> {
  const pod = openPodNamespace(ports.kernel, request)
  try {
    return await withUndo(async (undo) => {
      await refuseRepeat(ports, request, {
        recorded,
        isLive: (record) => recorded.isLive(ports, request, record),
      })
      const { ipam: type } = steps
      const leased = type === '' ? undefined : await leaseAddresses(ports, request, { type, undo })
      encodeResult(leased?.result ?? {}, request.cniVersion) // refused now if it cannot be said in the config's version
      const record = await steps.plan(pod, leased)
      undo.push('take the interface back', async () => {
        await recorded.takeBack(ports, request, record)
        ports.attachments.delete(attachmentKey(recorded.plugin, request))
      })
      putRecord(ports, request, { plugin: recorded.plugin, record })
      const result = await steps.make({ ports, request, pod, record, leased, undo })
      completeRecord(ports, request, recorded.plugin)
      return result
    })
  } finally {
    pod.close()
  }
}

/** What a plugin compares of its own. */
export interface Comparison<R> {
  readonly pod: Namespace
  readonly record: R
  readonly prevResult: Result
}

/**
 * @param compare  looks only. @returns a text for each difference
 * @throws CniError the IPAM's; 100 naming every difference
 */
export async function checkInterface<R extends object>(
  ports: Ports,
  request: Request,
  {
    recorded,
    compare,
  }: { recorded: InterfacePlugin<R>; compare: (comparison: Comparison<R>) => Promise<string[]> },
): Promise<void> {
  const prevResult = requirePrevResult(request)
  const pod = openPodNamespace(ports.kernel, request)
  try {
    const record = findRecord<R>(ports, request, recorded.plugin)
    const section = record === undefined ? ipamSection(request) : (recorded.ipamOf(record) ?? {})
    const type = ipamType(section, recorded.plugin)
    if (type !== '') await delegateCheck(ports, type, withIpamSection(request, section))
    const drifts = [
      ...(record !== undefined && recorded.hasInterface?.(record) === false
        ? []
        : checkPrevResult(request, prevResult)),
      ...(record === undefined
        ? await checkUnrecorded(pod, request, prevResult)
        : await compare({ pod, record, prevResult })),
    ]
    requireNoDrift(request, drifts)
  } finally {
    pod.close()
  }
}

/** What the runtime remembers must be about this attachment. */
function checkPrevResult(request: Request, prevResult: Result): string[] {
  const { ifname, netns } = request
  const end = findPodInterface(request, prevResult)
  if (end === undefined) return [`prevResult has no interface ${ifname} in a sandbox`]
  return end.sandbox === netns ? [] : [`prevResult has ${ifname} in ${end.sandbox}, CNI_NETNS is ${netns}`]
}

/** Of a pod that upstream's plugin attached: what prevResult says must be there. */
async function checkUnrecorded(
  pod: Namespace,
  { ifname }: Request,
  { ips = [], routes = [] }: Result,
): Promise<string[]> {
  const link = await pod.rtnl.findLink(ifname)
  if (link === undefined) return [`pod interface ${ifname} is gone`]
  const expected = podAddressing({ ips, routes }, { enableDad: false })
  return checkAddressing(pod, link, { ...expected, unrecorded: true })
}

/** GC: records by the same way as DEL, then what has no record, then the IPAM's. */
export async function findInterfaceGarbage<R extends object>(
  ports: Ports,
  request: Request,
  recorded: InterfacePlugin<R>,
): Promise<Garbage[]> {
  const isStray = strayRule(ports, request)
  const type = ipamType(ipamSection(request), recorded.plugin)
  return [
    ...findDeadRecords(ports, request, recorded),
    ...(await findStrayMasquerade(ports, isStray)),
    ...(await findStrayWires(ports, isStray)),
    ...(type === '' ? [] : await findDelegateGarbage(ports, type, request)),
  ]
}
