// `npm run bench:breakdown`: where the time of an ADD and a DEL goes in a process that is warm, as the daemon is. What
// the plugin asks of each of its ports is timed from outside; what is left is our own code.
//
//   node bench/breakdown.ts [--runs N] [--masquerade] [--dual-stack]

import { execFileSync } from 'node:child_process'
import { parseArgs } from 'node:util'
import { findPlugin } from '../cmd/podwire/registry.ts'
import { podwire } from '../conformance/harness/contestant.ts'
import { TestNode } from '../conformance/harness/node.ts'
import { invoke } from '../lib/cni/skel.ts'
import type { Namespace } from '../lib/host/kernel.ts'
import { openPorts } from '../lib/host/open-ports.ts'
import type { Ports } from '../lib/host/ports.ts'
import { quantile } from './interleave.ts'

const WARM_UP = 50
/** What the first process tells the one that it starts inside the node. */
const INSIDE = 'BENCH_INSIDE'

interface Inside {
  readonly pods: readonly { readonly name: string; readonly path: string }[]
  readonly stateDir: string
  readonly config: object
}

async function main(): Promise<void> {
  const inside = process.env[INSIDE]
  if (inside !== undefined) return measure(JSON.parse(inside) as Inside)
  const { values } = parseArgs({
    options: { runs: { type: 'string' }, masquerade: { type: 'boolean' }, 'dual-stack': { type: 'boolean' } },
  })
  const node = await TestNode.create(podwire)
  try {
    const count = Number(values.runs ?? 100) + WARM_UP
    const pods: Inside['pods'][number][] = []
    for (let i = 0; i < count; i++) pods.push(await node.addPod(`p${i}`))
    const ranges = [
      [{ subnet: '10.9.0.0/16' }],
      ...(values['dual-stack'] ? [[{ subnet: 'fd00:9::/64' }]] : []),
    ]
    const config = {
      cniVersion: '1.0.0',
      name: 'bench',
      type: podwire.bridge,
      isDefaultGateway: true,
      ipMasq: values.masquerade === true,
      ipam: { type: podwire.hostLocal, ranges, dataDir: node.dataDir },
    }
    const env = { ...process.env, [INSIDE]: JSON.stringify({ pods, config, stateDir: node.stateDir }) }
    const command = ['netns', 'exec', node.name, process.execPath, import.meta.filename]
    execFileSync('ip', command, { env, stdio: 'inherit' })
  } finally {
    await node.remove()
  }
}

/** By port, in ms. */
type Spent = Map<string, number>

async function measure({ pods, stateDir, config }: Inside): Promise<void> {
  process.env['UV_THREADPOOL_SIZE'] = '16'
  const background = { deletionThreads: 12, onConnectionsKept: () => undefined }
  const environment = { PODWIRE_STATE_DIR: stateDir }
  const real = openPorts({ environment, executable: process.execPath, findPlugin, background })
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

async function call(
  verb: string,
  pod: { name: string; path: string },
  { ports, config }: { ports: Ports; config: object },
): Promise<void> {
  const plugin = findPlugin(podwire.bridge)
  if (plugin === undefined) throw new Error('no plugin')
  const environment = {
    CNI_COMMAND: verb,
    CNI_CONTAINERID: pod.name,
    CNI_NETNS: pod.path,
    CNI_IFNAME: 'eth0',
    CNI_PATH: '/none',
  }
  const invocation = { environment, readStdin: () => JSON.stringify(config) }
  const { exitStatus, stdout } = await invoke(plugin, ports, invocation, { version: 'bench' })
  if (exitStatus !== 0) throw new Error(stdout)
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

/** The same object, whose methods are timed until they, or what they promise, have ended. */
function timed<T extends object>(port: T, label: string, spent: Spent): T {
  const add = (began: number) => spent.set(label, (spent.get(label) ?? 0) + performance.now() - began)
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
  const total = quantile(
    calls.map((one) => one.total),
    0.5,
  )
  const labels = new Set(calls.flatMap(({ spent }) => [...spent.keys()]))
  const rows = [...labels].map(
    (label) =>
      [
        label,
        quantile(
          calls.map(({ spent }) => spent.get(label) ?? 0),
          0.5,
        ),
      ] as const,
  )
  const own = total - rows.reduce((sum, [, ms]) => sum + ms, 0)
  console.log(`${verb}, median of ${calls.length}: ${total.toFixed(2)} ms`)
  for (const [label, ms] of [...rows.sort(([, a], [, b]) => b - a), ['our own code', own] as const])
    console.log(
      `  ${label.padEnd(48)}${ms.toFixed(2).padStart(7)} ms ${((100 * ms) / total).toFixed(0).padStart(4)} %`,
    )
}

await main()
