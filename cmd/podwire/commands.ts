// The commands of `podwire` itself. A command's own code is loaded when it is called.

import { dirname } from 'node:path'
import { type ParseArgsOptionsConfig, parseArgs } from 'node:util'
import type { Plugin } from '../../lib/cni/plugin.ts'
import type { Ports } from '../../lib/host/ports.ts'

export interface About {
  readonly version: string
  /** Path of the running executable. */
  readonly executable: string
  readonly plugins: readonly Plugin<Ports>[]
  /** Upstream's names and ours. */
  readonly upstreamNames: Readonly<Record<string, string>>
  readonly openPorts: () => Promise<Ports>
  /** Serves calls until the process is told to stop. */
  readonly runDaemon: (socketPath: string | undefined) => Promise<void>
}

export interface Outcome {
  readonly exitStatus: number
  readonly stdout: string
  readonly stderr: string
}

export type Flags = Readonly<Record<string, string | boolean | undefined>>

interface Command {
  readonly usage: string
  readonly summary: string
  readonly options?: ParseArgsOptionsConfig
  readonly operands: number
  /** @returns what is printed */
  run(call: { operands: readonly string[]; flags: Flags; about: About }): Promise<string>
}

const COMMANDS: Readonly<Record<string, Command>> = {
  install: {
    usage: 'install DIR [--shim] [--upstream-names]',
    summary: 'put the executable and its plugin names into DIR, such as /opt/cni/bin',
    options: { shim: { type: 'boolean' }, 'upstream-names': { type: 'boolean' } },
    operands: 1,
    run: async ({ operands: [directory = ''], flags, about }) => {
      const { install } = await import('./install.ts')
      const names = flags['upstream-names'] ? Object.keys(about.upstreamNames) : []
      return install(directory, {
        executable: about.executable,
        names: [...about.plugins.map(({ name }) => name), ...names],
        withShim: flags['shim'] === true,
      })
    },
  },
  gc: {
    usage: 'gc [--dry-run]',
    summary: 'remove what attachments left behind whose network namespace is gone',
    options: { 'dry-run': { type: 'boolean' } },
    operands: 0,
    run: async ({ flags, about }) => {
      const { gc } = await import('./gc.ts')
      const path = [dirname(about.executable), '/opt/cni/bin', '/usr/lib/cni']
      return gc(await about.openPorts(), about.plugins, { dryRun: flags['dry-run'] === true, path })
    },
  },
  export: {
    usage: 'export [--network NAME] DIR',
    summary: "give the leases below DIR, such as /var/lib/cni/networks, to upstream's host-local",
    options: { network: { type: 'string' } },
    operands: 1,
    run: async ({ operands: [directory = ''], flags, about }) => {
      const { exportLeases } = await import('./export.ts')
      const network = typeof flags['network'] === 'string' ? flags['network'] : undefined
      return exportLeases(await about.openPorts(), { directory, network })
    },
  },
  repair: {
    usage: 'repair',
    summary: 'make again what others have taken from running pods: rules, gateways, forwarding',
    operands: 0,
    run: async ({ about }) => {
      const { repair } = await import('./repair.ts')
      return repair(await about.openPorts(), about.plugins)
    },
  },
  daemon: {
    usage: 'daemon [--socket PATH]',
    summary: 'serve the calls of the shim, until SIGTERM',
    options: { socket: { type: 'string' } },
    operands: 0,
    run: async ({ flags, about }) => {
      await about.runDaemon(typeof flags['socket'] === 'string' ? flags['socket'] : undefined)
      return ''
    },
  },
  version: {
    usage: 'version',
    summary: 'print the version',
    operands: 0,
    run: async ({ about }) => `${about.version}\n`,
  },
  help: { usage: 'help', summary: 'print this text', operands: 0, run: async ({ about }) => helpText(about) },
}

const ALIASES: Readonly<Record<string, string>> = {
  '--help': 'help',
  '-h': 'help',
  '--version': 'version',
  '-v': 'version',
}

/** @param words  what follows the program's name */
export async function run(words: readonly string[], about: About): Promise<Outcome> {
  const [word = '', ...rest] = words
  const name = ALIASES[word] ?? word
  const command = Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined
  if (command === undefined) {
    return misused(word === '' ? helpText(about) : `no command "${word}"\n\n${helpText(about)}`)
  }
  const given = readArguments(command, rest)
  if (given === undefined) return misused(`usage: podwire ${command.usage}\n`)
  try {
    return { exitStatus: 0, stdout: await command.run({ ...given, about }), stderr: '' }
  } catch (error) {
    if (!(error instanceof Error && 'code' in error)) throw error
    return { exitStatus: 1, stdout: '', stderr: `podwire ${name}: ${error.message}\n` }
  }
}

/** @returns undefined when they are not the command's */
function readArguments(
  command: Command,
  args: readonly string[],
): { operands: string[]; flags: Flags } | undefined {
  try {
    const options = command.options ?? {}
    const { values, positionals } = parseArgs({ args: [...args], options, allowPositionals: true })
    return positionals.length === command.operands
      ? { operands: positionals, flags: values as Flags }
      : undefined
  } catch (error) {
    if (error instanceof TypeError) return undefined // an option that the command does not have
    throw error
  }
}

function misused(text: string): Outcome {
  return { exitStatus: 2, stdout: '', stderr: text }
}

function helpText({ version, plugins, upstreamNames }: About): string {
  const commands = Object.values(COMMANDS)
  const width = Math.max(...commands.map(({ usage }) => usage.length))
  return [
    `Podwire ${version}: the network of Kubernetes pods.`,
    '',
    ...commands.map(({ usage, summary }) => `  podwire ${usage.padEnd(width)}  ${summary}`),
    '',
    `Called by the name of a plugin (${plugins.map(({ name }) => name).join(', ')}, or upstream's ${Object.keys(upstreamNames).join(', ')})`,
    'it is that plugin, as the CNI specification describes: parameters in the environment, configuration on',
    'standard input.',
    '',
  ].join('\n')
}
