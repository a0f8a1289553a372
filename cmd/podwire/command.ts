// What a command of `podwire` is: to the one who calls it, to the help, and to the shell's completion.

import type { Plugin } from '../../lib/cni/plugin.ts'
import type { MetricsAddress } from '../../lib/daemon/metrics-port.ts'
import type { Ports } from '../../lib/host/ports.ts'
import type { ListenAddress } from './page/listen-address.ts'
import type { Style } from './style.ts'

export interface DaemonOptions {
  readonly socketPath: string | undefined
  readonly metricsAddress: MetricsAddress | undefined
  readonly rehearses: boolean
  /** Where the page of the node is served. */
  readonly page: ListenAddress | undefined
}

export interface About {
  readonly version: string
  /** Path of the running executable. */
  readonly executable: string
  readonly plugins: readonly Plugin<Ports>[]
  /** Upstream's names and ours. */
  readonly upstreamNames: Readonly<Record<string, string>>
  /** @param purpose.onlyLooks  nothing is made that is not there, no stores either */
  readonly openPorts: (purpose?: { readonly onlyLooks: boolean }) => Promise<Ports>
  /** Serves calls until the process is told to stop. */
  readonly runDaemon: (given: DaemonOptions) => Promise<void>
  readonly environment: Readonly<Record<string, string | undefined>>
  /** A person reads what is printed. */
  readonly isTerminal: boolean
  /** How wide the terminal is; Infinity where there is none. */
  readonly columns: number
  /** Tells a person who waits what is being done. */
  readonly progress: (text: string) => void
}

export interface Outcome {
  readonly exitStatus: number
  readonly stdout: string
  readonly stderr: string
}

/** What was printed, where it is no plain success. */
export interface Answer {
  readonly stdout: string
  readonly exitStatus: number
}

export type Flags = Readonly<Record<string, string | boolean | readonly string[] | undefined>>

export interface Option {
  readonly type: 'string' | 'boolean'
  readonly short?: string
  /** May be given again and again. */
  readonly multiple?: boolean
  /** What its value is, for the help: `DIR`. */
  readonly value?: string
  /** The only values that it takes. */
  readonly values?: readonly string[]
  readonly what: string
}

export interface Call {
  readonly operands: readonly string[]
  readonly flags: Flags
  readonly about: About
  readonly style: Style
}

export interface Command {
  readonly usage: string
  readonly summary: string
  /** What the summary has no room for: paragraphs. */
  readonly description?: readonly string[]
  readonly options?: Readonly<Record<string, Option>>
  /** How many at least, and at most. */
  readonly operands: readonly [least: number, most: number]
  /** What its operands are, for the shell's completion. */
  readonly completes?: 'pod' | 'directory' | 'command'
  /** What is typed, and what it is good for. */
  readonly examples: readonly (readonly [line: string, purpose: string])[]
  /** @returns what is printed. An error with a `code` is told in a line */
  run(call: Call): Promise<string | Answer>
}

export type Commands = Readonly<Record<string, Command>>

/** Finds a plugin by our name or by upstream's. */
export function pluginFinder({ plugins, upstreamNames }: Pick<About, 'plugins' | 'upstreamNames'>) {
  return (type: string): Plugin<Ports> | undefined => {
    const own = Object.hasOwn(upstreamNames, type) ? upstreamNames[type] : type
    return plugins.find(({ name }) => name === own)
  }
}

/** The value of an option that takes one. */
export function textOf(flags: Flags, name: string): string | undefined {
  const value = flags[name]
  return typeof value === 'string' ? value : undefined
}

/** Those of an option that may be given again. */
export function textsOf(flags: Flags, name: string): readonly string[] {
  const value = flags[name]
  return Array.isArray(value) ? (value as readonly string[]) : []
}

/** What was asked for cannot be done. */
export class CommandError extends Error {
  readonly code: string = 'ECOMMAND'
  readonly remedy: string

  constructor(message: string, remedy = '', options?: ErrorOptions) {
    super(message, options)
    this.name = new.target.name
    this.remedy = remedy
  }
}

/** What was asked for is not what the command takes: exit status 2. */
export class UsageError extends CommandError {
  override readonly code = 'EUSAGE'
}
