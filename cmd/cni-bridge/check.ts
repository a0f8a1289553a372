// CHECK: what ADD made is compared with what is there now; nothing is changed. Every difference is named.

import { podAddressing } from '../../lib/attach/addressing.ts'
import { changedLater } from '../../lib/attach/changed-later.ts'
import { checkAddressing } from '../../lib/attach/check-addressing.ts'
import { CHECK_FAILED, differences, requireNoDrift } from '../../lib/attach/drift.ts'
import { ipamSection, withIpamSection } from '../../lib/attach/ipam.ts'
import { masqueradeEntries } from '../../lib/attach/masquerade.ts'
import { requirePrevResult } from '../../lib/attach/prev-result.ts'
import { delegateCheck } from '../../lib/cni/delegate.ts'
import { CniError } from '../../lib/cni/errors.ts'
import type { Request } from '../../lib/cni/request.ts'
import type { Result } from '../../lib/cni/result.ts'
import { attachmentKey } from '../../lib/host/attachment-key.ts'
import type { Namespace } from '../../lib/host/kernel.ts'
import { openPodNamespace } from '../../lib/host/pod-namespace.ts'
import type { Ports } from '../../lib/host/ports.ts'
import { parseMac } from '../../lib/ip/mac.ts'
import { checkMasquerade } from '../../lib/nftables/podwire-table.ts'
import { checkSpoofGuards } from '../../lib/nftables/spoof-table.ts'
import type { Link } from '../../lib/rtnl/link.ts'
import { type BridgeAttachment, PLUGIN, spoofGuards } from './attachment.ts'
import { checkBridge, checkGateway, checkHostEnd, checkHostSysctls, checkPortVlans } from './check-node.ts'
import { settleMtu } from './mtu.ts'
import { type BridgeNetconf, parseNetconf } from './netconf.ts'
import { planAttachment } from './plan.ts'

export async function check(ports: Ports, request: Request): Promise<void> {
  const netconf = parseNetconf(request)
  const prevResult = requirePrevResult(request)
  const pod = openPodNamespace(ports.kernel, request)
  try {
    const expected = await expectAttachment(ports, request, { netconf, prevResult })
    if (netconf.ipam.type !== '') {
      await delegateCheck(ports, netconf.ipam.type, withIpamSection(request, expected.ipam ?? {}))
    }
    const drifts = [
      ...checkPrevResult(request, expected, prevResult),
      ...(await checkLinks({ ports, request, pod, expected })),
      ...(await checkGateway(ports.kernel.host, expected)),
      ...(await checkMasquerade(ports.kernel.host.nft, masqueradeEntries(expected.masquerade, request))),
      ...(await checkSpoofGuards(ports.kernel.host.nft, spoofGuards(expected, request))),
    ]
    requireNoDrift(request, drifts)
  } finally {
    pod.close()
  }
}

/** What ADD recorded; of a pod that upstream's plugin attached, what prevResult and the config say it made. */
async function expectAttachment(
  ports: Ports,
  request: Request,
  { netconf, prevResult }: { netconf: BridgeNetconf; prevResult: Result },
): Promise<BridgeAttachment> {
  const pod = prevResult.interfaces?.find((one) => one.name === request.ifname && one.sandbox)
  const podMac = pod?.mac ? parseMac(pod.mac) : undefined
  const recorded = ports.attachments.find(attachmentKey(PLUGIN, request))?.record as
    | BridgeAttachment
    | undefined
  // A later plugin of the chain may have changed the MAC, and then says so in prevResult.
  if (recorded) return { ...recorded, podMac: podMac ?? recorded.podMac }
  const host = prevResult.interfaces?.find((one) => !one.sandbox && one.name !== netconf.bridge)
  if (host?.mac === undefined || podMac === undefined) {
    throw new CniError(CHECK_FAILED, 'attachment is neither recorded nor in prevResult')
  }
  const planned = planAttachment(
    await settleMtu(ports.kernel.host.rtnl, netconf),
    { result: prevResult, section: ipamSection(request) },
    (n) => new Uint8Array(n),
  )
  // Upstream masquerades and guards by rules of its own, and leaves lo and some sysctls alone.
  const notOurs = { masquerade: [], macSpoofCheck: false, unrecorded: true } as const
  return { ...planned, ...notOurs, hostIfname: host.name, hostMac: parseMac(host.mac), podMac }
}

/** What the runtime remembers must be about this attachment. */
function checkPrevResult(request: Request, expected: BridgeAttachment, prevResult: Result): string[] {
  const drifts: string[] = []
  const interfaces = prevResult.interfaces ?? []
  const pod = interfaces.find((one) => one.name === request.ifname && one.sandbox)
  if (pod === undefined) drifts.push(`prevResult has no interface ${request.ifname} in a sandbox`)
  else if (pod.sandbox !== request.netns) {
    drifts.push(`prevResult has ${request.ifname} in ${pod.sandbox}, CNI_NETNS is ${request.netns}`)
  }
  for (const name of [expected.bridge, expected.hostIfname]) {
    if (!interfaces.some((one) => one.name === name)) drifts.push(`prevResult has no interface ${name}`)
  }
  for (const { address } of expected.ips) {
    if (!prevResult.ips?.some((ip) => ip.address === address))
      drifts.push(`prevResult has no address ${address}`)
  }
  return drifts
}

interface Comparison {
  readonly ports: Ports
  readonly request: Request
  readonly pod: Namespace
  readonly expected: BridgeAttachment
}

async function checkLinks({ ports, request, pod, expected }: Comparison): Promise<string[]> {
  const { rtnl } = ports.kernel.host
  const bridge = await rtnl.findLink(expected.bridge)
  const host = await rtnl.findLink(expected.hostIfname)
  const end = await pod.rtnl.findLink(request.ifname)
  const later = changedLater(ports, request, PLUGIN)
  const mtu = later.mtu ?? expected.mtu
  return [
    ...checkBridge(expected, bridge, recordedMac(request, expected.bridge)),
    ...checkHostEnd(expected, host, bridge),
    ...(await checkPortVlans(ports.kernel.host, expected, { host, bridge })),
    ...(host === undefined ? [] : checkHostSysctls(ports.kernel.host, expected)),
    ...checkPodEnd({ ifname: request.ifname, expected: { ...expected, mtu }, end, host }),
    ...(end === undefined || !expected.up
      ? []
      : await checkAddressing(pod, end, {
          ...expected,
          ...podAddressing(expected, expected),
          movedTo: later.routesTo,
        })),
  ]
}

function recordedMac({ prevResult }: Request, name: string): string | undefined {
  return prevResult?.interfaces?.find((one) => one.name === name)?.mac
}

function checkPodEnd({
  ifname,
  expected,
  end,
  host,
}: {
  ifname: string
  expected: BridgeAttachment
  end: Link | undefined
  host: Link | undefined
}): string[] {
  const name = `pod interface ${ifname}`
  if (end === undefined) return [`${name} is gone`]
  return differences(name, [
    ['kind', 'veth', end.kind],
    ['mac', expected.podMac, end.mac],
    ['mtu', expected.mtu, end.mtu],
    ['up', expected.up, end.up],
    ['peer', host?.index, end.peerIndex],
  ])
}
