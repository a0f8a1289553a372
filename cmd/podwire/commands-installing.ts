// Commands that put Podwire on a node, run it, and take it off.

import { type Command, textOf, textsOf } from './command.ts'

export const INSTALLING = {
  install: {
    usage: 'install DIR [--shim] [--upstream-names] [--conflist FILE-or-DIR [--subnet CIDR]…]',
    summary: 'put the executable and its plugin names into DIR, such as /opt/cni/bin',
    description: [
      'May run while the node starts pods, and again for an upgrade: each file appears whole under its name. What is not\nours stays, but for files that have the names of the plugins.',
      'The configuration comes last, since a runtime starts pods as soon as there is one. One that podwire install wrote is\nwritten anew, with its ranges unless --subnet says others; one of somebody else is kept.',
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
    },
    operands: [1, 1],
    completes: 'directory',
    examples: [
      ['podwire install /opt/cni/bin', ''],
      ['podwire install /opt/cni/bin --shim', 'calls are served by the daemon, while it runs'],
      [
        'podwire install /opt/cni/bin --conflist /etc/cni/net.d --subnet 10.244.1.0/24 --subnet fd00:10:244:1::/64',
        '',
      ],
    ],
    run: async ({ operands: [directory = ''], flags, about }) => {
      const { install } = await import('./install.ts')
      const names = flags['upstream-names'] ? Object.keys(about.upstreamNames) : []
      const plugins = about.plugins.map(({ name }) => name)
      const { executable } = about
      const lines = install(directory, {
        executable,
        names: [...plugins, ...names],
        withShim: flags['shim'] === true,
      })
      const place = textOf(flags, 'conflist')
      if (place !== undefined) {
        const { writeConflist } = await import('./conflist.ts')
        lines.push(...writeConflist(place, { plugins, subnets: textsOf(flags, 'subnet') }))
      }
      return `${lines.join('\n')}\n`
    },
  },
  uninstall: {
    usage: 'uninstall DIR [--force]',
    summary: 'take out of DIR what install put there',
    description: [
      'The executable, the shim, the links that lead to them and the addons in .podwire go. Configurations, leases and\nrecords stay, and so does what the plugins made for pods.',
    ],
    options: {
      force: { type: 'boolean', what: 'while pods are attached, too: they can then not be taken down' },
    },
    operands: [1, 1],
    completes: 'directory',
    examples: [['podwire uninstall /opt/cni/bin', 'when the node is drained']],
    run: async ({ operands: [directory = ''], flags, about }) => {
      const { uninstall } = await import('./uninstall.ts')
      return uninstall(directory, { isForced: flags['force'] === true, openPorts: about.openPorts })
    },
  },
  daemon: {
    usage: 'daemon [--socket PATH]',
    summary: 'serve the calls of the shim, until SIGTERM',
    options: {
      socket: { type: 'string', value: 'PATH', what: 'else PODWIRE_SOCKET, else /run/podwire/podwire.sock' },
    },
    operands: [0, 0],
    examples: [
      ['podwire daemon', ''],
      ['curl --unix-socket /run/podwire/podwire.sock http://podwire/metrics', 'its counters, for Prometheus'],
    ],
    run: async ({ flags, about }) => {
      await about.runDaemon(textOf(flags, 'socket'))
      return ''
    },
  },
} as const satisfies Record<string, Command>
