// ADD: a wire from the node to the pod, and a route along it.

import { enableForwarding } from '../../lib/attach/forward.ts'
import { addInterface, type Making } from '../../lib/attach/interface-plugin.ts'
import type { Leased } from '../../lib/attach/leased.ts'
import { masquerade } from '../../lib/attach/masquerade.ts'
import { configurePodEnd } from '../../lib/attach/pod-end.ts'
import { explainExisting } from '../../lib/attach/wire.ts'
import type { Request } from '../../lib/cni/request.ts'
import type { Result } from '../../lib/cni/result.ts'
import { atLeast } from '../../lib/cni/versions.ts'
import type { Ports } from '../../lib/host/ports.ts'
import { Prefix } from '../../lib/ip/prefix.ts'
import { wireChanges } from '../../lib/veth/pod-link.ts'
import { recorded } from './del.ts'
import { type PtpNetconf, parseNetconf } from './netconf.ts'
import { addressingOf, hostChanges, planRecord } from './plan.ts'
import { hostEndSysctls, PLUGIN, type PtpRecord, wireOf } from './record.ts'

/** Index of the pod's interface in the result: after the wire's end on the node. */
const POD_INTERFACE = 1
const NOTHING: Leased = { result: {}, section: {} }

export function add(ports: Ports, request: Request): Promise<Result> {
  const netconf = parseNetconf(request)
  const steps = {
    ipam: netconf.ipam,
    plan: async (_: unknown, leased = NOTHING) => planRecord(netconf, leased, ports.random),
    make: async (making: Making<PtpRecord>) => {
      await createWire(making)
      await configurePodEnd(making.pod, request.ifname, {
        addressing: addressingOf(making.record),
        undo: making.undo,
      })
      await configureHostEnd(making)
      const { record, undo } = making
      const families = new Set(record.gateways.map((gateway) => Prefix.parse(gateway).family))
      await enableForwarding(ports, request, { plugin: PLUGIN, families, undo })
      await masquerade(ports, request, record.masquerade)
      return ptpResult(making, netconf)
    },
  }
  return addInterface(ports, request, { recorded, steps })
}

async function createWire({ ports, request, pod, record }: Making<PtpRecord>): Promise<void> {
  const { rtnl, sysctl } = ports.kernel.host
  const { hostIfname } = record
  const { create, port } = wireChanges(wireOf(record, request), undefined, pod.fd)
  await rtnl.apply(create).catch((error) => explainExisting(error, { request, pod, hostIfname }))
  // Before it comes up: the node must not take routes from the pod.
  sysctl.set(...hostEndSysctls(hostIfname))
  await rtnl.apply(port)
}

async function configureHostEnd({ ports, record }: Making<PtpRecord>): Promise<void> {
  const { rtnl } = ports.kernel.host
  const { index } = await rtnl.getLink(record.hostIfname)
  await rtnl.apply(...hostChanges(index, record))
}

function ptpResult({ request, record, leased }: Making<PtpRecord>, netconf: PtpNetconf): Result {
  const { hostIfname, hostMac, podMac, ips, routes } = record
  const mtu = atLeast(request.cniVersion, '1.1.0') ? { mtu: record.mtu } : {}
  const dns = netconf.dns ?? leased?.result.dns
  return {
    interfaces: [
      { name: hostIfname, mac: hostMac, ...mtu },
      { name: request.ifname, mac: podMac, ...mtu, sandbox: request.netns },
    ],
    ips: ips.map((ip) => ({ ...ip, interface: POD_INTERFACE })),
    routes,
    ...(dns === undefined ? {} : { dns }),
  }
}
