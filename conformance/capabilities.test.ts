// The capabilities that deploy/podwire.service gives the daemon, and deploy/podwire.yaml with another in place of one: with them it serves
// all that there is, without any one of them something that a node may need.

import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { t as root, type Test, test } from 'tap'
import { podwire } from './harness/contestant.ts'
import { shimmed } from './harness/daemon.ts'
import { type Namespace, TestNode } from './harness/node.ts'
import { DEADLINE_MS } from './harness/play-area.ts'
import { type Config, callPlugin } from './harness/plugin.ts'
import { LEASH } from './harness/process.ts'

root.setTimeout(DEADLINE_MS)

const UNIT = readFileSync(join(import.meta.dirname, '../deploy/podwire.service'), 'utf8')
const [, NAMES = ''] = /^CapabilityBoundingSet=(.*)$/m.exec(UNIT) ?? []
const CAPABILITIES = NAMES.toLowerCase().replaceAll('cap_', '').split(' ')

/** Words before a program: root with these and no others, even after execve(2). */
function limitedTo(capabilities: readonly string[]): string[] {
  const set = ['-all', ...capabilities.map((name) => `+${name}`)].join(',')
  return ['setpriv', '--no-new-privs', `--bounding-set=${set}`]
}

/** A delegate that sends packets of its own making, as upstream's dhcp does. */
const RAW = `#!/bin/sh
[ "$CNI_COMMAND" = ADD ] || exit 0
perl -MSocket -e 'socket(S, PF_INET, SOCK_RAW, 1) or die "raw socket: $!"' >&2 || exit 1
echo '{"cniVersion":"1.0.0","ips":[{"address":"10.6.0.9/24"}]}'
`

interface Scene {
  readonly node: TestNode
  readonly pod: Namespace
  readonly config: Config
  /** What the chain said that is no success, and the calls that the daemon left to the shim. */
  live(chain: readonly Config[], netns?: string): Promise<string[]>
}

async function open(t: Test, capabilities: readonly string[]): Promise<Scene> {
  const node = await TestNode.create(shimmed())
  t.teardown(() => node.remove())
  await node.daemon?.end('SIGKILL')
  await node.restartDaemon({ wrapper: limitedTo(capabilities) })
  const pod = await node.addPod('pod')
  writeFileSync(join(node.directory, 'raw'), RAW, { mode: 0o755 })
  const ranges = [[{ subnet: '10.6.0.0/24' }], [{ subnet: 'fd00:6::/64' }]]
  const config: Config = {
    type: podwire.bridge,
    isDefaultGateway: true,
    ipMasq: true,
    macspoofchk: true,
    ipam: { type: podwire.hostLocal, dataDir: node.dataDir, ranges },
  }
  const live: Scene['live'] = async (chain, netns = pod.path) => {
    const faults: string[] = []
    let prevResult: unknown
    const call = async (command: string, one: Config) => {
      const exit = await callPlugin(node, {
        type: String(one['type']),
        command,
        pod,
        config: { cniVersion: '1.0.0', name: 'net', ...one, prevResult },
        environment: { CNI_NETNS: netns },
        directories: [node.contestant.directory, node.directory],
      })
      if (exit.status !== 0) faults.push(`${command} ${one['type']}: ${exit.stdout}${exit.stderr}`)
      else if (command === 'ADD') prevResult = JSON.parse(exit.stdout)
      return exit.status === 0
    }
    for (const one of chain) if (!(await call('ADD', one))) break
    for (const one of chain.toReversed()) await call('DEL', one)
    return [...faults, ...Object.keys(leftToCaller(node))]
  }
  return { node, pod, config, live }
}

function leftToCaller({ socketPath }: TestNode): Record<string, number> {
  const args = ['-sS', '-m', '10', '--unix-socket', socketPath, 'http://podwire/status']
  const status = JSON.parse(execFileSync('curl', args, { encoding: 'utf8' }))
  return (status as { leftToCaller: Record<string, number> }).leftToCaller
}

const CHAINED: readonly Config[] = [
  { type: 'cni-portmap', runtimeConfig: { portMappings: [{ hostPort: 8080, containerPort: 80 }] } },
  { type: 'cni-firewall', ingressPolicy: 'same-bridge' },
  { type: 'cni-bandwidth', ingressRate: 1e6, ingressBurst: 1e6, egressRate: 1e6, egressBurst: 1e6 },
  { type: 'cni-tuning', sysctl: { 'net.ipv4.conf.IFNAME.arp_filter': '1' }, mtu: 1400 },
  { type: 'cni-sbr' },
]

/** What a node may ask for, by the capability that it takes. @returns faults */
const NEEDS: Readonly<Record<string, (scene: Scene, t: Test) => Promise<string[]>>> = {
  net_admin: ({ live, config }) => live([config, ...CHAINED]),
  sys_admin: ({ live, config }) => live([config]),
  // Of a process that has capabilities which the daemon has not: ptrace_may_access of kernel/ptrace.c.
  sys_ptrace: async ({ live, config, pod }, t) => {
    const [leash, ...words] = [
      ...LEASH,
      'ip',
      'netns',
      'exec',
      pod.name,
      'sh',
      '-c',
      'echo runs; exec sleep 600',
    ]
    const holder = spawn(leash, words, { stdio: ['ignore', 'pipe', 'ignore'] })
    t.teardown(() => holder.kill())
    await once(holder.stdout, 'data')
    return live([config], `/proc/${holder.pid}/ns/net`)
  },
  dac_override: async ({ live, config, node }) => {
    const closed = join(node.directory, 'others')
    await node.must('sh', '-ec', `mkdir -m 700 ${closed}; chown 65534 ${closed}`)
    const ipam = { ...(config['ipam'] as Config), dataDir: join(closed, 'networks') }
    return live([{ ...config, ipam }])
  },
  net_raw: ({ live, config }) => live([{ ...config, ipam: { type: 'raw' } }]),
  sys_nice: async ({ node }) =>
    node.daemon?.log.includes('priority not raised') ? ['not before others'] : [],
}

test('the daemon’s capabilities are those that something takes', async (t) => {
  t.strictSame(Object.keys(NEEDS).sort(), CAPABILITIES.toSorted())
})

for (const [capability, live] of Object.entries(NEEDS)) {
  test(`with the service’s capabilities, and not without ${capability}, the daemon does what takes it`, async (t) => {
    t.strictSame(await live(await open(t, CAPABILITIES), t), [])
    const less = await open(
      t,
      CAPABILITIES.filter((one) => one !== capability),
    )
    t.not((await live(less, t)).length, 0, capability)
  })
}

test('install writes into a directory of somebody else with DAC_OVERRIDE alone, and not without', async (t) => {
  const node = await TestNode.create(podwire)
  t.teardown(() => node.remove())
  const bin = join(node.directory, 'bin')
  await node.must('sh', '-ec', `mkdir -m 755 ${bin}; chown 65534 ${bin}`)
  const install = (...capabilities: readonly string[]) =>
    node.exec([...limitedTo(capabilities), join(podwire.directory, 'podwire'), 'install', bin, '--shim'])
  t.match(await install(), { status: 1, stderr: /EACCES/ })
  t.match(await install('dac_override'), { status: 0, stderr: '' })
})
