// A pod's wire: a veth pair (drivers/net/veth.c) with one end on the node and the other inside the pod.

import type { MacAddress } from '../ip/mac.ts'
import type { Prefix } from '../ip/prefix.ts'
import { unlessGone } from '../netlink/error.ts'
import { type IfIndex, LOOPBACK_INDEX } from '../rtnl/link.ts'
import type { Route } from '../rtnl/route.ts'
import type { Change, Rtnl } from '../rtnl/rtnl.ts'
import type { SysctlSetting } from '../sysctl/sysctl.ts'

export interface WirePlan {
  readonly hostIfname: string
  readonly hostMac: MacAddress
  readonly podIfname: string
  readonly podMac: MacAddress
  readonly mtu: number
  /** For people: `ip link` shows whose wire this is. */
  readonly alias: string
}

export interface PortSettings {
  readonly master: IfIndex
  readonly hairpin: boolean
  readonly isolated: boolean
}

/**
 * The kernel would make one for each CPU that there may be, with its files in /sys, and then take all but one out of use
 * again (veth_init_queues of drivers/net/veth.c).
 */
const QUEUES = 1

/**
 * The pair, its other end born inside the pod under its final name and never moved: moving a link between namespaces
 * waits for an RCU grace period under the kernel's one big lock.
 *
 * `port` comes after `create` has succeeded and the node's end has its sysctls: a port's own settings cannot be given
 * at creation, and what is named here must be ours.
 *
 * @param port  undefined for a wire that is plugged into nothing
 */
export function wireChanges(
  wire: WirePlan,
  port: PortSettings | undefined,
  podNetnsFd: number,
): { create: Change; port: Change } {
  const { mtu, hostIfname: name } = wire
  const bridgePort = port === undefined ? {} : { hairpin: port.hairpin, isolated: port.isolated }
  const peer = { name: wire.podIfname, mac: wire.podMac, mtu, queues: QUEUES, netnsFd: podNetnsFd }
  return {
    create: {
      change: 'create link',
      link: {
        kind: 'veth',
        name,
        mac: wire.hostMac,
        mtu,
        queues: QUEUES,
        ...(port === undefined ? {} : { master: port.master }),
        peer,
      },
    },
    port: { change: 'set link', link: name, set: { alias: wire.alias, ...bridgePort, up: true } },
  }
}

/** Deletes the pair by its node's end, if there is one of that name and it is ours by its MAC or its alias. */
export async function removeWire(
  rtnl: Rtnl,
  { hostIfname, hostMac, alias }: Pick<WirePlan, 'hostIfname' | 'hostMac' | 'alias'>,
): Promise<void> {
  const link = await rtnl.findLink(hostIfname)
  if (link === undefined || (link.mac !== hostMac && link.alias !== alias)) return
  // It may go with the pod's namespace meanwhile.
  await rtnl.apply({ change: 'delete link', link: link.index }).catch(unlessGone)
}

/** The node must not take router advertisements from a pod (CVE-2020-10749). */
export function hostSysctls(hostIfname: string): SysctlSetting[] {
  return [{ key: `ipv6/conf/${hostIfname}/accept_ra`, value: '0', optional: true, blind: true }]
}

/** Inside the pod, as they are to be. What concerns IPv6 addresses, only for a pod that has some. */
export function podSysctls(
  ifname: string,
  addressing: Pick<PodAddressing, 'enableDad' | 'addresses'>,
): SysctlSetting[] {
  // A gratuitous ARP when the link comes up corrects neighbours that remember an earlier holder of the address.
  const announcing = { key: `ipv4/conf/${ifname}/arp_notify`, value: '1', optional: true, blind: true }
  return [...podSysctlFiles(ifname, addressing), announcing]
}

/**
 * Those that are written into files, before addresses are set. The other goes by podChanges: to find a file of a new
 * namespace in /proc/sys/net, the kernel looks at the folders of all others (proc_sys_compare).
 */
export function podSysctlFiles(
  ifname: string,
  { enableDad, addresses }: Pick<PodAddressing, 'enableDad' | 'addresses'>,
): SysctlSetting[] {
  const ipv6 = (key: string, value: string) => ({
    key: `ipv6/conf/${key}`,
    value,
    optional: true,
    blind: true,
  })
  const ofAddresses = [
    ipv6('lo/disable_ipv6', '0'),
    ipv6(`${ifname}/disable_ipv6`, '0'),
    ipv6(`${ifname}/keep_addr_on_down`, '1'),
  ]
  return [
    ...(hasIpv6(addresses) ? ofAddresses : []),
    // Duplicate detection makes an address unusable for a second or two; ours are unique by the lease.
    ...(enableDad
      ? [ipv6(`${ifname}/enhanced_dad`, '1'), ipv6(`${ifname}/accept_dad`, '1')]
      : [ipv6(`${ifname}/accept_dad`, '0')]),
  ]
}

export function hasIpv6(addresses: readonly Prefix[]): boolean {
  return addresses.some(({ family }) => family === 6)
}

export interface PodAddressing {
  readonly addresses: readonly Prefix[]
  readonly routes: readonly Route[]
  readonly enableDad: boolean
  /** The kernel makes no routes to the subnets: `routes` has all there are to be. */
  readonly noPrefixRoutes?: boolean
}

/** Addresses before up, so that arp_notify has something to announce; routes after, since they need a live link. */
export function podChanges(
  dev: IfIndex,
  { addresses, routes, enableDad, noPrefixRoutes = false }: PodAddressing,
): Change[] {
  return [
    { change: 'set link', link: LOOPBACK_INDEX, set: { up: true } },
    { change: 'set link', link: dev, set: { arpNotify: true } },
    ...addresses.map(
      (prefix): Change => ({
        change: 'add address',
        address: { dev, prefix, noDad: !enableDad, ...(noPrefixRoutes ? { noPrefixRoute: true } : {}) },
      }),
    ),
    { change: 'set link', link: dev, set: { up: true } },
    ...routes.map((route): Change => ({ change: 'add route', route: { ...route, dev } })),
  ]
}
