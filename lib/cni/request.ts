// One call of a plugin, read and checked: what the verbs of a plugin get.

import type { Environment } from './environment.ts'
import type { Result } from './result.ts'
import type { SpecVersion } from './versions.ts'

export type Command = 'ADD' | 'DEL' | 'CHECK' | 'GC' | 'STATUS' | 'VERSION'

export interface Request {
  readonly command: Command
  /** '' where the command has none: GC and STATUS. */
  readonly containerId: string
  /** Path of the namespace; '' for GC and STATUS, and for a DEL whose namespace is gone. */
  readonly netns: string
  readonly ifname: string
  /** CNI_ARGS; see `requireKnownArgs`. */
  readonly args: ReadonlyMap<string, string>
  /** The directories of CNI_PATH. */
  readonly path: readonly string[]
  /** CNI_NETNS_OVERRIDE: the pod's namespace may be the one that the plugin runs in. */
  readonly netnsOverride: boolean
  /** The config as it came, which delegates get unchanged. */
  readonly stdin: string
  /** The config as JSON; read it with a schema (schema.ts), whose keys match in any case. */
  readonly netconf: Readonly<Record<string, unknown>>
  readonly name: string
  readonly cniVersion: SpecVersion
  /** Undefined when the plugin is the first of its chain, for GC and STATUS, and where DEL's was unreadable. */
  readonly prevResult: Result | undefined
  /** For delegates. */
  readonly environment: Environment
}
