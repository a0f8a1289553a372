// How long a TCP connection through a host port takes to be set up, with one pod on the node and with many that have a
// host port each: ours beside upstream's, which is on iptables. Pods are wired by the bridge plugins, masqueraded, and by
// portmap; what else is looked up for a new connection is in it. All nodes are there at once and measured in turn, so that
// the machine's moods meet all.
//
//   node bench/hostport.ts [--pods N] [--rounds N] [--enforce]   --enforce: exit status 1 when a goal is missed
//
// It takes gcc. 500 pods on two nodes take about three minutes to be there.

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { type Contestant, upstream } from '../conformance/harness/contestant.ts'
import { shimmed } from '../conformance/harness/daemon.ts'
import type { Namespace, TestNode } from '../conformance/harness/node.ts'
import { quantile } from './interleave.ts'
import { ask, attach, compileRoundTrip, createNode, endServers, serve } from './wire.ts'

/** With many pods: upstream's time over ours, and ours over ours with one. */
const GOALS = { faster: 2, flat: 1.1 }
const FIRST_PORT = 20_000
const SERVED_PORT = 80
const CONNECTIONS = 5000

/** The host port that is measured is that of the pod that came last. */
interface Subject {
  readonly name: string
  readonly pods: number
  readonly node: TestNode
  readonly outside: Namespace
  readonly nanoseconds: number[]
}

async function main(): Promise<void> {
  const options = {
    pods: { type: 'string' },
    rounds: { type: 'string' },
    enforce: { type: 'boolean' },
  } as const
  const { values } = parseArgs({ options })
  const many = Number(values.pods ?? 500)
  const directory = mkdtempSync(join(tmpdir(), 'pw-bench-hostport-'))
  const subjects: Subject[] = []
  try {
    const program = await compileRoundTrip(directory)
    for (const contestant of [shimmed(), upstream])
      for (const pods of [1, many]) {
        subjects.push(await prepare(contestant, { pods, program }))
        console.error(`${contestant.name}: ${pods} pods are there`)
      }
    for (let round = -1; round < Number(values.rounds ?? 20); round++)
      for (const subject of round % 2 === 0 ? subjects : subjects.toReversed()) {
        const time = await connect(subject, program)
        if (round >= 0) subject.nanoseconds.push(time)
      }
    if (!report(subjects) && values.enforce === true) process.exitCode = 1
  } finally {
    endServers()
    for (const { node } of subjects) await node.remove()
    rmSync(directory, { recursive: true })
  }
}

async function prepare(
  contestant: Contestant,
  { pods, program }: { pods: number; program: string },
): Promise<Subject> {
  const node = await createNode(contestant)
  const outside = await node.addOutside()
  for (let number = 1; number <= pods; number++) {
    const pod = await node.addPod(`p${number}`)
    await attach(node, pod, [{ hostPort: FIRST_PORT + number, containerPort: SERVED_PORT }])
    if (number === pods) await serve(pod, [program, 'serve', String(SERVED_PORT)])
  }
  return { name: contestant.name, pods, node, outside, nanoseconds: [] }
}

async function connect({ outside, pods }: Subject, program: string): Promise<number> {
  const port = String(FIRST_PORT + pods)
  const times = await ask(outside, 0, program, 'connect', '192.0.2.1', port, String(CONNECTIONS))
  return Number(times.split(' ')[0])
}

/** @returns whether the goals are met. Ratios are of each round: what the machine's mood does to all is not in them. */
function report(subjects: readonly Subject[]): boolean {
  console.log('| | pods | a connection |\n| --- | --: | --: |')
  for (const { name, pods, nanoseconds } of subjects)
    console.log(`| ${name} | ${pods} | ${(quantile(nanoseconds, 0.5) / 1e3).toFixed(1)} µs |`)
  const [ours = [], oursMany = [], , theirsMany = []] = subjects.map(({ nanoseconds }) => nanoseconds)
  const ratio = (a: readonly number[], b: readonly number[]) =>
    quantile(
      a.map((value, at) => value / (b[at] ?? Number.NaN)),
      0.5,
    )
  const [flat, faster] = [ratio(oursMany, ours), ratio(theirsMany, oursMany)]
  console.log(`\nours, many to one: ${flat.toFixed(2)} (goal: at most ${GOALS.flat})`)
  console.log(`upstream to ours, many: ${faster.toFixed(2)} (goal: at least ${GOALS.faster})`)
  return flat <= GOALS.flat && faster >= GOALS.faster
}

await main()
