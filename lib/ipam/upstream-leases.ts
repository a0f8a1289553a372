// What upstream's host-local keeps of its leases: a directory per network, in it a file per address that names the
// holder (plugins/ipam/host-local/backend/disk/backend.go).
//
// A network belongs to one of the two at a time. Both would hand out the same addresses, each by its own list.

import { NAME_PATTERN } from '../cni/environment.ts'
import { AddressError, IpAddress } from '../ip/address.ts'
import type { Holder, Lease } from './lease-store.ts'

/** Any but upstream's lock. */
export interface UpstreamFile {
  /** The address, `last_reserved_ip.0` or whatever else is there. */
  readonly name: string
  readonly content: string
  readonly modifiedAtMs: number
}

/** `upstream`: it has leases that are not all in our store yet. */
export type Owner = 'nobody' | 'podwire' | 'upstream'

/** All of it throws StoreError when files cannot be read or written. Only `owner` and `list` are for readers. */
export interface UpstreamLeases {
  owner(network: string): Owner
  /** What `claim` would return now; changes nothing. */
  list(network: string): UpstreamFile[]
  /**
   * Takes the network from upstream, from now on it refuses to do anything in it, and a call of it that was under way
   * fails. For a transaction of our store: what is returned is returned again until `settle` says that it is kept.
   */
  claim(network: string): UpstreamFile[]
  /**
   * Removes files where upstream keeps them, while none of its calls is under way; the network stays upstream's.
   *
   * @param pick  which of those that are there, by name
   * @returns their names; undefined, and nothing is done, when the network is on its way to us
   */
  release(network: string, pick: (files: readonly UpstreamFile[]) => readonly string[]): string[] | undefined
  /** What was claimed is kept. @param note  for a person: what came of it */
  settle(network: string, note: string): void
  /** The networks that are ours. */
  listClaimed(): string[]
  /** Gives a network of ours to upstream. @param files  contents by name */
  handBack(network: string, files: ReadonlyMap<string, string>): void
}

/** `<container>\r\n<ifname>`; versions up to 0.8 wrote the container alone. Upstream ignores space around it. */
export function formatHolder({ containerId, ifname }: Holder): string {
  return ifname === '' ? containerId : `${containerId}\r\n${ifname}`
}

/** @returns undefined for what no upstream writes, such as a file that a crash left empty or cut off */
export function parseHolder(content: string): Holder | undefined {
  const [containerId = '', ifname = '', ...rest] = content.trim().split('\r\n')
  const isWhole = NAME_PATTERN.test(containerId) && rest.length === 0 && !/[\s/:\0]/.test(ifname)
  return isWhole ? { containerId, ifname } : undefined
}

/** Not of a lease: which address upstream handed out last, of each range set. */
export function isLastReserved({ name }: UpstreamFile): boolean {
  return /^last_reserved_ip\.\d+$/.test(name)
}

export interface UpstreamLease extends Holder {
  readonly address: IpAddress
  readonly acquiredAtMs: number
}

/** A file that is no live lease, and why not. */
export interface Dropped {
  readonly name: string
  readonly why: string
}

/**
 * A file's age against the start of the node is all that tells a lease of an earlier boot, and clocks are set while a
 * node starts. What is taken for live by mistake costs an address until GC, the other mistake costs a pod its own.
 */
const CLOCK_TOLERANCE_MS = 60_000

/** @param bootedAtMs  when this boot began */
export function readFile(file: UpstreamFile, bootedAtMs: number): UpstreamLease | Dropped {
  const { name, content, modifiedAtMs } = file
  const address = findAddress(name)
  if (address === undefined) return { name, why: 'its name is no address' }
  const holder = parseHolder(content)
  if (holder === undefined) return { name, why: content.trim() === '' ? 'empty' : 'names no container' }
  if (modifiedAtMs < bootedAtMs - CLOCK_TOLERANCE_MS) return { name, why: 'older than this boot' }
  return { ...holder, address, acquiredAtMs: Math.trunc(modifiedAtMs) }
}

/** The file of a lease. */
export function fileOf(lease: Pick<Lease, 'address' | 'containerId' | 'ifname'>): [string, string] {
  return [String(lease.address), formatHolder(lease)]
}

function findAddress(name: string): IpAddress | undefined {
  try {
    return IpAddress.parse(name)
  } catch (error) {
    if (error instanceof AddressError) return undefined
    throw error
  }
}
