// The directories that have leases of this node: those that attachments and configurations name, and the usual one.

import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { findField, isObject } from '../../lib/cni/schema.ts'
import type { Ports } from '../../lib/host/ports.ts'
import { DEFAULT_DATA_DIR, LEASES_FILE } from '../../lib/ipam/lease-store.ts'
import type { Attachment } from '../../lib/state/attachments.ts'
import { CommandError } from './command.ts'
import { recordFields } from './record-fields.ts'

/** @param named  those that a person or a configuration names */
export function listDataDirs({ attachments }: Ports, named: readonly string[] = []): string[] {
  return dataDirsOf(attachments.list(), named)
}

/** The same, where the attachments were listed already. */
export function dataDirsOf(attachments: readonly Attachment[], named: readonly string[] = []): string[] {
  const recorded = attachments.flatMap(({ record }) => dataDirOf(record))
  return [...new Set([DEFAULT_DATA_DIR, ...recorded, ...named])].filter(hasLeases)
}

/** @param holder  of an `ipam` section: a record, or the configuration of a plugin */
export function dataDirOf(holder: unknown): string[] {
  const ipam = isObject(holder) ? findField(holder, 'ipam') : undefined
  const dataDir = isObject(ipam) ? findField(ipam, 'dataDir') : undefined
  return typeof dataDir === 'string' && dataDir !== '' ? [dataDir] : []
}

/** Where a record's addresses are leased, if by our own plugin: it may have left the directory to its default. */
export function leaseDirOf(record: unknown): string[] {
  const named = dataDirOf(record)
  const isDefault = named.length === 0 && recordFields(record).ipam?.['type'] === 'ipam-host-local'
  return isDefault ? [DEFAULT_DATA_DIR] : named
}

/** @throws CommandError where there is no store */
export function requireLeases(dataDir: string): void {
  if (hasLeases(dataDir)) return
  throw new CommandError(
    `${dataDir} has no leases of Podwire`,
    `name a directory that ipam.dataDir names, mostly ${DEFAULT_DATA_DIR}`,
  )
}

/** To open a store would make one. */
export function hasLeases(dataDir: string): boolean {
  return existsSync(join(dataDir, LEASES_FILE))
}
