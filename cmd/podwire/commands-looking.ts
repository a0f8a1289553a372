// Commands that look at the node, and change nothing.

import { dirname } from 'node:path'
import type { Ports } from '../../lib/host/ports.ts'
import {
  type About,
  type Command,
  type Flags,
  type Option,
  pluginFinder,
  textOf,
  textsOf,
} from './command.ts'
import { DEFAULT_BIN_DIR, DEFAULT_CONF_DIR, pluginPath } from './places.ts'
import type { Checking } from './recorded-check.ts'

const network: Option = { type: 'string', value: 'NAME', what: 'only of this network' }
const socket: Option = {
  type: 'string',
  value: 'PATH',
  what: 'of the daemon; else PODWIRE_SOCKET, else /run/podwire/podwire.sock',
}

function output<F extends string>(values: readonly F[]): Option {
  return { type: 'string', short: 'o', values, what: 'as data, or more of it' }
}

/** Its values were looked at by the table of options. */
function formatOf<F extends string>(flags: Flags): F | undefined {
  return textOf(flags, 'output') as F | undefined
}

const confDir: Option = {
  type: 'string',
  value: 'DIR',
  what: `of the network configurations; else ${DEFAULT_CONF_DIR}`,
}

async function checkingOf(about: About, flags: Flags, ports: Ports): Promise<Checking> {
  const { usableConfigs } = await import('./cni-config.ts')
  const { Disk } = await import('./disk.ts')
  const findPlugin = pluginFinder(about)
  const configs = usableConfigs(new Disk(), textOf(flags, 'conf-dir') ?? DEFAULT_CONF_DIR)
  return { ports, findPlugin, configs, path: pluginPath(dirname(about.executable)) }
}

export const LOOKING = {
  status: {
    usage: 'status [-o json|yaml] [--socket PATH]',
    summary: 'how this node is doing: daemon, attachments, pools, calls, last errors',
    description: [
      'Exit status 1 when there is a daemon that does not serve. Without a daemon, plugins serve themselves.',
    ],
    options: { output: output(['json', 'yaml']), socket },
    operands: [0, 0],
    examples: [
      ['podwire status', ''],
      ['podwire status -o json | jq .daemon.lastErrors', ''],
    ],
    run: async ({ flags, about, style }) => {
      const { status } = await import('./status.ts')
      const { socketPathOf } = await import('./daemon-client.ts')
      const { version, environment } = about
      const socketPath = socketPathOf(environment, textOf(flags, 'socket'))
      return status(await about.openPorts({ onlyLooks: true }), {
        version,
        socketPath,
        format: formatOf(flags),
        style,
      })
    },
  },
  list: {
    usage: 'list [--network NAME] [--pod [NAMESPACE/]NAME] [--container ID] [-o wide|json|yaml|name]',
    summary: 'what is attached: pods, their addresses, and the wires that lead to them',
    description: [
      'A row is an interface of a pod. STATE: attached; incomplete, when an ADD is at it or was killed; gone, when the pod’s network namespace is no more (podwire gc removes what it left).',
    ],
    options: {
      network,
      pod: { type: 'string', value: '[NAMESPACE/]NAME', what: 'only of pods of this name' },
      container: { type: 'string', value: 'ID', what: 'only of containers whose id begins so' },
      output: output(['wide', 'json', 'yaml', 'name']),
    },
    operands: [0, 0],
    examples: [
      ['podwire list', ''],
      ['podwire list --pod kube-system/coredns-7c65d -o yaml', ''],
      [
        'podwire list -o json | jq -r ".[] | select(.state == \\"gone\\") | .container"',
        'what nobody took down',
      ],
    ],
    run: async ({ flags, about, style }) => {
      const { list } = await import('./list.ts')
      return list(await about.openPorts({ onlyLooks: true }), {
        network: textOf(flags, 'network'),
        pod: textOf(flags, 'pod'),
        container: textOf(flags, 'container'),
        format: formatOf(flags),
        style,
      })
    },
  },
  pools: {
    usage: 'pools [--network NAME] [--data-dir DIR]… [-o wide|json|yaml]',
    summary: 'how full the ranges of addresses are, and who holds one longest',
    description: [
      'A range is known from the first address on that it hands out after a boot. Stores are looked for in /var/lib/cni/networks, and where attachments got their addresses from.',
    ],
    options: {
      network,
      'data-dir': {
        type: 'string',
        multiple: true,
        value: 'DIR',
        what: 'a store in another directory (ipam.dataDir)',
      },
      output: output(['wide', 'json', 'yaml']),
    },
    operands: [0, 0],
    examples: [['podwire pools', '']],
    run: async ({ flags, about, style }) => {
      const { pools } = await import('./pools.ts')
      return pools(await about.openPorts({ onlyLooks: true }), {
        network: textOf(flags, 'network'),
        dataDirs: textsOf(flags, 'data-dir'),
        format: formatOf(flags),
        style,
      })
    },
  },
  doctor: {
    usage: 'doctor [-q] [-o json] [--conf-dir DIR] [--bin-dir DIR] [--socket PATH]',
    summary: 'look for everything that is known to go wrong on nodes, with evidence and remedy',
    description: [
      'Kernel, forwarding, firewalls, links, stores, attachments, installation, configuration, daemon. Nothing is changed, but for modules that the kernel loads when it is asked for them. Exit status 0 when all is well, 1 for warnings, 2 for trouble.',
    ],
    options: {
      quiet: { type: 'boolean', short: 'q', what: 'only what is wrong' },
      output: output(['json']),
      'conf-dir': confDir,
      'bin-dir': { type: 'string', value: 'DIR', what: `of the plugins; else ${DEFAULT_BIN_DIR}` },
      socket,
    },
    operands: [0, 0],
    examples: [
      ['podwire doctor', ''],
      ['podwire doctor -q || echo "look at this node"', ''],
      ['podwire doctor -o json | jq ".[] | select(.findings[].level == \\"trouble\\")"', ''],
    ],
    run: async ({ flags, about, style }) => {
      const { doctor } = await import('./doctor/doctor.ts')
      const { patientOf } = await import('./doctor/patient.ts')
      const patient = await patientOf(about, {
        confDir: textOf(flags, 'conf-dir'),
        binDir: textOf(flags, 'bin-dir'),
        socket: textOf(flags, 'socket'),
      })
      const { isTerminal, columns, progress } = about
      const isJson = textOf(flags, 'output') === 'json'
      return doctor(patient, {
        isJson,
        isQuiet: flags['quiet'] === true,
        isTerminal,
        columns,
        style,
        progress,
      })
    },
  },
  show: {
    usage: 'show [NAMESPACE/]POD|CONTAINER [-o json|yaml]',
    summary: 'all about one pod: what is recorded, and beside it what the kernel has',
    description: [
      'What differs is marked with !. CHECK has the last word: it knows what plugins later in the chain have changed. Exit status 1 when it finds a difference.',
    ],
    options: { output: output(['json', 'yaml']), 'conf-dir': confDir },
    operands: [1, 1],
    completes: 'pod',
    examples: [
      ['podwire show default/web-0', ''],
      ['podwire show 4f3c21', 'by the beginning of the id of its sandbox'],
    ],
    run: async ({ operands: [who = ''], flags, about, style }) => {
      const { show } = await import('./show.ts')
      const { findPod } = await import('./attached.ts')
      const ports = await about.openPorts({ onlyLooks: true })
      const pod = findPod(ports, who)
      return show(await checkingOf(about, flags, ports), pod, { format: formatOf(flags), style })
    },
  },
  check: {
    usage: 'check [[NAMESPACE/]POD|CONTAINER] [-o json]',
    summary: 'whether everything that ADD made is still as it made it',
    description: [
      'What runtimes ask for by CHECK, from the records alone. Exit status 1 when there is a difference.',
    ],
    options: { output: output(['json']), 'conf-dir': confDir },
    operands: [0, 1],
    completes: 'pod',
    examples: [
      ['podwire check', 'all pods'],
      ['podwire check default/web-0 || podwire repair', ''],
    ],
    run: async ({ operands: [who], flags, about, style }) => {
      const { check } = await import('./check.ts')
      const { findPod, listAttached } = await import('./attached.ts')
      const ports = await about.openPorts({ onlyLooks: true })
      const attached = who === undefined ? listAttached(ports) : findPod(ports, who)
      return check(await checkingOf(about, flags, ports), attached, {
        isJson: textOf(flags, 'output') === 'json',
        style,
        progress: about.progress,
      })
    },
  },
  explain: {
    usage: 'explain [PLUGIN [FIELD]]',
    summary: 'what the fields of a plugin’s configuration mean',
    description: ['FIELD is a path such as ipam.ranges, the beginning of one, or its last name.'],
    operands: [0, 2],
    examples: [
      ['podwire explain', 'all plugins'],
      ['podwire explain cni-bridge', 'its fields, and an example'],
      ['podwire explain cni-bridge ipMasq', ''],
    ],
    run: async ({ operands: [plugin, field], about, style }) => {
      const { explain } = await import('./explain.ts')
      return explain(about, { plugin, field }, { columns: about.columns, style })
    },
  },
  trace: {
    usage: 'trace SOURCE DESTINATION [-4|-6] [-o json]',
    summary: 'where a packet goes on this node, and where it dies',
    description: [
      'Each is a pod of this node ([NAMESPACE/]POD or the beginning of a container id), an address, or node. No packet is sent: the kernel is asked for routes, ports of bridges are looked at, and firewalls at the hook forward. What is in a pod’s own firewall, at the node’s hook input, or beyond its uplinks is not seen. Exit status 1 when it dies.',
    ],
    options: {
      ipv4: { type: 'boolean', short: '4', what: 'IPv4, where both have both' },
      ipv6: { type: 'boolean', short: '6', what: 'IPv6, where both have both' },
      output: output(['json']),
    },
    operands: [2, 2],
    completes: 'pod',
    examples: [
      ['podwire trace default/web-0 default/db-0', ''],
      ['podwire trace default/web-0 192.0.2.7', 'out of the node'],
      ['podwire trace node 10.244.1.5', ''],
      ['podwire trace 192.0.2.7 default/web-0', 'from outside'],
    ],
    run: async ({ operands: [source = '', dst = ''], flags, about, style }) => {
      const { trace } = await import('./trace/trace.ts')
      const family = flags['ipv6'] ? 6 : flags['ipv4'] ? 4 : undefined
      const isJson = textOf(flags, 'output') === 'json'
      return trace(await about.openPorts({ onlyLooks: true }), [source, dst], { family, isJson, style })
    },
  },
} as const satisfies Record<string, Command>
