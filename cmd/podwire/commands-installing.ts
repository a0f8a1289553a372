// Commands that put Podwire on a node, run it, and take it off.

import {
  type About,
  type Call,
  type Command,
  type Flags,
  type Option,
  textOf,
  textsOf,
  UsageError,
} from './command.ts'
import { parseMetricsAddress } from './metrics-address.ts'
import type { UnitPlace } from './unit.ts'

const unitDir: Option = {
  type: 'string',
  value: 'DIR',
  what: 'of systemd’s units; else /etc/systemd/system',
}

export const INSTALLING = {
  install: {
    usage:
      'install DIR [--shim [--systemd]] [--upstream-names] [--conflist FILE-or-DIR [--subnet CIDR]… [--node NAME]]',
    summary: 'put the executable and its plugin names into DIR, such as /opt/cni/bin',
    description: [
      'May run while the node starts pods, and again for an upgrade: each file appears whole under its name. What is not ours stays, but for files that have the names of the plugins.',
      'The configuration comes last, since a runtime starts pods as soon as there is one. One that podwire install wrote is written anew, with its ranges unless --subnet says others; one of somebody else is kept. Without DIR only the configuration is written.',
    ],
    options: {
      shim: {
        type: 'boolean',
        what: 'the names lead to podwire-shim, which asks the daemon, and is the plugin itself when there is none',
      },
      'upstream-names': {
        type: 'boolean',
        what: 'also bridge, host-local and the other names of upstream’s plugins',
      },
      systemd: {
        type: 'boolean',
        what: 'with --shim: also write a service that runs the daemon; systemd reads it, and nothing is started',
      },
      'unit-dir': unitDir,
      conflist: {
        type: 'string',
        value: 'FILE-or-DIR',
        what: 'write a network configuration, such as into /etc/cni/net.d',
      },
      subnet: {
        type: 'string',
        multiple: true,
        value: 'CIDR',
        what: 'from which pods get addresses; IPv4, IPv6 or one of each',
      },
      node: {
        type: 'string',
        value: 'NAME',
        what: 'the subnets are those of this Node object, asked from the API server; in a pod, with its service account',
      },
    },
    operands: [0, 1],
    completes: 'directory',
    examples: [
      ['podwire install /opt/cni/bin', ''],
      ['podwire install /opt/cni/bin --shim', 'calls are served by the daemon, while it runs'],
      [
        'podwire install /opt/cni/bin --shim --systemd && systemctl enable --now podwire',
        'which systemd runs',
      ],
      [
        'podwire install /opt/cni/bin --conflist /etc/cni/net.d --subnet 10.244.1.0/24 --subnet fd00:10:244:1::/64',
        '',
      ],
    ],
    run: async ({ operands: [directory], flags, about }) => {
      const place = textOf(flags, 'conflist')
      if (directory === undefined && place === undefined) throw new UsageError('where to? DIR, or --conflist')
      if (directory === undefined && flags['systemd']) throw new UsageError('--systemd needs DIR')
      requireCompanions(flags)
      if (place !== undefined) (await import('./conflist.ts')).requirePlace(place)
      const lines = directory === undefined ? [] : await installFiles(directory, { flags, about })
      if (directory !== undefined && flags['systemd']) lines.push(...(await installUnit(directory, flags)))
      if (place !== undefined) lines.push(...(await installConflist(place, { flags, about })))
      return `${lines.join('\n')}\n`
    },
  },
  uninstall: {
    usage: 'uninstall DIR [--force]',
    summary: 'take out of DIR what install put there',
    description: [
      'The executable, the shim, the links that lead to them, the addons in .podwire and the service of --systemd go. Configurations, leases and records stay, and so does what the plugins made for pods. A daemon that runs goes on.',
    ],
    options: {
      force: { type: 'boolean', what: 'while pods are attached, too: they can then not be taken down' },
      'unit-dir': unitDir,
    },
    operands: [1, 1],
    completes: 'directory',
    examples: [['podwire uninstall /opt/cni/bin', 'when the node is drained']],
    run: async ({ operands: [directory = ''], flags, about }) => {
      const { uninstall } = await import('./uninstall.ts')
      const isForced = flags['force'] === true
      return uninstall(directory, { isForced, openPorts: about.openPorts, units: await unitPlace(flags) })
    },
  },
  daemon: {
    usage: 'daemon [--socket PATH] [--ui ADDRESS:PORT] [--metrics ADDRESS:PORT] [--no-rehearsal] [--check]',
    summary: 'serve the calls of the shim, until SIGTERM',
    options: {
      check: { type: 'boolean', what: 'only ask the one that runs: exit status 0 when it serves, else 1' },
      'no-rehearsal': {
        type: 'boolean',
        what: 'attach no pods in namespaces of its own, by which the code is warm for the first real one',
      },
      socket: { type: 'string', value: 'PATH', what: 'else PODWIRE_SOCKET, else /run/podwire/podwire.sock' },
      metrics: {
        type: 'string',
        value: 'ADDRESS:PORT',
        what: 'tell /metrics, /healthz and /readyz there, too: to whoever reaches it, without a password',
      },
      ui: {
        type: 'string',
        value: 'ADDRESS:PORT',
        what: 'also show this node as a page at a loopback address, to who has the link in /run/podwire/page.url',
      },
    },
    operands: [0, 0],
    examples: [
      ['podwire daemon', ''],
      ['podwire daemon --metrics 127.0.0.1:9479', 'a Prometheus on this node may ask for them there'],
      [
        'podwire daemon --ui 127.0.0.1:7070',
        'then open the link in /run/podwire/page.url, which root can read',
      ],
      ['curl --unix-socket /run/podwire/podwire.sock http://podwire/metrics', 'its counters, for Prometheus'],
    ],
    run: async ({ flags, about }) => {
      if (flags['check'] === true) return checkDaemon(flags, about)
      const metrics = textOf(flags, 'metrics')
      const metricsAddress = metrics === undefined ? undefined : parseMetricsAddress(metrics)
      const { parseListenAddress } = await import('./page/listen-address.ts')
      const ui = textOf(flags, 'ui')
      const page = ui === undefined ? undefined : parseListenAddress(ui)
      const rehearses = flags['no-rehearsal'] !== true
      await about.runDaemon({ socketPath: textOf(flags, 'socket'), metricsAddress, page, rehearses })
      return ''
    },
  },
} as const satisfies Record<string, Command>

/** Of an option of `install`, another without which it would do nothing. */
const COMPANIONS = {
  subnet: 'conflist',
  node: 'conflist',
  systemd: 'shim', // else no name asks the daemon
  'unit-dir': 'systemd',
} as const

function requireCompanions(flags: Flags): void {
  for (const [name, needed] of Object.entries(COMPANIONS))
    if (flags[name] !== undefined && flags[needed] === undefined)
      throw new UsageError(`--${name} needs --${needed}`)
}

type Installing = Pick<Call, 'flags' | 'about'>

async function installFiles(directory: string, { flags, about }: Installing): Promise<string[]> {
  const { install } = await import('./install.ts')
  const { systemClock } = await import('../../lib/host/clock.ts')
  const names = flags['upstream-names'] ? Object.keys(about.upstreamNames) : []
  return install(directory, {
    executable: about.executable,
    names: [...pluginNames(about), ...names],
    withShim: flags['shim'] === true,
    nowMs: systemClock.nowMs(),
  })
}

async function installUnit(directory: string, flags: Flags): Promise<string[]> {
  const { installUnit: install } = await import('./unit.ts')
  return install(directory, await unitPlace(flags))
}

async function unitPlace(flags: Flags): Promise<UnitPlace> {
  const { DEFAULT_UNIT_DIR, runsSystemd } = await import('./unit.ts')
  const { Disk } = await import('./disk.ts')
  const [dir, disk] = [textOf(flags, 'unit-dir') ?? DEFAULT_UNIT_DIR, new Disk()]
  const isRead = dir === DEFAULT_UNIT_DIR && runsSystemd(disk)
  // SIGHUP to systemd is `systemctl daemon-reload` (systemd(1)).
  return { disk, unitDir: dir, reload: isRead ? () => process.kill(1, 'SIGHUP') : undefined }
}

async function installConflist(place: string, { flags, about }: Installing): Promise<string[]> {
  const { writeConflist } = await import('./conflist.ts')
  const { subnets, remark } = await subnetsFor(place, { flags, about })
  return [...remark, ...writeConflist(place, { plugins: pluginNames(about), subnets })]
}

function pluginNames({ plugins }: About): string[] {
  return plugins.map(({ name }) => name)
}

interface Subnets {
  readonly subnets: readonly string[]
  /** A line at most. */
  readonly remark: readonly string[]
}

/** A node keeps the ranges that it was given once: those that are written do, while the API server is away. */
async function subnetsFor(place: string, { flags, about }: Installing): Promise<Subnets> {
  const [node, subnets] = [textOf(flags, 'node'), textsOf(flags, 'subnet')]
  if (node === undefined) return { subnets, remark: [] }
  if (subnets.length > 0) throw new UsageError('--subnet or --node, not both')
  const { writtenSubnets } = await import('./conflist.ts')
  const { ApiUnreachable, findApiServer, nodeRanges } = await import('./node-ranges.ts')
  const { Disk } = await import('./disk.ts')
  const api = findApiServer(about.environment, new Disk())
  try {
    return { subnets: await nodeRanges(api, node), remark: [] }
  } catch (error) {
    const written = error instanceof ApiUnreachable ? writtenSubnets(place) : []
    if (!(error instanceof ApiUnreachable) || written.length === 0) throw error
    return { subnets: written, remark: [`${error.message}; the ranges stay`] }
  }
}

async function checkDaemon(flags: Flags, { environment }: About) {
  const { askReady, socketPathOf } = await import('./daemon-client.ts')
  const answer = await askReady(socketPathOf(environment, textOf(flags, 'socket')))
  return { stdout: `${answer}\n`, exitStatus: answer === 'ok' ? 0 : 1 }
}
