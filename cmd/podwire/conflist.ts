// `podwire install --conflist`: a network configuration for runtimes. A runtime starts pods as soon as it finds one, so
// it is written last, and appears whole (rename(2)). What somebody else has written stays.

import { basename, dirname, join, resolve } from 'node:path'
import { Prefix } from '../../lib/ip/prefix.ts'
import { parseRangeSets } from '../../lib/ipam/range-set.ts'
import { isReadByRuntimes, readConfig } from './cni-config.ts'
import { CommandError, UsageError } from './command.ts'
import { formatJson } from './data-formats.ts'
import { Disk } from './disk.ts'
import { writeWhole } from './replace.ts'

/** Said in the file: who takes it out has made the file his own. */
const MARK = 'podwire'
const MARK_TEXT = 'written by podwire install, and will be again; take this line out to keep your changes'
const FILE = '10-podwire.conflist'
const DEFAULT_SUBNET = '10.244.0.0/24'

export interface ConflistOptions {
  /** Those that the executable has. */
  readonly plugins: readonly string[]
  /** For pods, one of each family; those that are in the file already when there are none. */
  readonly subnets: readonly string[]
}

/** @throws CommandError for a place where no runtime would find it */
export function requirePlace(place: string): void {
  fileAt(new Disk(), place)
}

/**
 * @param place  a file's name, or a directory that is there
 * @returns what was done, a line for each thing
 * @throws CommandError for such a place, UsageError for subnets that are none, or the error of the file system
 */
export function writeConflist(place: string, { plugins, subnets }: ConflistOptions): string[] {
  const disk = new Disk()
  const file = fileAt(disk, place)
  const text = disk.read(file)
  if (text !== undefined && !isOurs(file, text))
    return [`${file}: kept, it is not ours`, ...rivals(disk, file)]
  const kept = writtenSubnets(place)
  const used = subnets.length > 0 ? subnets : kept.length > 0 ? kept : [DEFAULT_SUBNET]
  requireSubnets(used)
  writeWhole(file, formatJson(conflist(plugins, used)))
  const ofAll = subnets.length + kept.length === 0 ? '; give each node its own with --subnet' : ''
  return [`${file}: written, pods get addresses of ${used.join(', ')}${ofAll}`, ...rivals(disk, file)]
}

/** Those of a file that is ours, at the place as in `writeConflist`; none where there is no such file. */
export function writtenSubnets(place: string): string[] {
  const disk = new Disk()
  const file = fileAt(disk, place)
  const text = disk.read(file)
  return text !== undefined && isOurs(file, text) ? subnetsIn(text) : []
}

function fileAt(disk: Disk, place: string): string {
  const file = resolve(disk.stat(place)?.isDirectory() ? join(place, FILE) : place)
  const [directory, isRead] = [dirname(file), isReadByRuntimes(file)]
  if (isRead && disk.stat(directory)?.isDirectory()) return file
  const missing = isRead ? directory : place
  throw new CommandError(
    `--conflist ${place}: ${JSON.stringify(missing)} is no directory${isRead ? '' : ', and no file of a name that runtimes read'}`,
    `mkdir -p ${missing}${isRead ? '' : ', or name a file that ends in .conflist'}`,
  )
}

function conflist(plugins: readonly string[], subnets: readonly string[]) {
  const chained = [
    { type: 'cni-portmap', capabilities: { portMappings: true } },
    { type: 'cni-bandwidth', capabilities: { bandwidth: true } },
  ].filter(({ type }) => plugins.includes(type))
  return {
    cniVersion: '1.0.0',
    name: 'podwire',
    [MARK]: MARK_TEXT,
    plugins: [
      {
        type: 'cni-bridge',
        bridge: 'cni0',
        mtu: 'auto',
        isDefaultGateway: true,
        ipMasq: true,
        hairpinMode: true,
        ipam: { type: 'ipam-host-local', ranges: subnets.map((subnet) => [{ subnet }]) },
      },
      ...chained,
    ],
  }
}

function requireSubnets(subnets: readonly string[]): void {
  try {
    parseRangeSets({ ranges: subnets.map((subnet) => [{ subnet }]) })
    const families = subnets.map((subnet) => Prefix.parse(subnet).family)
    if (new Set(families).size < families.length) throw new Error('one of each family is enough')
  } catch (error) {
    if (!(error instanceof Error)) throw error
    throw new UsageError(`--subnet ${subnets.join(' --subnet ')}: ${error.message}`)
  }
}

function isOurs(file: string, text: string): boolean {
  const config = readConfig(file, text)
  return 'content' in config && MARK in config.content
}

function subnetsIn(text: string): string[] {
  const { plugins } = JSON.parse(text) as { plugins: { ipam?: { ranges?: { subnet: string }[][] } }[] }
  return plugins.flatMap(({ ipam }) => ipam?.ranges ?? []).flatMap((set) => set.map(({ subnet }) => subnet))
}

/** Of several files a runtime takes the first. */
function rivals(disk: Disk, file: string): string[] {
  return disk
    .list(dirname(file))
    .filter((name) => isReadByRuntimes(name) && name < basename(file))
    .map((name) => `${join(dirname(file), name)}: comes before it, and is what runtimes use`)
}
