// The state of the fake kernel as text: what a test compares.

import { describeVlans } from './fake-bridge-vlans.ts'
import type { FakeLink, FakeStack } from './fake-stack.ts'
import { formatQdisc, formatRoute, formatRule, formatVlan } from './format.ts'

/** Sorted lines: `link …`, `address br0 10.1.0.1/24`, `route default via 10.1.0.1 dev eth0`. */
export function dumpStack({ links, addresses, routes, rules }: FakeStack): string {
  return [
    ...links.map(formatLink),
    ...addresses.map(({ link, prefix }) => `address ${link.name} ${prefix}`),
    ...routes.map(({ link, connected, ...route }) => {
      return `route ${formatRoute({ ...route, dev: link.name })}${connected ? ' connected' : ''}`
    }),
    ...rules
      .filter(({ priority }) => priority > 0 && priority < 32766)
      .map((rule) => `rule ${formatRule(rule)}`),
  ]
    .sort()
    .map((line) => `${line}\n`)
    .join('')
}

/** `link veth0 veth up mtu 1500 mac … master br0 hairpin peer eth0` */
function formatLink(link: FakeLink): string {
  const { peer, master } = link
  const elsewhere = peer && peer.stack !== link.stack ? ` in ${peer.stack.label}` : ''
  return [
    `link ${link.name} ${link.kind ?? 'loopback'} ${link.up ? 'up' : 'down'} mtu ${link.mtu} mac ${link.mac}`,
    ...(link.promisc ? ['promisc'] : []),
    ...(link.allmulti ? ['allmulti'] : []),
    ...(link.txQueueLength === 1000 ? [] : [`txqueuelen ${link.txQueueLength}`]),
    ...formatKind(link),
    ...(link.vlanFiltering ? ['vlan_filtering'] : []),
    ...(master ? [`master ${master.name}`] : []),
    ...(link.hairpin ? ['hairpin'] : []),
    ...(link.isolated ? ['isolated'] : []),
    ...(master?.vlanFiltering ? describeVlans(link).map((vlan) => `vlan ${formatVlan(vlan)}`) : []),
    ...(peer ? [`peer ${peer.name}${elsewhere}`] : []),
    ...[...link.qdiscs.values()].map((qdisc) => `{ ${formatQdisc(qdisc)} }`),
    ...link.redirects.map((to) => `redirect ${to?.name ?? 'nowhere'}`),
    ...(link.alias ? [`alias ${JSON.stringify(link.alias)}`] : []),
  ].join(' ')
}

function formatKind({ stack, parent, macvlanMode, ipvlanMode, vlanId, vrfTable }: FakeLink): string[] {
  const elsewhere = parent && parent.stack !== stack ? ` in ${parent.stack.label}` : ''
  const mode = macvlanMode ?? ipvlanMode
  return [
    ...(parent ? [`on ${parent.name}${elsewhere}`] : []),
    ...(mode ? [`mode ${mode}`] : []),
    ...(vlanId === undefined ? [] : [`id ${vlanId}`]),
    ...(vrfTable === undefined ? [] : [`table ${vrfTable}`]),
  ]
}
