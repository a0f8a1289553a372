// `npm run bench:breakdown`: where the time of an ADD and a DEL goes in a process that is warm, as the daemon is. What
// the plugin asks of each of its ports is timed from outside; what is left is our own code.
//
//   node bench/breakdown.ts [--runs N] [--masquerade] [--dual-stack]

import { parseArgs } from 'node:util'
import type { Namespace } from '../lib/host/kernel.ts'
import type { Ports } from '../lib/host/ports.ts'
import { quantile } from './interleave.ts'
import { call, findInside, type Inside, openWarmPorts, startInside } from './warm.ts'

const WARM_UP = 50

async function main(): Promise<void> {
  const inside = findInside()
  if (inside !== undefined) return measure(inside)
  const { values } = parseArgs({
    options: { runs: { type: 'string' }, masquerade: { type: 'boolean' }, 'dual-stack': { type: 'boolean' } },
  })
  await startInside(import.meta.filename, {
    pods: Number(values.runs ?? 100) + WARM_UP,
    ipMasq: values.masquerade === true,
    subnets: ['10.9.0.0/16', ...(values['dual-stack'] ? ['fd00:9::/64'] : [])],
  })
}

/** In ms. */
type Interval = readonly [began: number, ended: number]
/** When each port was waited for. Waits overlap: DEL asks nftables and rtnetlink at once. */
type Spent = Map<string, Interval[]>

async function measure(inside: Inside): Promise<void> {
  const { pods, config } = inside
  const real = openWarmPorts(inside)
  for (const verb of ['ADD', 'DEL']) {
    const calls: { total: number; spent: Spent }[] = []
    for (const pod of pods) {
      const spent: Spent = new Map()
      const began = performance.now()
      await call(verb, pod, { ports: timedPorts(real, spent), config })
      calls.push({ total: performance.now() - began, spent })
    }
    print(verb, calls.slice(WARM_UP))
  }
  process.exit(0) // its sockets would keep it
}

function timedPorts(ports: Ports, spent: Spent): Ports {
  const { kernel } = ports
  return {
    ...ports,
    kernel: {
      host: timedNamespace(kernel.host, 'node', spent),
      openNamespace: (path) =>
        timedNamespace(timed(kernel, 'pod: open its namespace', spent).openNamespace(path), 'pod', spent),
      finish: () => kernel.finish(),
      close: () => kernel.close(),
    },
    attachments: timed(ports.attachments, 'store of attachments', spent),
    leases: (dataDir) => timed(ports.leases(dataDir), 'store of leases', spent),
    files: timed(ports.files, 'files that are only read', spent),
  }
}

function timedNamespace(namespace: Namespace, label: string, spent: Spent): Namespace {
  return {
    fd: namespace.fd,
    inode: namespace.inode,
    get rtnl() {
      return timed(namespace.rtnl, `${label}: links, addresses, routes (rtnetlink)`, spent)
    },
    get nft() {
      return timed(namespace.nft, `${label}: nftables`, spent)
    },
    get conntrack() {
      return timed(namespace.conntrack, `${label}: connections`, spent)
    },
    sysctl: timed(namespace.sysctl, `${label}: sysctls`, spent),
    close: () => timed(namespace, `${label}: close`, spent).close(),
  }
}

/** How long at least one of them lasted. */
function covered(intervals: readonly Interval[]): number {
  let [sum, until] = [0, 0]
  for (const [began, ended] of intervals.toSorted(([a], [b]) => a - b)) {
    sum += Math.max(0, ended - Math.max(began, until))
    until = Math.max(until, ended)
  }
  return sum
}

/** The same object, whose methods are timed until they, or what they promise, have ended. */
function timed<T extends object>(port: T, label: string, spent: Spent): T {
  const add = (began: number) => spent.set(label, [...(spent.get(label) ?? []), [began, performance.now()]])
  return new Proxy(port, {
    get(target, name) {
      const member: unknown = Reflect.get(target, name, target)
      if (typeof member !== 'function') return member
      return (...args: unknown[]) => {
        const began = performance.now()
        const result: unknown = member.apply(target, args)
        if (result instanceof Promise) return result.finally(() => add(began))
        add(began)
        return result
      }
    },
  })
}

function print(verb: string, calls: readonly { total: number; spent: Spent }[]): void {
  const median = (msOf: (one: (typeof calls)[number]) => number) => quantile(calls.map(msOf), 0.5)
  const total = median((one) => one.total)
  const labels = new Set(calls.flatMap(({ spent }) => [...spent.keys()]))
  const rows = [...labels].map(
    (label) => [label, median(({ spent }) => covered(spent.get(label) ?? []))] as const,
  )
  const own = median((one) => one.total - covered([...one.spent.values()].flat()))
  console.log(`${verb}, median of ${calls.length}: ${total.toFixed(2)} ms`)
  for (const [label, ms] of [...rows.sort(([, a], [, b]) => b - a), ['our own code', own] as const])
    console.log(
      `  ${label.padEnd(48)}${ms.toFixed(2).padStart(7)} ms ${((100 * ms) / total).toFixed(0).padStart(4)} %`,
    )
}

await main()
