// The verbs of `cni-host-device`.

import { formatIp, parseIp, podAddressing } from '../../lib/attach/addressing.ts'
import { changedLater } from '../../lib/attach/changed-later.ts'
import { checkAddressing } from '../../lib/attach/check-addressing.ts'
import { differences } from '../../lib/attach/drift.ts'
import {
  addInterface,
  type Comparison,
  checkInterface,
  findInterfaceGarbage,
  type InterfacePlugin,
  type Making,
} from '../../lib/attach/interface-plugin.ts'
import type { Leased } from '../../lib/attach/leased.ts'
import { configurePodEnd } from '../../lib/attach/pod-end.ts'
import { findPodInterface } from '../../lib/attach/prev-result.ts'
import { findDelegateProblem, findStoreProblem, requireReady } from '../../lib/attach/readiness.ts'
import { delRecorded } from '../../lib/attach/recorded.ts'
import { findRecordedPod, podRecord } from '../../lib/attach/recorded-pod.ts'
import { releaseUnrecorded } from '../../lib/attach/unrecorded.ts'
import type { Garbage } from '../../lib/cni/plugin.ts'
import type { Request } from '../../lib/cni/request.ts'
import type { Result } from '../../lib/cni/result.ts'
import { atLeast } from '../../lib/cni/versions.ts'
import { Failures } from '../../lib/host/failures.ts'
import { collect } from '../../lib/host/garbage.ts'
import type { Namespace } from '../../lib/host/kernel.ts'
import { findPodNamespace } from '../../lib/host/pod-namespace.ts'
import type { Ports } from '../../lib/host/ports.ts'
import { getDevice, isUserspaceDevice } from './device.ts'
import { findMoved, moveIn, moveOut, sendHome } from './move.ts'
import { type HostDeviceNetconf, PLUGIN, parseNetconf } from './netconf.ts'
import { describeDevice, type HostDeviceRecord } from './record.ts'

const NO_DAD = { enableDad: false }

const recorded: InterfacePlugin<HostDeviceRecord> = {
  plugin: PLUGIN,
  takeBack: moveOut,
  ipamOf: ({ ipam }) => ipam,
  hasInterface: ({ device }) => device !== undefined,
  isLive: async (ports, request, record) => {
    const pod = findRecordedPod(ports, request, record)
    try {
      return (
        pod !== undefined &&
        (record.device === undefined || (await findMoved(pod, record.device)) !== undefined)
      )
    } finally {
      pod?.close()
    }
  },
}

export function add(ports: Ports, request: Request): Promise<Result> {
  const netconf = parseNetconf(request)
  const steps = {
    ipam: netconf.ipam,
    plan: (pod: Namespace, leased: Leased | undefined) => plan(ports, request, { netconf, pod, leased }),
    make: (making: Making<HostDeviceRecord>) => make(making, netconf),
  }
  return addInterface(ports, request, { recorded, steps })
}

async function plan(
  ports: Ports,
  request: Request,
  { netconf, pod, leased }: { netconf: HostDeviceNetconf; pod: Namespace; leased: Leased | undefined },
): Promise<HostDeviceRecord> {
  const { selector } = netconf
  const isMoved = !isUserspaceDevice(ports, selector)
  const record = {
    ...podRecord(request, pod),
    ...(isMoved ? { device: await describeDevice(ports.kernel.host, await getDevice(ports, selector)) } : {}),
    ips: (leased?.result.ips ?? []).map((ip) => formatIp(parseIp(ip))),
    routes: leased?.result.routes ?? [],
    ipam: leased?.section ?? null,
  }
  podAddressing(record, NO_DAD) // a route that cannot be read is refused now
  return record
}

async function make(making: Making<HostDeviceRecord>, netconf: HostDeviceNetconf): Promise<Result> {
  const { ports, request, pod, record, leased, undo } = making
  const dns = netconf.dns ?? leased?.result.dns
  const addresses = {
    ips: record.ips.map((ip) => ({ ...ip, interface: 0 })),
    routes: record.routes,
    ...(dns === undefined ? {} : { dns }),
  }
  if (record.device === undefined) return addresses
  await moveIn(ports.kernel.host, pod, { request, device: record.device })
  await configurePodEnd(pod, request.ifname, { addressing: podAddressing(record, NO_DAD), undo })
  const { mac = '', mtu } = await pod.rtnl.getLink(request.ifname)
  const told = atLeast(request.cniVersion, '1.1.0') ? { mtu } : {}
  return { interfaces: [{ name: request.ifname, mac, ...told, sandbox: request.netns }], ...addresses }
}

export async function del(ports: Ports, request: Request): Promise<void> {
  if (await delRecorded(ports, request, recorded)) return
  const failures = new Failures()
  await failures.attempt(() => moveUnrecorded(ports, request))
  await failures.attempt(() => releaseUnrecorded(ports, request, PLUGIN))
  failures.throwIfAny()
}

/** What upstream's plugin has moved: the alias is the name that it had. */
async function moveUnrecorded({ kernel }: Ports, request: Request): Promise<void> {
  const pod = findPodNamespace(kernel, request)
  try {
    const link = await pod?.rtnl.findLink(request.ifname)
    if (pod === undefined || link?.alias === undefined || /[\s/:]/.test(link.alias)) return
    await sendHome(kernel.host, pod, { link, name: link.alias })
  } finally {
    pod?.close()
  }
}

export function check(ports: Ports, request: Request): Promise<void> {
  parseNetconf(request)
  const compare = (comparison: Comparison<HostDeviceRecord>) => compareAll(ports, request, comparison)
  return checkInterface(ports, request, { recorded, compare })
}

async function compareAll(
  ports: Ports,
  request: Request,
  { pod, record, prevResult }: Comparison<HostDeviceRecord>,
): Promise<string[]> {
  if (record.device === undefined) return []
  const name = `pod interface ${request.ifname}`
  const link = await pod.rtnl.findLink(request.ifname)
  if (link === undefined) return [`${name} is gone`]
  const { mac } = findPodInterface(request, prevResult) ?? {}
  const movedTo = changedLater(ports, request, PLUGIN).routesTo
  return [
    ...differences(name, [
      ['mac', mac?.toLowerCase() ?? link.mac, link.mac],
      ['up', true, link.up],
    ]),
    ...(await checkAddressing(pod, link, { ...podAddressing(record, NO_DAD), movedTo })),
  ]
}

export async function gc(ports: Ports, request: Request): Promise<void> {
  await collect(await findGarbage(ports, request))
}

export function findGarbage(ports: Ports, request: Request): Promise<Garbage[]> {
  return findInterfaceGarbage(ports, request, recorded)
}

export async function status(ports: Ports, request: Request): Promise<void> {
  const { ipam } = parseNetconf(request)
  requireReady([...findStoreProblem(ports), ...(await findDelegateProblem(ports, request, ipam))])
}
