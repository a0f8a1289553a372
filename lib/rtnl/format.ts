// Changes as the `ip`, `bridge` and `tc` commands that do the same: for errors, the trace, and people.

import type { BridgeVlan, BridgeVlanChange } from './bridge-vlan.ts'
import type { IfIndex, LinkRef, LinkSettings, NewLink, NewVeth } from './link.ts'
import type { Qdisc } from './qdisc.ts'
import { type Route, RT_SCOPE, RT_TABLE_MAIN } from './route.ts'
import type { Change } from './rtnl.ts'
import type { Rule } from './rule.ts'

export function formatChange(change: Change): string {
  switch (change.change) {
    case 'create link':
      return `ip link add ${formatNewLink(change.link)}`
    case 'set link':
      return formatLinkChange(change.link, change.set)
    case 'delete link':
      return `ip link del ${formatRef(change.link)}`
    case 'add address':
    case 'delete address': {
      const { prefix, dev, noDad, noPrefixRoute } = change.address
      const verb = change.change === 'add address' ? 'add' : 'del'
      return `ip addr ${verb} ${prefix} ${formatRef(dev)}${noDad && prefix.family === 6 ? ' nodad' : ''}${noPrefixRoute ? ' noprefixroute' : ''}`
    }
    case 'add route':
    case 'delete route':
      return `ip route ${change.change === 'add route' ? 'prepend' : 'del'} ${formatRoute(change.route)}`
    case 'add bridge vlan':
    case 'delete bridge vlan':
      return `bridge vlan ${change.change === 'add bridge vlan' ? 'add' : 'del'} ${formatRef(change.link)} vid ${formatVlanChange(change.vlan)}`
    case 'add rule':
    case 'delete rule': {
      const { family } = change.rule
      return `ip${family === 6 ? ' -6' : ''} rule ${change.change === 'add rule' ? 'add' : 'del'} ${formatRule(change.rule)}`
    }
    case 'add qdisc':
      return `tc qdisc add ${formatRef(change.dev)} ${formatQdisc(change.qdisc)}`
    case 'delete qdisc':
      return `tc qdisc del ${formatRef(change.dev)} ${change.parent}`
    case 'add redirect': {
      const { dev, to } = change.redirect
      return `tc filter add ${formatRef(dev)} ingress pref 1 u32 match u32 0 0 action mirred egress redirect ${formatRef(to as IfIndex)}`
    }
  }
}

/** Rates and sizes in bytes: `root tbf rate 1250000bps burst 20000 limit 51250`, where `bps` is bytes per second. */
export function formatQdisc(qdisc: Qdisc): string {
  if (qdisc.kind === 'ingress') return 'ingress'
  const { rateBytesPerSecond, burstBytes, limitBytes } = qdisc
  return `root tbf rate ${rateBytesPerSecond}bps burst ${burstBytes} limit ${limitBytes}`
}

function formatVlanChange({ self, ...vlan }: BridgeVlanChange): string {
  return `${formatVlan(vlan)}${self ? ' self' : ''}`
}

/** `100 pvid untagged`, `200-210` */
export function formatVlan({ vid, vidEnd = vid, pvid, untagged }: BridgeVlan): string {
  const ids = vidEnd === vid ? `${vid}` : `${vid}-${vidEnd}`
  return [ids, ...(pvid ? ['pvid'] : []), ...(untagged ? ['untagged'] : [])].join(' ')
}

export function formatRef(ref: LinkRef): string {
  return typeof ref === 'number' ? `dev #${ref}` : `dev ${ref}`
}

function formatNewLink(link: NewLink): string {
  const { parent, netnsFd } = link as { parent?: IfIndex; netnsFd?: number }
  return [
    ...(parent === undefined ? [] : [`link #${parent}`]),
    ...endWords(link),
    ...netnsWords(netnsFd),
    `type ${link.kind}`,
    ...kindWords(link),
  ].join(' ')
}

function kindWords(link: NewLink): string[] {
  switch (link.kind) {
    case 'bridge':
      return link.vlanFiltering === undefined ? [] : [`vlan_filtering ${Number(link.vlanFiltering)}`]
    case 'veth':
      return ['peer', ...endWords(link.peer), ...netnsWords(link.peer.netnsFd)]
    case 'macvlan': {
      const { mode, broadcastQueueLength: length } = link
      return [`mode ${mode}`, ...(length === undefined ? [] : [`bcqueuelen ${length}`])]
    }
    case 'ipvlan':
      return [`mode ${link.mode}`]
    case 'vlan':
      return [`id ${link.vlanId}`]
    case 'vrf':
      return [`table ${link.table}`]
    case 'ifb':
    case 'dummy':
      return []
  }
}

function netnsWords(fd: number | undefined): string[] {
  return fd === undefined ? [] : [`netns /proc/self/fd/${fd}`]
}

/** `from 10.1.0.5/32 lookup 100 pref 32765` */
export function formatRule({ source, table, priority }: Rule): string {
  return [
    `from ${source ?? 'all'}`,
    `lookup ${table}`,
    ...(priority === undefined ? [] : [`pref ${priority}`]),
  ].join(' ')
}

function endWords(
  end: Partial<Pick<NewVeth, 'name' | 'mac' | 'mtu' | 'queues' | 'master' | 'up'>>,
): string[] {
  return [
    `name ${end.name}`,
    ...(end.mac === undefined ? [] : [`address ${end.mac}`]),
    ...(end.mtu === undefined ? [] : [`mtu ${end.mtu}`]),
    ...(end.queues === undefined ? [] : [`numtxqueues ${end.queues} numrxqueues ${end.queues}`]),
    ...(end.master === undefined ? [] : [`master #${end.master}`]),
    ...(end.up ? ['up'] : []),
  ]
}

/** ip has no word for `arpNotify`, which is set alone. */
function formatLinkChange(link: LinkRef, set: LinkSettings): string {
  if (set.arpNotify === undefined) return `ip link set ${formatRef(link)} ${formatSettings(set)}`
  const name = typeof link === 'number' ? `#${link}` : link
  return `sysctl -w net/ipv4/conf/${name}/arp_notify=${Number(set.arpNotify)}`
}

/** What is behind `type` is of that type: so it comes last. */
function formatSettings(set: LinkSettings): string {
  const onOff = (value: boolean) => (value ? 'on' : 'off')
  const words = [
    ...(set.name === undefined ? [] : [`name ${set.name}`]),
    ...(set.mac === undefined ? [] : [`address ${set.mac}`]),
    ...(set.mtu === undefined ? [] : [`mtu ${set.mtu}`]),
    ...(set.alias === undefined ? [] : [`alias ${JSON.stringify(set.alias)}`]),
    ...(set.promisc === undefined ? [] : [`promisc ${onOff(set.promisc)}`]),
    ...(set.allmulti === undefined ? [] : [`allmulticast ${onOff(set.allmulti)}`]),
    ...(set.txQueueLength === undefined ? [] : [`txqueuelen ${set.txQueueLength}`]),
    ...netnsWords(set.netnsFd),
    ...(set.master === undefined ? [] : set.master === 0 ? ['nomaster'] : [`master #${set.master}`]),
    ...(set.up === undefined ? [] : [set.up ? 'up' : 'down']),
    ...(set.hairpin === undefined && set.isolated === undefined ? [] : ['type bridge_slave']),
    ...(set.hairpin === undefined ? [] : [`hairpin ${onOff(set.hairpin)}`]),
    ...(set.isolated === undefined ? [] : [`isolated ${onOff(set.isolated)}`]),
  ]
  return words.join(' ')
}

/** @param route  its link by index or, where that is known, by name */
export function formatRoute(route: Omit<Route, 'dev'> & { readonly dev?: LinkRef }): string {
  const scopes = Object.entries(RT_SCOPE).map(([name, value]) => [value, name] as const)
  return [
    route.dst.length === 0 ? 'default' : String(route.dst),
    ...(route.gateway === undefined ? [] : [`via ${route.gateway}`]),
    ...(route.dev === undefined ? [] : [formatRef(route.dev)]),
    ...(route.onLink ? ['onlink'] : []),
    ...(route.source === undefined ? [] : [`src ${route.source}`]),
    ...(route.advertised ? ['proto ra'] : []),
    ...(route.table === undefined || route.table === RT_TABLE_MAIN ? [] : [`table ${route.table}`]),
    ...(route.scope === undefined
      ? []
      : [`scope ${new Map(scopes).get(route.scope as never) ?? route.scope}`]),
    ...(route.priority === undefined ? [] : [`metric ${route.priority}`]),
    ...(route.mtu ? [`mtu ${route.mtu}`] : []),
    ...(route.advmss ? [`advmss ${route.advmss}`] : []),
  ].join(' ')
}
