// How fast packets go through what the plugins make: TCP throughput and the time of a round trip, between pods, to the
// node, to the world behind masquerading, and from there through a host port. Ours beside upstream's, on two nodes (a
// namespace each) that are there at the same time, in turn, so that the machine's moods meet both.
//
//   node bench/datapath.ts [--rounds N] [--family 4|6] [--enforce]     --enforce: exit status 1 below 0.98 × upstream's
//
// It takes iperf3 (Debian: iperf3) and gcc.

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { type Contestant, podwire, upstream } from '../conformance/harness/contestant.ts'
import type { Namespace, TestNode } from '../conformance/harness/node.ts'
import { quantile } from './interleave.ts'
import { ask, attach, compileRoundTrip, createNode, endServers, serve } from './wire.ts'

const GOAL = 0.98
const STREAM_BYTES = '150M'
const ROUND_TRIPS = 5000
const STREAM_PORT = 5201
const ECHO_PORT = 5202
const HOST_PORTS = { [STREAM_PORT]: 30001, [ECHO_PORT]: 30002 } as const

const PATHS = [
  'pod to pod',
  'pod to node',
  'pod to outside, masqueraded',
  'outside to pod, by a host port',
] as const
type Path = (typeof PATHS)[number]

type Family = 4 | 6
/** In the order of addressing: the first pod, the node on its bridge, outside, the node from outside. */
const ADDRESSES: Readonly<Record<Family, readonly [string, string, string, string]>> = {
  4: ['10.1.0.2', '10.1.0.1', '192.0.2.2', '192.0.2.1'],
  6: ['fd00:1::2', 'fd00:1::1', '2001:db8:ffff::2', '2001:db8:ffff::1'],
}

/** One contestant's node, with two pods and a host beyond it, and servers everywhere. */
interface Subject {
  readonly name: string
  readonly node: TestNode
  readonly routes: Readonly<Record<Path, Route>>
  readonly bitsPerSecond: Record<Path, number[]>
  readonly nanoseconds: Record<Path, number[]>
}

/** Who calls whom. */
interface Route {
  readonly from: Namespace
  readonly address: string
  readonly portOf: (port: typeof STREAM_PORT | typeof ECHO_PORT) => number
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: { rounds: { type: 'string' }, family: { type: 'string' }, enforce: { type: 'boolean' } },
  })
  const family = values.family === '6' ? 6 : 4
  const directory = mkdtempSync(join(tmpdir(), 'pw-bench-datapath-'))
  const subjects: Subject[] = []
  try {
    const echo = await compileRoundTrip(directory)
    for (const contestant of [podwire, upstream]) subjects.push(await prepare(contestant, { family, echo }))
    await measure(subjects, { rounds: Number(values.rounds ?? 20), echo })
    const isMet = print(subjects)
    if (values.enforce === true && !isMet) process.exitCode = 1
  } finally {
    endServers()
    for (const { node } of subjects) await node.remove()
    rmSync(directory, { recursive: true })
  }
}

async function prepare(
  contestant: Contestant,
  { family, echo }: { family: Family; echo: string },
): Promise<Subject> {
  const node = await createNode(contestant)
  const [pod, other] = [await node.addPod('pod'), await node.addPod('other')]
  const outside = await node.addOutside()
  const ports = Object.entries(HOST_PORTS).map(([port, hostPort]) => ({
    hostPort,
    containerPort: Number(port),
  }))
  await attach(node, pod, ports)
  await attach(node, other)
  for (const where of [pod, node, outside]) {
    await serve(where, ['iperf3', '--server', '--port', String(STREAM_PORT)])
    await serve(where, [echo, 'serve', String(ECHO_PORT)])
  }
  const [podAddress, gateway, world, uplink] = ADDRESSES[family]
  const route = (from: Namespace, address: string): Route => ({ from, address, portOf: (port) => port })
  return {
    name: contestant.name,
    node,
    routes: {
      'pod to pod': route(other, podAddress),
      'pod to node': route(other, gateway),
      'pod to outside, masqueraded': route(other, world),
      'outside to pod, by a host port': {
        from: outside,
        address: uplink,
        portOf: (port) => HOST_PORTS[port],
      },
    },
    bitsPerSecond: empty(),
    nanoseconds: empty(),
  }
}

function empty(): Record<Path, number[]> {
  return Object.fromEntries(PATHS.map((path) => [path, []])) as unknown as Record<Path, number[]>
}

async function measure(
  subjects: readonly Subject[],
  { rounds, echo }: { rounds: number; echo: string },
): Promise<void> {
  for (let round = -1; round < rounds; round++) {
    const inTurn = round % 2 === 0 ? subjects : subjects.toReversed()
    for (const path of PATHS)
      for (const { routes, bitsPerSecond, nanoseconds } of inTurn) {
        const [stream, trip] = [await streamOnce(routes[path]), await tripOnce(routes[path], echo)]
        if (round < 0) continue // the first one fills caches
        bitsPerSecond[path].push(stream)
        nanoseconds[path].push(trip)
      }
  }
}

async function streamOnce({ from, address, portOf }: Route): Promise<number> {
  const port = String(portOf(STREAM_PORT))
  const client = ['iperf3', '--client', address, '--port', port, '--bytes', STREAM_BYTES, '--json']
  const report = JSON.parse(await ask(from, 1, ...client)) as {
    end: { sum_received: { bits_per_second: number } }
  }
  return report.end.sum_received.bits_per_second
}

async function tripOnce({ from, address, portOf }: Route, echo: string): Promise<number> {
  const client = [echo, 'ask', address, String(portOf(ECHO_PORT)), String(ROUND_TRIPS)]
  return Number((await ask(from, 0, ...client)).split(' ')[0])
}

/** @returns whether ours is nowhere below the goal */
function print([ours, theirs]: readonly Subject[]): boolean {
  if (ours === undefined || theirs === undefined) return false
  const row = (...cells: readonly string[]) => `| ${cells.join(' | ')} |`
  const ratios: number[] = []
  // Of each round, ours to theirs: what the machine's mood does to both is not in it.
  const compare = (path: Path) => {
    const stream = median(
      ours.bitsPerSecond[path].map((value, at) => value / (theirs.bitsPerSecond[path][at] ?? 0)),
    )
    const trip = median(
      ours.nanoseconds[path].map((value, at) => (theirs.nanoseconds[path][at] ?? 0) / value),
    )
    ratios.push(stream, trip)
    return [
      ...[ours, theirs].map(
        ({ bitsPerSecond }) => `${(median(bitsPerSecond[path]) / 1e9).toFixed(1)} Gbit/s`,
      ),
      `${stream.toFixed(2)} ×`,
      ...[ours, theirs].map(({ nanoseconds }) => `${(median(nanoseconds[path]) / 1e3).toFixed(1)} µs`),
      `${trip.toFixed(2)} ×`,
    ]
  }
  console.log(row('', 'throughput', 'upstream', '', 'round trip', 'upstream', ''))
  console.log(row('---', '--:', '--:', '--:', '--:', '--:', '--:'))
  for (const path of PATHS) console.log(row(path, ...compare(path)))
  return ratios.every((ratio) => ratio >= GOAL)
}

function median(values: readonly number[]): number {
  return quantile(values, 0.5)
}

await main()
