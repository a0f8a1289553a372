// `podwire list`: what is attached on this node.

import type { Ports } from '../../lib/host/ports.ts'
import { type Attached, type Filter, listAttached, podText, shortId } from './attached.ts'
import { type Data, formatJson, formatYaml } from './data-formats.ts'
import { formatAge, formatTable, type Style } from './style.ts'

export const LIST_FORMATS = ['wide', 'json', 'yaml', 'name'] as const

export interface ListOptions extends Filter {
  readonly format: (typeof LIST_FORMATS)[number] | undefined
  readonly style: Style
}

export function list(ports: Ports, { format, style, ...filter }: ListOptions): string {
  const all = listAttached(ports, filter)
  switch (format) {
    case 'json':
      return formatJson(all.map(attachedData))
    case 'yaml':
      return formatYaml(all.map(attachedData))
    case 'name':
      return [...new Set(all.map(podText))].map((name) => `${name}\n`).join('')
    default:
      return all.length === 0
        ? `nothing${filterText(filter)} is attached\n`
        : table(all, { nowMs: ports.clock.nowMs(), style, isWide: format === 'wide' })
  }
}

/** ` of network a and pod b`; '' when all was asked for. */
function filterText(filter: Filter): string {
  const parts = Object.entries(filter).filter(([, value]) => value !== undefined)
  return parts.length === 0 ? '' : ` of ${parts.map(([name, value]) => `${name} ${value}`).join(' and ')}`
}

const TITLES = ['NAMESPACE', 'POD', 'CONTAINER', 'INTERFACE', 'ADDRESSES', 'HOST', 'NETWORK', 'STATE', 'AGE']
const WIDE_TITLES = ['PLUGINS', 'MAC', 'MTU', 'NETNS']

function table(
  all: readonly Attached[],
  { nowMs, style, isWide }: { nowMs: number; style: Style; isWide: boolean },
): string {
  const titles = [...TITLES, ...(isWide ? WIDE_TITLES : ['PLUGIN'])].map((title) => style.bold(title))
  const rows = all.map((one) => [
    one.podNamespace,
    one.podName,
    isWide ? one.containerId : shortId(one.containerId),
    one.ifname,
    one.fields.ips.map(({ address }) => address.split('/')[0]).join(','),
    one.fields.hostIfname ?? '',
    one.network,
    one.state === 'attached' ? style.good(one.state) : style.bad(one.state),
    formatAge(nowMs - one.createdAtMs),
    ...(isWide
      ? [pluginsOf(one).join(','), one.pod.mac ?? '', String(one.pod.mtu ?? ''), one.netns]
      : [shortPlugins(one)]),
  ])
  return formatTable(titles, rows)
}

function pluginsOf({ attachments }: Attached): string[] {
  return attachments.map(({ plugin }) => plugin)
}

/** `cni-bridge +2`: that which made the interface, and how many came after it. */
function shortPlugins(attached: Attached): string {
  const [first = '', ...rest] = pluginsOf(attached)
  return rest.length === 0 ? first : `${first} +${rest.length}`
}

export function attachedData(attached: Attached): Data {
  const { podNamespace, podName, containerId, ifname, network, netns, state, createdAtMs, fields, pod } =
    attached
  const { ips, hostIfname, bridge } = fields
  return {
    pod: podName === '' ? null : { namespace: podNamespace, name: podName },
    container: containerId,
    network,
    interface: ifname,
    addresses: ips.map(({ address }) => address),
    mac: pod.mac ?? null,
    mtu: pod.mtu ?? null,
    host: { interface: hostIfname ?? null, bridge: bridge ?? null },
    netns,
    state,
    createdAt: new Date(createdAtMs).toISOString(),
    plugins: pluginsOf(attached),
  }
}
