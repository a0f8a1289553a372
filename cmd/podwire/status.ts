// `podwire status`: how this node is doing, in one look. The daemon tells of calls; attachments and addresses are in the
// stores, with a daemon or without.

import type { Ports } from '../../lib/host/ports.ts'
import { type Attached, listAttached, shortId } from './attached.ts'
import type { Answer } from './command.ts'
import {
  askDaemon,
  type DaemonStatus,
  type DaemonStretch,
  DaemonUnreachable,
  LOG_AND_RESTART,
} from './daemon-client.ts'
import { type Data, formatJson, formatYaml } from './data-formats.ts'
import { type FoundPool, listPools, poolData, poolTable } from './pools.ts'
import { formatAge, formatCount, formatTable, type Style, visible } from './style.ts'

export const STATUS_FORMATS = ['json', 'yaml'] as const

export interface StatusOptions {
  readonly version: string
  readonly socketPath: string
  readonly format: (typeof STATUS_FORMATS)[number] | undefined
  readonly style: Style
}

interface Node {
  readonly version: string
  readonly socketPath: string
  readonly nowMs: number
  /** A text when it does not answer. */
  readonly daemon: DaemonStatus | string | undefined
  readonly attached: readonly Attached[]
  readonly pools: readonly FoundPool[]
}

/** Exit status 1 when there is a daemon that does not serve. */
export async function status(ports: Ports, options: StatusOptions): Promise<Answer> {
  const { version, socketPath, format, style } = options
  const node: Node = {
    version,
    socketPath,
    nowMs: ports.clock.nowMs(),
    daemon: await askOrExplain(socketPath),
    attached: listAttached(ports),
    pools: listPools(ports),
  }
  const stdout =
    format === 'json'
      ? formatJson(nodeData(node))
      : format === 'yaml'
        ? formatYaml(nodeData(node))
        : nodeText(node, style)
  return { stdout, exitStatus: isServing(node) ? 0 : 1 }
}

async function askOrExplain(socketPath: string): Promise<DaemonStatus | string | undefined> {
  try {
    return await askDaemon(socketPath)
  } catch (error) {
    if (error instanceof DaemonUnreachable) return error.message
    throw error
  }
}

/** Without a daemon, plugins serve themselves. */
function isServing({ daemon }: Node): boolean {
  return daemon === undefined || (typeof daemon !== 'string' && daemon.ready)
}

function nodeText(node: Node, style: Style): string {
  const { daemon, attached, pools, nowMs } = node
  const known = typeof daemon === 'object' ? daemon : undefined
  return [
    formatFacts([
      ['Version', node.version],
      ['Daemon', daemonText(node, style)],
      ...(isServing(node) ? [] : ([['', LOG_AND_RESTART]] as const)),
      ...(known === undefined ? [] : daemonFacts(known)),
      ['Attachments', attachmentsText(attached, style)],
    ]),
    ...(pools.length === 0 ? [] : ['\n', poolTable(pools, { nowMs, style, isWide: false })]),
    ...(known === undefined || known.calls.length === 0 ? [] : ['\n', callTable(known, style)]),
    ...(known === undefined || known.lastErrors.length === 0 ? [] : ['\n', errorTable(known, nowMs, style)]),
  ].join('')
}

function formatFacts(facts: readonly (readonly [string, string])[]): string {
  const width = Math.max(...facts.map(([name]) => name.length))
  return facts.map(([name, value]) => `${name.padEnd(width)}  ${visible(value, 'colours')}\n`).join('')
}

function daemonText({ daemon, socketPath, version, nowMs }: Node, style: Style): string {
  if (daemon === undefined) return `none at ${socketPath}: each call is served by a process of its own`
  if (typeof daemon === 'string') return style.bad(daemon)
  const age = formatAge(nowMs - Date.parse(daemon.startedAt))
  const state = daemon.ready ? style.good('serving') : style.bad('not ready')
  const other = daemon.version === version ? '' : style.warn(`, version ${daemon.version}`)
  return `${state} at ${socketPath}, pid ${daemon.pid}, for ${age}${other}`
}

const BYTES_PER_MIB = 1 << 20

function daemonFacts(daemon: DaemonStatus): [string, string][] {
  const { running, waiting, residentBytes, leftToCaller, abandoned = 0 } = daemon
  const left = Object.entries(leftToCaller).map(([why, count]) => `${count} (${why})`)
  return [
    [
      'Calls',
      `${running} running, ${waiting} waiting; ${Math.round(residentBytes / BYTES_PER_MIB)} MiB resident`,
    ],
    ...(left.length === 0 ? [] : ([['Not served', left.join(', ')]] as [string, string][])),
    ...(abandoned === 0
      ? []
      : ([['Abandoned', `${abandoned}: the caller did not wait for the answer`]] as [string, string][])),
    ...eventLoopFacts(daemon),
  ]
}

function eventLoopFacts({ eventLoopDelayMaxMs, longestStretches = [] }: DaemonStatus): [string, string][] {
  const [longest] = longestStretches
  if (eventLoopDelayMaxMs === undefined || longest === undefined) return []
  return [
    [
      'Event loop',
      `${eventLoopDelayMaxMs.toFixed(1)} ms late at most; held longest by ${stretchText(longest)}`,
    ],
  ]
}

const STEPS_SHOWN = 3

function stretchText({ verb, plugin, ms, cpuMs, steps }: DaemonStretch): string {
  const most = Object.entries(steps)
    .sort(([, a], [, b]) => b - a)
    .slice(0, STEPS_SHOWN)
    .map(([step, spent]) => `, ${step} ${spent.toFixed(1)}`)
  return `${plugin} ${verb}: ${ms.toFixed(1)} ms (CPU ${cpuMs.toFixed(1)}${most.join('')})`.trimStart()
}

function attachmentsText(attached: readonly Attached[], style: Style): string {
  const networks = new Set(attached.map(({ network }) => network)).size
  const count = (state: string) => attached.filter((one) => one.state === state).length
  const troubles = (['incomplete', 'gone'] as const)
    .filter((state) => count(state) > 0)
    .map((state) => style.warn(`${count(state)} ${state}`))
  const text = `${attached.length} in ${formatCount(networks, 'network')}`
  return [text, ...troubles].join(', ')
}

function callTable({ calls }: DaemonStatus, style: Style): string {
  const rows = calls.map(({ plugin, verb, succeeded, failed, totalMs, p99Ms, perMinute }) => [
    plugin,
    verb,
    String(succeeded),
    failed === 0 ? '0' : style.bad(String(failed)),
    `${(totalMs / Math.max(1, succeeded + failed)).toFixed(1)} ms`,
    p99Ms === undefined ? '' : p99Ms === null ? 'long' : `${p99Ms} ms`,
    perMinute === undefined ? '' : perMinute.toFixed(1),
  ])
  return formatTable(
    ['PLUGIN', 'VERB', 'DONE', 'FAILED', 'MEAN', '99% BELOW', 'A MINUTE'].map((title) => style.bold(title)),
    rows,
  )
}

/** The latest first. */
const ERRORS_SHOWN = 5

function errorTable({ lastErrors }: DaemonStatus, nowMs: number, style: Style): string {
  const rows = lastErrors
    .slice(-ERRORS_SHOWN)
    .reverse()
    .map(({ at, plugin, verb, containerId, message }) => [
      formatAge(nowMs - Date.parse(at)),
      plugin,
      verb,
      shortId(containerId),
      message,
    ])
  return formatTable(
    ['LAST ERRORS', 'PLUGIN', 'VERB', 'CONTAINER', 'MESSAGE'].map((title) => style.bold(title)),
    rows,
  )
}

function nodeData({ version, socketPath, daemon, attached, pools }: Node): Data {
  return {
    version,
    socket: socketPath,
    daemon: typeof daemon === 'string' ? { error: daemon } : ((daemon as Data) ?? null),
    attachments: {
      count: attached.length,
      incomplete: attached.filter(({ state }) => state === 'incomplete').length,
      gone: attached.filter(({ state }) => state === 'gone').length,
    },
    pools: pools.map(poolData),
  }
}
