// The picture: from what was observed to lines of text. Pure; nothing in it is known beforehand but the shape.

import type { BridgeView, HostView, LeaseView, LinkView, NodeView, PortView } from './observe.ts'

/** Of a pod's box; three of them, and what is around, fit 100 columns. */
const POD_WIDTH = 30
const GAP = 2
/** The node is so many pods wide, or there is no room for the notes beside its eth0. */
const MIN_COLUMNS = 3
const LABEL_WIDTH = 12
const NOTE_WIDTH = 49
/** Where, in the width of a pod, its wire runs. */
const WIRE = POD_WIDTH / 2
const NO_POD: HostView = { name: '?', link: { name: '', mac: '', mtu: 0, addresses: [] }, routes: [] }

export function drawPicture(outside: HostView, node: NodeView): string[] {
  const ports = node.bridges.flatMap((bridge) => bridge.ports)
  const width = Math.max(ports.length, MIN_COLUMNS) * (POD_WIDTH + GAP) - GAP
  const bridges = beside(node.bridges.map(drawBridge))
  const inside = [...drawUplink(node), ...bridges].map((line) => `│ ${line.padEnd(width)} │`)
  return [
    ...indent(drawOutside(outside)),
    joint(`${'┌ node '.padEnd(width + 3, '─')}┐`, '┼', GAP + WIRE),
    ...inside,
    edge(`└${'─'.repeat(width + 2)}┘`, ports),
    ...indent(beside(ports.map(drawPod))),
  ]
}

export function drawLeases(leases: readonly LeaseView[]): string[] {
  return leases.map(({ pod, network, ifname, addresses }) =>
    `${pod.padEnd(10)} ${ifname}  ${network.padEnd(6)} ${addresses.join('  ')}`.trimEnd(),
  )
}

function drawOutside({ link, routes }: HostView): string[] {
  const [top = '', ...rows] = box('outside', linkRows({ ...link, mac: '' }))
  const bottom = joint(rows.pop() ?? '', '┬')
  return annotate([top, ...rows, bottom], ['', ...note('routes', routes)])
}

function drawUplink({ uplink, bridges, forwarding, routes, masquerade }: NodeView): string[] {
  const [top = '', ...rows] = box(uplink.name, uplink.addresses)
  const onOff = (on: boolean) => (on ? 'on' : 'off')
  const toPods = routes.filter((route) => bridges.some(({ name }) => route.endsWith(` dev ${name}`)))
  return annotate(
    [joint(top, '┴'), ...rows],
    [
      ...note('forwarding', [`IPv4 ${onOff(forwarding.v4)}`, `IPv6 ${onOff(forwarding.v6)}`]),
      ...note('routes', toPods),
      ...note('masquerade', masquerade),
    ],
  )
}

/** Puts notes to the right of a box of a pod's width. */
function annotate(lines: readonly string[], notes: readonly string[]): string[] {
  return Array.from({ length: Math.max(lines.length, notes.length) }, (_, i) =>
    `${(lines[i] ?? '').padEnd(POD_WIDTH + GAP)}${notes[i] ?? ''}`.trimEnd(),
  )
}

/** `label  item, item,` and what does not fit below it. */
function note(label: string, items: readonly string[]): string[] {
  const lines: string[] = []
  for (const item of items) {
    const last = lines.pop()
    if (last === undefined) lines.push(item)
    else if (last.length + item.length + 2 <= NOTE_WIDTH) lines.push(`${last}, ${item}`)
    else lines.push(`${last},`, item)
  }
  return lines.map((line, i) => `${(i === 0 ? label : '').padEnd(LABEL_WIDTH)}${line}`)
}

/** As wide as its ports' pods, so that the wires go straight down. */
function drawBridge(bridge: BridgeView): string[] {
  const width = Math.max(1, bridge.ports.length) * (POD_WIDTH + GAP) - GAP
  const cells = (pick: (port: PortView) => string) =>
    bridge.ports
      .map((port) => pick(port).padEnd(POD_WIDTH + GAP))
      .join('')
      .trimEnd()
  const rows = [
    `${bridge.mac} mtu ${bridge.mtu}`,
    bridge.addresses.join('  '),
    cells(({ name }) => name),
    cells(({ mac }) => mac),
  ]
  const lines = box(`${bridge.name}, a bridge`, rows, width)
  return [...lines.slice(0, -1), edge(lines.at(-1) ?? '', bridge.ports, 0)]
}

function drawPod({ pod = NO_POD }: PortView): string[] {
  const { name, link, routes } = pod
  const [top = '', ...rows] = box(`pod ${name}`, [...linkRows(link), ...routes])
  return [joint(top, '┴'), ...rows]
}

/** The name, and what it has, one below the other. */
function linkRows({ name, mac, addresses }: LinkView): string[] {
  const values = mac === '' ? addresses : [mac, ...addresses]
  return values.map((value, i) => `${i === 0 ? name : ' '.repeat(name.length)}  ${value}`)
}

function box(title: string, rows: readonly string[], width: number = POD_WIDTH): string[] {
  const inner = width - 4
  return [
    `${`┌ ${title} `.padEnd(width - 1, '─')}┐`,
    ...rows.map((row) => `│ ${row.padEnd(inner)} │`),
    `└${'─'.repeat(width - 2)}┘`,
  ]
}

/** Puts a wire's end into the upper or lower edge of a box. */
function joint(line: string, mark: string, column: number = WIRE): string {
  return line.slice(0, column) + mark + line.slice(column + 1)
}

/** The lower edge of a bridge or of the node, with a wire for each port. */
function edge(line: string, ports: readonly PortView[], margin: number = GAP): string {
  return ports.reduce((text, _, i) => {
    const mark = margin === 0 ? '┬' : '┼'
    return joint(text, mark, margin + i * (POD_WIDTH + GAP) + WIRE)
  }, line)
}

/** Blocks side by side, filled up to the height of the highest. */
function beside(blocks: readonly (readonly string[])[]): string[] {
  const height = Math.max(0, ...blocks.map(({ length }) => length))
  return Array.from({ length: height }, (_, i) =>
    blocks
      .map((block) => (block[i] ?? '').padEnd(block[0]?.length ?? 0))
      .join(' '.repeat(GAP))
      .trimEnd(),
  )
}

function indent(lines: readonly string[]): string[] {
  return lines.map((line) => ' '.repeat(GAP) + line)
}
