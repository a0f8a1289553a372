// What it costs to set up a TCP connection through a host port, with 1 and with many pods that have one: ours beside
// upstream's portmap on iptables. In namespaces of its own; all subjects in turn, so that the machine's moods meet all.
//
//   node bench/hostport.ts [--ports N] [--runs N] [--enforce]   --enforce: exit status 1 when a goal is missed

import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { parseArgs } from 'node:util'

const OURS = 'dist/bin/cni-portmap'
const UPSTREAM = '/usr/lib/cni/portmap'
/** With many ports: upstream's time over ours, and ours over ours with one. */
const GOALS = { faster: 2, flat: 1.1 }
const FIRST_PORT = 20_000
const CONNECTIONS = 3000

/** Prints the time per connection in µs. A reset leaves no TIME_WAIT behind, so that ports do not run out. */
const CLIENT = `use Socket; use Time::HiRes 'time'; my ($address, $port, $count) = @ARGV;
my $to = sockaddr_in($port, inet_aton($address)); my $start = time;
for (1 .. $count) { socket(S, PF_INET, SOCK_STREAM, 0) or die; connect(S, $to) or die "connect: $!";
setsockopt(S, SOL_SOCKET, SO_LINGER, pack('ii', 1, 0)); close S } printf "%.2f", (time - $start) * 1e6 / $count`
const SERVER = `use Socket; $| = 1; socket(S, PF_INET, SOCK_STREAM, 0); setsockopt(S, SOL_SOCKET, SO_REUSEADDR, 1);
bind(S, sockaddr_in(80, INADDR_ANY)) or die; listen(S, 1024); print "ready"; while (accept(C, S)) { close C }`

interface Subject {
  readonly label: string
  readonly ports: number
  readonly node: string
  readonly timesUs: number[]
}

/** The pod that is measured is the last that got its port. */
async function main(): Promise<void> {
  const options = {
    ports: { type: 'string' },
    runs: { type: 'string' },
    enforce: { type: 'boolean' },
  } as const
  const { values } = parseArgs({ options })
  process.chdir(dirname(import.meta.dirname))
  if (!existsSync(OURS)) throw new Error(`"${OURS}" is not there: npm run build`)
  const many = Number(values.ports ?? 500)
  const directory = mkdtempSync(join(tmpdir(), 'pw-bench-hostport-'))
  const servers: ChildProcess[] = []
  const subjects: Subject[] = []
  try {
    for (const [label, plugin] of [
      ['ours', OURS],
      ['upstream, iptables', UPSTREAM],
    ] as const) {
      if (!existsSync(plugin)) continue
      for (const ports of [1, many]) {
        const node = `pwb-${process.pid}-${subjects.length}`
        subjects.push({ label, ports, node, timesUs: [] })
        makeNode(node)
        servers.push(await serve(node))
        for (let i = 1; i <= ports; i++) addPort(plugin, { node, directory, number: i, isReal: i === ports })
        console.log(`${label}: ${ports} host ports are there`)
      }
    }
    for (let run = -1; run < Number(values.runs ?? 9); run++) {
      for (const { node, ports, timesUs } of subjects) {
        const us = Number(
          inside(
            `${node}-c`,
            'perl',
            '-e',
            CLIENT,
            '192.0.2.1',
            String(FIRST_PORT + ports),
            String(CONNECTIONS),
          ),
        )
        if (run >= 0) timesUs.push(us)
      }
    }
    if (!report(subjects) && values.enforce === true) process.exitCode = 1
  } finally {
    for (const server of servers) server.kill()
    for (const { node } of subjects)
      for (const name of [node, `${node}-p`, `${node}-c`]) ip('netns', 'del', name)
    rmSync(directory, { recursive: true })
  }
}

function report(subjects: readonly Subject[]): boolean {
  console.log('\nmedian, µs per connection')
  for (const { label, ports, timesUs } of subjects)
    console.log(
      `${label.padEnd(20)} ${String(ports).padStart(4)} ports ${median(timesUs).toFixed(1).padStart(8)}`,
    )
  const [oursOne = 0, oursMany = 0, theirsOne = 0, theirsMany = 0] = subjects.map(({ timesUs }) =>
    median(timesUs),
  )
  const bare = Math.min(oursOne, theirsOne)
  const [flat, faster] = [oursMany / oursOne, theirsMany / oursMany]
  console.log(`ours, many to one: ${flat.toFixed(2)} (goal: at most ${GOALS.flat})`)
  console.log(`upstream to ours, many: ${faster.toFixed(2)} (goal: at least ${GOALS.faster})`)
  console.log(
    `of it beyond a connection with one port: ours ${(oursMany - bare).toFixed(1)} µs, upstream ${(theirsMany - bare).toFixed(1)} µs`,
  )
  return flat <= GOALS.flat && faster >= GOALS.faster
}

function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b)
  return sorted[Math.floor(sorted.length / 2)] ?? 0
}

/** A node between a client and a pod, which is behind a bridge. */
function makeNode(node: string): void {
  const [pod, client] = [`${node}-p`, `${node}-c`]
  for (const name of [node, pod, client]) {
    ip('netns', 'add', name)
    ip('-n', name, 'link', 'set', 'lo', 'up')
  }
  const commands = `-n ${node} link add cni0 up type bridge
    -n ${node} addr add 10.1.0.1/16 dev cni0
    -n ${node} link add pod0 up master cni0 type veth peer name eth0 netns ${pod}
    -n ${node} link add out0 up type veth peer name eth0 netns ${client}
    -n ${node} addr add 192.0.2.1/24 dev out0
    -n ${pod} addr add 10.1.200.1/16 dev eth0
    -n ${pod} link set eth0 up
    -n ${pod} route add default via 10.1.0.1
    -n ${client} addr add 192.0.2.2/24 dev eth0
    -n ${client} link set eth0 up`
  for (const command of commands.split('\n')) ip(...command.trim().split(' '))
  inside(node, 'sh', '-c', 'echo 1 >/proc/sys/net/ipv4/ip_forward')
}

async function serve(node: string): Promise<ChildProcess> {
  const args = ['netns', 'exec', `${node}-p`, 'perl', '-e', SERVER]
  const server = spawn('ip', args, { stdio: ['ignore', 'pipe', 'inherit'] })
  await once(server.stdout, 'data')
  return server
}

interface Port {
  readonly node: string
  readonly directory: string
  readonly number: number
  /** Of the pod that is there. */
  readonly isReal: boolean
}

function addPort(plugin: string, { node, directory, number, isReal }: Port): void {
  const address = isReal ? '10.1.200.1' : `10.1.${100 + (number >> 8)}.${number & 255}`
  const config = {
    cniVersion: '1.0.0',
    name: 'bench',
    type: 'portmap',
    runtimeConfig: {
      portMappings: [{ hostPort: FIRST_PORT + number, containerPort: 80, protocol: 'tcp' }],
    },
    prevResult: { cniVersion: '1.0.0', interfaces: [], ips: [{ address: `${address}/16` }] },
  }
  execFileSync('ip', ['netns', 'exec', node, plugin], {
    input: JSON.stringify(config),
    env: {
      PATH: process.env['PATH'],
      CNI_COMMAND: 'ADD',
      CNI_CONTAINERID: `pod${number}`,
      CNI_NETNS: `/var/run/netns/${node}-p`,
      CNI_IFNAME: 'eth0',
      CNI_PATH: dirname(plugin),
      PODWIRE_STATE_DIR: join(directory, node),
    },
    stdio: ['pipe', 'ignore', 'inherit'],
  })
}

function inside(name: string, ...command: readonly string[]): string {
  return execFileSync('ip', ['netns', 'exec', name, ...command], { encoding: 'utf8' })
}

function ip(...args: readonly string[]): void {
  execFileSync('ip', args)
}

await main()
