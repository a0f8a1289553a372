// What `podwire doctor` looks at: each an object that looks at one thing, and says what it saw.

import type { Plugin } from '../../../lib/cni/plugin.ts'
import type { Ports } from '../../../lib/host/ports.ts'
import type { Attached } from '../attached.ts'
import { type BrokenConfig, isBroken, type NetworkConfig, typeOf } from '../cni-config.ts'
import type { Disk } from '../disk.ts'
import { type RecordFields, recordFields } from '../record-fields.ts'

/** `trouble`: pods do not start, or do not reach somebody. `warning`: they may not, some day or in some way. */
export type Level = 'ok' | 'warning' | 'trouble'

export interface Finding {
  readonly level: Level
  /** What was seen, so that it can be believed. */
  readonly evidence: string
  /** What to do: a command where there is one. */
  readonly remedy?: string
}

export interface Examination {
  readonly title: string
  /** Changes nothing. What it throws is told as trouble. */
  examine(patient: Patient): Promise<readonly Finding[]> | readonly Finding[]
}

/** The node, as far as examinations need it. */
export interface Patient {
  readonly ports: Ports
  readonly disk: Disk
  /** None when they cannot be read; that is for the examination of the store to say. */
  readonly attached: readonly Attached[]
  /** In the order in which runtimes take them. */
  readonly configs: readonly (NetworkConfig | BrokenConfig)[]
  readonly findPlugin: (type: string) => Plugin<Ports> | undefined
  readonly plugins: readonly Plugin<Ports>[]
  readonly version: string
  readonly executable: string
  readonly stateDir: string
  readonly confDir: string
  readonly binDir: string
  readonly socketPath: string
}

export function ok(evidence: string): Finding {
  return { level: 'ok', evidence }
}

export function warning(evidence: string, remedy: string): Finding {
  return { level: 'warning', evidence, remedy }
}

export function trouble(evidence: string, remedy: string): Finding {
  return { level: 'trouble', evidence, remedy }
}

/** What is wrong, or that nothing is. */
export function orOk(findings: readonly Finding[], evidence: string): readonly Finding[] {
  return findings.length > 0 ? findings : [ok(evidence)]
}

/** Of everything that is recorded for pods. */
export function recordsOf({ attached }: Patient): RecordFields[] {
  return attached.flatMap(({ attachments }) => attachments.map(({ record }) => recordFields(record)))
}

export interface ConfiguredPlugin {
  readonly config: NetworkConfig
  readonly netconf: Readonly<Record<string, unknown>>
  readonly type: string
}

export function configuredPlugins({ configs }: Pick<Patient, 'configs'>): ConfiguredPlugin[] {
  return configs.flatMap((config) =>
    isBroken(config) ? [] : config.plugins.map((netconf) => ({ config, netconf, type: typeOf(netconf) })),
  )
}

/** Bridges that pods are on, or will be. */
export function bridgesOf(patient: Patient): string[] {
  const recorded = recordsOf(patient).flatMap(({ bridge }) => bridge ?? [])
  const configured = configuredPlugins(patient)
    .filter(({ type }) => patient.findPlugin(type)?.name === 'cni-bridge')
    .map(({ netconf: { bridge } }) => (typeof bridge === 'string' && bridge !== '' ? bridge : 'cni0'))
  return [...new Set([...recorded, ...configured])]
}
