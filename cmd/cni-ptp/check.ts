// CHECK, STATUS and repair: what ADD made is compared with what is there now.

import { changedLater } from '../../lib/attach/changed-later.ts'
import { checkAddressing, isSameRoute } from '../../lib/attach/check-addressing.ts'
import { findLostSharing, listSettled, toProblems } from '../../lib/attach/damage.ts'
import { differences } from '../../lib/attach/drift.ts'
import { type Comparison, checkInterface } from '../../lib/attach/interface-plugin.ts'
import { masqueradeEntries } from '../../lib/attach/masquerade.ts'
import { type Aspect, mendAspects } from '../../lib/attach/mending.ts'
import { findPodInterface } from '../../lib/attach/prev-result.ts'
import {
  findDelegateProblem,
  findNftablesProblem,
  findStoreProblem,
  type Problem,
  requireReady,
} from '../../lib/attach/readiness.ts'
import { findRecord } from '../../lib/attach/recorded.ts'
import type { Repair } from '../../lib/cni/plugin.ts'
import type { Request } from '../../lib/cni/request.ts'
import { forwardingSysctls, planForwarding } from '../../lib/host/forwarding.ts'
import type { Namespace } from '../../lib/host/kernel.ts'
import type { Ports } from '../../lib/host/ports.ts'
import { Prefix } from '../../lib/ip/prefix.ts'
import { isAlreadyExists } from '../../lib/netlink/error.ts'
import { addMasquerade, checkMasquerade } from '../../lib/nftables/podwire-table.ts'
import { formatRoute } from '../../lib/rtnl/format.ts'
import type { Link } from '../../lib/rtnl/link.ts'
import { recorded } from './del.ts'
import { parseNetconf } from './netconf.ts'
import { addressingOf, hostChanges, hostRoutes } from './plan.ts'
import { hostEndSysctls, PLUGIN, type PtpRecord } from './record.ts'

export function check(ports: Ports, request: Request): Promise<void> {
  parseNetconf(request)
  const compare = (comparison: Comparison<PtpRecord>) => compareAll(ports, request, comparison)
  return checkInterface(ports, request, { recorded, compare })
}

async function compareAll(
  ports: Ports,
  request: Request,
  { pod, record, prevResult }: Comparison<PtpRecord>,
): Promise<string[]> {
  const { host } = ports.kernel
  const { ifname } = request
  const wire = await host.rtnl.findLink(record.hostIfname)
  const end = await pod.rtnl.findLink(ifname)
  // A later plugin of the chain may have changed the MAC, and then says so in prevResult.
  const podMac = findPodInterface(request, prevResult)?.mac?.toLowerCase() ?? record.podMac
  const later = changedLater(ports, request, PLUGIN)
  const podEnd = [
    ['kind', 'veth', end?.kind],
    ['mac', podMac, end?.mac],
    ['mtu', later.mtu ?? record.mtu, end?.mtu],
    ['up', true, end?.up],
    ['peer', wire?.index, end?.peerIndex],
  ] as const
  return [
    ...(await compareHostEnd(host, record)),
    ...(end === undefined
      ? [`pod interface ${ifname} is gone`]
      : differences(`pod interface ${ifname}`, podEnd)),
    ...(end === undefined
      ? []
      : await checkAddressing(pod, end, { ...addressingOf(record), movedTo: later.routesTo })),
    ...compareForwarding(host, record),
    ...(await checkMasquerade(host.nft, masqueradeEntries(record.masquerade, request))),
  ]
}

async function compareHostEnd({ rtnl, sysctl }: Namespace, record: PtpRecord): Promise<string[]> {
  const name = `host interface ${record.hostIfname}`
  const link = await rtnl.findLink(record.hostIfname)
  if (link === undefined) return [`${name} is gone`]
  const drifted = hostEndSysctls(link.name).filter(({ key, value }) => (sysctl.find(key) ?? value) !== value)
  return [
    ...differences(name, [
      ['kind', 'veth', link.kind],
      ['mac', record.hostMac, link.mac],
      ['mtu', record.mtu, link.mtu],
      ['up', true, link.up],
    ]),
    ...drifted.map(({ key, value }) => `node has sysctl net/${key} ${sysctl.find(key)}, expected ${value}`),
    ...(await compareHostAddresses(rtnl, link, record)),
  ]
}

async function compareHostAddresses(
  rtnl: Namespace['rtnl'],
  link: Link,
  record: PtpRecord,
): Promise<string[]> {
  const present = (await rtnl.listAddresses({ dev: link.index })).map(({ prefix }) => String(prefix))
  const routes = await rtnl.listRoutes({ dev: link.index })
  const missing = record.gateways.filter((gateway) => !present.includes(gateway))
  const lost = hostRoutes(record).filter(({ dst }) => !routes.some((route) => isSameRoute({ dst }, route)))
  return [
    ...missing.map((gateway) => `host interface ${link.name} has no address ${gateway}`),
    ...lost.map(({ dst }) => `node has no route ${formatRoute({ dst, dev: link.name })}`),
  ]
}

function familiesOf({ gateways }: PtpRecord): Set<4 | 6> {
  return new Set(gateways.map((gateway) => Prefix.parse(gateway).family))
}

function compareForwarding({ sysctl }: Namespace, record: PtpRecord): string[] {
  return forwardingSysctls(familiesOf(record))
    .filter(({ key, value }) => sysctl.find(key) !== value)
    .map(({ key }) => `forwarding is off (net/${key})`)
}

async function findDamages(ports: Ports, request: Request): Promise<Problem[]> {
  return toProblems(await findLostSharing(ports, listSettled<PtpRecord>(ports, request, PLUGIN)))
}

/** Whether the next ADD would work, and whether the pods there are suffer. */
export async function status(ports: Ports, request: Request): Promise<void> {
  const { ipMasq, ipam } = parseNetconf(request)
  const store = findStoreProblem(ports)
  const nftables = ipMasq ? await findNftablesProblem(ports, 'ipMasq needs') : []
  const canLook = store.length + nftables.length === 0
  requireReady([
    ...store,
    ...nftables,
    ...(canLook ? await findDamages(ports, request) : []),
    ...(await findDelegateProblem(ports, request, ipam)),
  ])
}

/** On the node only; what is inside the pod, and a wire that is gone, take a restart of the pod. */
export async function repair(ports: Ports, request: Request): Promise<Repair> {
  const record = findRecord<PtpRecord>(ports, request, PLUGIN)
  if (record === undefined) return { mended: [], left: [] }
  const { host } = ports.kernel
  const entries = masqueradeEntries(record.masquerade, request)
  const aspects: Aspect[] = [
    { check: () => compareHostEnd(host, record), mend: () => mendHostEnd(host, record) },
    {
      check: async () => compareForwarding(host, record),
      mend: async () => host.sysctl.set(...(await planForwarding(host, familiesOf(record)))),
    },
    { check: () => checkMasquerade(host.nft, entries), mend: () => addMasquerade(host.nft, entries) },
  ]
  return mendAspects(aspects)
}

/** Only what is still the pod's by its MAC. */
async function mendHostEnd({ rtnl, sysctl }: Namespace, record: PtpRecord): Promise<void> {
  const link = await rtnl.findLink(record.hostIfname)
  if (link?.mac !== record.hostMac) return
  sysctl.set(...hostEndSysctls(link.name))
  await rtnl.apply({ change: 'set link', link: link.index, set: { mtu: record.mtu, up: true } })
  for (const change of hostChanges(link.index, record)) {
    await rtnl.apply(change).catch((error: unknown) => {
      if (!isAlreadyExists(error)) throw error
    })
  }
}
