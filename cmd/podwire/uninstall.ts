// `podwire uninstall`: what `podwire install` has put into a directory goes, and nothing else. Names first, then what
// they lead to, so that none leads nowhere meanwhile.

import { existsSync, lstatSync, readdirSync, readlinkSync, rmdirSync, rmSync, statSync } from 'node:fs'
import { basename, dirname, join, resolve } from 'node:path'
import type { Ports } from '../../lib/host/ports.ts'
import { listAttached, podText } from './attached.ts'
import { type About, CommandError } from './command.ts'
import { listTemporary } from './replace.ts'
import { formatCount } from './style.ts'
import { type UnitPlace, uninstallUnit } from './unit.ts'

const EXECUTABLES = ['podwire', 'podwire-shim']
/** Where the executable keeps its addons (lib/native/extract.ts). */
const ADDONS = '.podwire'
const NAMED = 3

export interface Uninstallation {
  readonly isForced: boolean
  readonly openPorts: About['openPorts']
  readonly units: UnitPlace
}

/**
 * @param openPorts  asked for unless `isForced`
 * @returns a line for each thing that is gone
 * @throws CommandError when there is nothing of ours, or attachments live that need it for DEL
 */
export async function uninstall(
  directory: string,
  { isForced, openPorts, units }: Uninstallation,
): Promise<string> {
  if (!statSync(directory, { throwIfNoEntry: false })?.isDirectory())
    throw new CommandError(
      `${JSON.stringify(directory)} is no directory`,
      'name the one that podwire install was given',
    )
  const found = [...listNames(directory), ...EXECUTABLES.filter((name) => isFile(join(directory, name)))]
  const cutOff = EXECUTABLES.flatMap((name) => listTemporary(join(directory, name))).filter(isFile)
  const addons = listAddons(join(directory, ADDONS))
  if (found.length + cutOff.length + addons.length === 0)
    throw new CommandError(`${directory} has nothing that podwire install put there`)
  if (!isForced) refuseWhileAttached(await openPorts({ onlyLooks: true }))
  // Before what it starts: systemd would try again and again.
  const gone = uninstallUnit(directory, units)
  const paths = [...found.map((name) => join(directory, name)), ...cutOff, ...addons]
  for (const path of paths) rmSync(path, { force: true })
  if (addons.length > 0 && readdirSync(join(directory, ADDONS)).length === 0)
    rmdirSync(join(directory, ADDONS))
  return [...gone, ...paths.map((path) => `${path}: removed`)].map((line) => `${line}\n`).join('')
}

/** A pod whose plugin is gone cannot be taken down: its runtime tries DEL again and again. */
function refuseWhileAttached(ports: Ports): void {
  const live = listAttached(ports).filter(({ state }) => state !== 'gone')
  if (live.length === 0) return
  const named = live.slice(0, NAMED).map(podText).join(', ')
  const more = live.length > NAMED ? `, and ${live.length - NAMED} more` : ''
  throw new CommandError(
    `${formatCount(live.length, 'attachment')} would never be taken down: ${named}${more}`,
    'drain the node first; --force removes the plugins all the same',
  )
}

/** Links that lead to our executables beside them, under whatever name. */
function listNames(directory: string): string[] {
  return readdirSync(directory)
    .sort()
    .filter((name) => {
      const path = join(directory, name)
      if (!lstatSync(path).isSymbolicLink()) return false
      const target = resolve(directory, readlinkSync(path))
      return dirname(target) === resolve(directory) && EXECUTABLES.includes(basename(target))
    })
}

function isFile(path: string): boolean {
  return lstatSync(path, { throwIfNoEntry: false })?.isFile() === true
}

function listAddons(directory: string): string[] {
  if (!existsSync(directory)) return []
  return readdirSync(directory)
    .sort()
    .filter((name) => name.endsWith('.node'))
    .map((name) => join(directory, name))
}
