// A plugin whose interface is one link inside the pod, mostly one that lies on a link of the node (macvlan, ipvlan,
// vlan), or on nothing (dummy). The plugins differ in their config and in the kind of link.

import { CNI_CODE, CniError } from '../cni/errors.ts'
import type { Request } from '../cni/request.ts'
import type { Dns, Result } from '../cni/result.ts'
import { atLeast } from '../cni/versions.ts'
import { attachmentKey } from '../host/attachment-key.ts'
import type { Namespace } from '../host/kernel.ts'
import { ownerText } from '../host/owner.ts'
import type { Ports } from '../host/ports.ts'
import { toHex } from '../host/random.ts'
import { isAlreadyExists, unlessGone } from '../netlink/error.ts'
import type { NewDummy } from '../rtnl/kinds/dummy.ts'
import type { NewIpvlan } from '../rtnl/kinds/ipvlan.ts'
import type { NewMacvlan } from '../rtnl/kinds/macvlan.ts'
import type { NewVlan } from '../rtnl/kinds/vlan.ts'
import type { IfIndex, Link, NewLink } from '../rtnl/link.ts'
import { type AddressRecord, formatIp, parseIp, podAddressing } from './addressing.ts'
import { changedLater } from './changed-later.ts'
import { checkAddressing } from './check-addressing.ts'
import { differences } from './drift.ts'
import type { Comparison, InterfacePlugin, InterfaceSteps, Making } from './interface-plugin.ts'
import type { IpamSection } from './ipam.ts'
import type { Leased } from './leased.ts'
import { explainMissingKind } from './link-kind.ts'
import { configurePodEnd } from './pod-end.ts'
import { findPodInterface } from './prev-result.ts'
import { findRecordedPod, type PodRecord, podRecord } from './recorded-pod.ts'
import { existingDetails } from './wire.ts'

/** What kind of link, without its name and its place. */
export type LinkSpec =
  | Omit<NewMacvlan, 'name' | 'parent' | 'netnsFd'>
  | Omit<NewIpvlan, 'name' | 'parent' | 'netnsFd'>
  | Omit<NewVlan, 'name' | 'parent' | 'netnsFd'>
  | Omit<NewDummy, 'name'>

export interface SingleLinkRecord extends AddressRecord, PodRecord {
  readonly spec: LinkSpec
  /** It is made under this name: its own may be taken where it is made (kinds/stacked.ts). */
  readonly temporaryName: string
  readonly parent?: Parent
  readonly ipam: IpamSection | null
}

/** The link that it lies on. */
export interface Parent {
  readonly index: IfIndex
  /** It is inside the pod. */
  readonly inPod: boolean
}

/** What the config of such a plugin comes to. */
export interface SingleLink {
  readonly ipam: string
  /** Undefined where the IPAM's stands. */
  readonly dns: Dns | undefined
  /** Of a chained plugin that takes its addresses from the one before. */
  readonly given?: Result
  /** Nothing is changed. @param address  the first of the pod's */
  plan(pod: Namespace, leased: Leased | undefined): Promise<{ spec: LinkSpec; parent?: Parent }>
}

export function singleLinkPlugin(plugin: string): InterfacePlugin<SingleLinkRecord> {
  const find = (ports: Ports, request: Request, record: SingleLinkRecord) =>
    withOwnLinks(ports, request, { plugin, record })
  return {
    plugin,
    ipamOf: ({ ipam }) => ipam,
    isLive: async (ports, request, record) => (await find(ports, request, record)).length > 0,
    takeBack: async (ports, request, record) => {
      const remove = (link: Link, pod: Namespace) =>
        pod.rtnl.apply({ change: 'delete link', link: link.index }).catch(unlessGone)
      await withOwnLinks(ports, request, { plugin, record, work: remove })
    },
  }
}

/** Ours by the alias, or by the name that it is made under. */
async function withOwnLinks(
  ports: Ports,
  request: Request,
  { plugin, record, work }: OwnLinks,
): Promise<Link[]> {
  const pod = findRecordedPod(ports, request, record)
  if (pod === undefined) return []
  try {
    const owner = ownerText(attachmentKey(plugin, request))
    const links = (await pod.rtnl.listLinks({ kind: record.spec.kind })).filter(
      ({ name, alias }) => alias === owner || name === record.temporaryName,
    )
    for (const link of links) await work?.(link, pod)
    return links
  } finally {
    pod.close()
  }
}

interface OwnLinks {
  readonly plugin: string
  readonly record: SingleLinkRecord
  readonly work?: (link: Link, pod: Namespace) => Promise<void>
}

export function singleLinkSteps(
  ports: Ports,
  request: Request,
  { plugin, link }: { plugin: string; link: SingleLink },
): InterfaceSteps<SingleLinkRecord> {
  return {
    ipam: link.ipam,
    async plan(pod, leased) {
      const { ips = [], routes = [] } = leased?.result ?? link.given ?? {}
      const record = {
        ...podRecord(request, pod),
        ...(await link.plan(pod, leased)),
        temporaryName: `cni${toHex(ports.random(4))}`,
        ips: ips.map((ip) => formatIp(parseIp(ip))),
        routes,
        ipam: leased?.section ?? null,
      }
      podAddressing(record, { enableDad: false }) // a route that cannot be read is refused now
      return record
    },
    async make(making) {
      await createLink(making, plugin)
      const addressing = podAddressing(making.record, { enableDad: false })
      await configurePodEnd(making.pod, request.ifname, { addressing, undo: making.undo })
      return singleLinkResult(making, link)
    },
  }
}

async function createLink(
  { ports, request, pod, record }: Making<SingleLinkRecord>,
  plugin: string,
): Promise<void> {
  const { spec, parent, temporaryName: name } = record
  const isPlaced = parent !== undefined && !parent.inPod
  const { rtnl } = isPlaced ? ports.kernel.host : pod
  const place = {
    ...(parent === undefined ? {} : { parent: parent.index }),
    ...(isPlaced ? { netnsFd: pod.fd } : {}),
  }
  const link = { ...spec, ...place, name } as NewLink
  await rtnl
    .apply({ change: 'create link', link })
    .catch((error) => explainMissingKind(error, rtnl, spec.kind))
  await nameLink(pod, request, { name, kind: spec.kind, alias: ownerText(attachmentKey(plugin, request)) })
  // IPv6's way of telling neighbours who has the address now.
  pod.sysctl.set({ key: `ipv6/conf/${request.ifname}/ndisc_notify`, value: '1', optional: true })
}

/** The words are upstream's. @throws CniError 999 when an interface of that name is there */
async function nameLink(
  pod: Namespace,
  request: Request,
  { name, kind, alias }: { name: string; kind: string; alias: string },
): Promise<void> {
  const { index } = await pod.rtnl.getLink(name)
  const set = { name: request.ifname, alias }
  await pod.rtnl.apply({ change: 'set link', link: index, set }).catch((cause: unknown) => {
    if (!isAlreadyExists(cause)) throw cause
    const message = `failed to rename ${kind} to "${request.ifname}": file exists`
    throw new CniError(CNI_CODE.internal, message, { details: existingDetails(request), cause })
  })
}

async function singleLinkResult(
  { request, pod, record, leased }: Making<SingleLinkRecord>,
  { dns: own }: SingleLink,
): Promise<Result> {
  const { mac = '', mtu } = await pod.rtnl.getLink(request.ifname)
  const dns = own ?? leased?.result.dns
  return {
    interfaces: [
      {
        name: request.ifname,
        mac,
        ...(atLeast(request.cniVersion, '1.1.0') ? { mtu } : {}),
        sandbox: request.netns,
      },
    ],
    ips: record.ips.map((ip) => ({ ...ip, interface: 0 })),
    routes: record.routes,
    ...(dns === undefined ? {} : { dns }),
  }
}

/** For CHECK. */
export async function compareSingleLink(
  ports: Ports,
  request: Request,
  { plugin, comparison }: { plugin: string; comparison: Comparison<SingleLinkRecord> },
): Promise<string[]> {
  const { pod, record, prevResult } = comparison
  const name = `pod interface ${request.ifname}`
  const link = await pod.rtnl.findLink(request.ifname)
  if (link === undefined) return [`${name} is gone`]
  const { spec, parent } = record
  const later = changedLater(ports, request, plugin)
  const mtu = later.mtu ?? spec.mtu ?? link.mtu
  const rows = [
    ['kind', spec.kind, link.kind],
    // A later plugin of the chain may have changed the MAC, and then says so in prevResult.
    ['mac', findPodInterface(request, prevResult)?.mac?.toLowerCase() ?? link.mac, link.mac],
    ['mtu', mtu, link.mtu],
    ['up', true, link.up],
    ...('mode' in spec ? [['mode', spec.mode, link.macvlanMode ?? link.ipvlanMode] as const] : []),
    ...('vlanId' in spec ? [['vlan', spec.vlanId, link.vlanId] as const] : []),
    ['parent', parent?.index, link.parentIndex],
  ] as const
  const addressing = { ...podAddressing(record, { enableDad: false }), movedTo: later.routesTo }
  return [...differences(name, rows), ...(await checkAddressing(pod, link, addressing))]
}
