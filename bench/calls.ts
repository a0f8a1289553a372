// `npm run bench:calls`: what an ADD and a DEL cost beside upstream's, one after another and 16 at once. The contenders
// take turns, each on a node of its own.
//
//   node bench/calls.ts [--runs N] [--upstream DIR [--label TEXT]] [--write]     --upstream: another version's plugins, too,
//                                                                                under this label; --write: docs/benchmarks.md

import { execFileSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { cpus } from 'node:os'
import { dirname } from 'node:path'
import { parseArgs } from 'node:util'
import {
  AT_ONCE,
  type Contender,
  daemonTime,
  openContenders,
  span,
  type Timing,
  type Verb,
  type Workload,
} from './contestants.ts'
import { quantile } from './interleave.ts'

const WARM_UP = 4
/** Of all pods at once. */
const ROUNDS = 5
const DOCUMENT = 'docs/benchmarks.md'

const WORKLOADS: readonly (Workload & { readonly title: string })[] = [
  { title: 'IPv4', masquerade: false, dualStack: false },
  { title: 'IPv4, ipMasq', masquerade: true, dualStack: false },
  { title: 'dual stack', masquerade: false, dualStack: true },
  { title: 'dual stack, ipMasq', masquerade: true, dualStack: true },
]

interface Figures {
  readonly label: string
  readonly verb: Verb
  readonly p50: number
  readonly p99: number
  /** Milliseconds of processor time a call: the processes that were started, and the daemon. */
  readonly cpu: number
  readonly daemonCpu: number
  /** Calls a second; only when they were made at once. */
  readonly rate: number | undefined
  readonly failed: number
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      runs: { type: 'string' },
      upstream: { type: 'string' },
      label: { type: 'string' },
      write: { type: 'boolean' },
    },
  })
  process.chdir(dirname(import.meta.dirname))
  const runs = Number(values.runs ?? 40)
  const { upstream: directory, label = directory } = values
  const newer = directory && label ? { label, directory } : undefined
  const sections: string[] = []
  for (const { title, ...workload } of WORKLOADS) {
    const contenders = await openContenders(workload, { pods: runs + WARM_UP, newer })
    try {
      const inTurn = await measureInTurn(contenders)
      const atOnce = await measureAtOnce(contenders)
      const section = [
        `### ${title}, one after another`,
        table(inTurn),
        `### ${title}, ${AT_ONCE} at once`,
        table(atOnce),
      ].join('\n\n')
      console.log(`${section}\n`)
      sections.push(section)
    } finally {
      for (const contender of contenders) await contender.close()
    }
  }
  if (values.write) writeFileSync(DOCUMENT, documentOf(sections, runs))
}

async function measureInTurn(contenders: readonly Contender[]): Promise<Figures[]> {
  const figures: Figures[] = []
  for (const verb of ['ADD', 'DEL'] as const) {
    const measured = contenders.map((contender) => ({ contender, timings: [] as Timing[], daemonMs: 0 }))
    const count = contenders[0]?.pods.length ?? 0
    for (let i = 0; i < count; i++) {
      for (const one of measured) {
        const pod = one.contender.pods[i]
        if (pod === undefined) continue
        const before = daemonTime(one.contender.node).all
        const timing = await one.contender.call(verb, pod)
        if (i < WARM_UP) continue
        one.timings.push(timing)
        one.daemonMs += daemonTime(one.contender.node).all - before
      }
    }
    for (const { contender, timings, daemonMs } of measured)
      figures.push(figuresOf(contender, verb, { timings, daemonMs, rate: undefined }))
  }
  return figures
}

/** Several times, contenders in turn: a machine has better moments and worse. */
async function measureAtOnce(contenders: readonly Contender[]): Promise<Figures[]> {
  const verbs = ['ADD', 'DEL'] as const
  const measured = verbs.flatMap((verb) =>
    contenders.map((contender) => ({ verb, contender, timings: [] as Timing[], daemonMs: 0, ms: 0 })),
  )
  for (let round = 0; round < ROUNDS; round++) {
    for (const one of measured) {
      const before = daemonTime(one.contender.node).all
      const timings = await one.contender.callAll(one.verb, AT_ONCE)
      one.timings.push(...timings)
      one.ms += span(timings)
      one.daemonMs += daemonTime(one.contender.node).all - before
    }
  }
  return measured.map(({ verb, contender, timings, daemonMs, ms }) =>
    figuresOf(contender, verb, { timings, daemonMs, rate: (timings.length * 1000) / ms }),
  )
}

interface Measured {
  readonly timings: readonly Timing[]
  readonly daemonMs: number
  readonly rate: number | undefined
}

function figuresOf({ label }: Contender, verb: Verb, { timings, daemonMs, rate }: Measured): Figures {
  const ms = timings.map((timing) => timing.ms)
  const cpu = timings.reduce((sum, { cpuMs }) => sum + cpuMs, 0) / timings.length
  const [p50, p99] = [quantile(ms, 0.5), quantile(ms, 0.99)]
  const failed = timings.filter(({ hasFailed }) => hasFailed).length
  return { label, verb, p50, p99, cpu, daemonCpu: daemonMs / timings.length, rate, failed }
}

/** Ratios are to upstream's, the first of each verb. */
function table(figures: readonly Figures[]): string {
  const rows = figures.map((one) => {
    const base = figures.find(({ verb }) => verb === one.verb) ?? one
    const ratio = (of: (figures: Figures) => number | undefined) =>
      `${((of(one) ?? 0) / (of(base) ?? 1)).toFixed(2)} ×`
    return [
      one.verb,
      one.label,
      `${one.p50.toFixed(1)} ms`,
      ratio(({ p50 }) => p50),
      `${one.p99.toFixed(1)} ms`,
      ratio(({ p99 }) => p99),
      ...(one.rate === undefined ? [] : [`${one.rate.toFixed(0)}/s`, ratio(({ rate }) => rate)]),
      `${one.cpu.toFixed(1)} ms`,
      `${one.daemonCpu.toFixed(1)} ms`,
    ]
  })
  const failed = figures.flatMap(({ label, verb, failed }) =>
    failed === 0 ? [] : [`${failed} ${verb}s of ${label} failed; what they took is counted.`],
  )
  const rate = figures[0]?.rate === undefined ? [] : ['rate', '']
  const head = ['', '', 'median', '', 'p99', '', ...rate, 'CPU of processes', 'CPU of daemon']
  const lines = [head, head.map(() => '---'), ...rows].map((cells) => `| ${cells.join(' | ')} |`)
  return [lines.join('\n'), ...failed].join('\n\n')
}

function documentOf(sections: readonly string[], runs: number): string {
  const kernel = execFileSync('uname', ['-r'], { encoding: 'utf8' }).trim()
  const query = ['-W', '-f', '$'.concat('{Version}'), 'containernetworking-plugins']
  const debian = execFileSync('dpkg-query', query, { encoding: 'utf8' })
  return `# Benchmarks

What a call costs, beside upstream's plugins on the same machine in the same minutes. Written by
\`node bench/calls.ts --write\`; run it yourself, a machine's figures are its own. What to read are the ratios.

Machine: ${cpus()[0]?.model ?? 'unknown'}, ${cpus().length} cores, Linux ${kernel}, ${new Date().toISOString().slice(0, 10)}.
Upstream: Debian's \`containernetworking-plugins\` ${debian}, with its \`host-local\`. ${runs} pods each, after ${WARM_UP} that do not count.

Each contender has a node (a network namespace) and pods of its own. A call is a process: its time is from its start to
its end, as a runtime sees it (bench/run-calls.c starts it). One after another: the contenders take turns, call by call.
At once: ${AT_ONCE} calls are always under way, all pods of a contender, then of the next, ${ROUNDS} times; the rate is of all calls between the
start of the first and the end of the last. Ratios are to the first row of a verb. The daemon has rehearsed ([ADR 24](adr/0024-rehearsal.md)), as it
does in its first second. What runs as a process of its own has just been installed; once it is read from the disk again, it may take
up to a quarter longer ([ADR 11](adr/0011-start.md)).

${sections.join('\n\n')}

### Addresses, with leases held

\`node bench/ipam.ts\`: the IPAM plugins alone. "In process" is what the daemon does, without the shim and the socket.

${printed('bench/ipam.ts', '--runs', '25')}

### Where the time goes

\`node bench/breakdown.ts\`: in a process that is warm, as the daemon is. What is asked of the kernel's ports is mostly the
kernel's time; the rest is ours. A DEL asks rtnetlink and nftables at once: its rows may add up to more than the whole.

${printed('bench/breakdown.ts')}

With masquerade and two families:

${printed('bench/breakdown.ts', '--masquerade', '--dual-stack')}
`
}

/** What another benchmark prints. */
function printed(...program: readonly string[]): string {
  return `\`\`\`text\n${execFileSync(process.execPath, program, { encoding: 'utf8' }).trimEnd()}\n\`\`\``
}

await main()
