// The verbs of `ipam-host-local`: a transaction in the lease store each.

import { withUndo } from '../../lib/attach/undoing.ts'
import { CNI_CODE, CniError } from '../../lib/cni/errors.ts'
import type { Request } from '../../lib/cni/request.ts'
import type { Dns, Result } from '../../lib/cni/result.ts'
import { podOf } from '../../lib/host/attachment-key.ts'
import { isRetry } from '../../lib/host/call.ts'
import type { Files, Ports } from '../../lib/host/ports.ts'
import type { Undo } from '../../lib/host/undo.ts'
import { AddressError } from '../../lib/ip/address.ts'
import { AllocationError } from '../../lib/ipam/allocation-error.ts'
import { type Allocation, allocate, findAllocations } from '../../lib/ipam/allocator.ts'
import { pickHeldBy } from '../../lib/ipam/lease-store.ts'
import { toResultRoute } from '../../lib/ipam/route-fields.ts'
import { change, read, release } from './leases.ts'
import { type HostLocalNetconf, parseNetconf, readDataDir } from './netconf.ts'
import { parseResolvConf } from './resolv-conf.ts'

export async function add(ports: Ports, request: Request): Promise<Result> {
  const netconf = await readNetconf(request)
  const dns = readDns(ports, netconf)
  const allocations = await withUndo(async (undo) => lease(ports, request, { netconf, undo }))
  return {
    ips: allocations.map(({ address, gateway }) => ({
      address: String(address),
      ...(gateway === undefined ? {} : { gateway: String(gateway) }),
    })),
    routes: netconf.routes.map(toResultRoute),
    ...(dns === undefined ? {} : { dns }),
  }
}

export async function del(ports: Ports, request: Request): Promise<void> {
  const { name: network, containerId, ifname } = request
  const holder = { containerId, ifname }
  release(
    ports,
    { network, dataDir: readDataDir(request) },
    {
      ours: (tx) => tx.release(network, holder, ports.clock.nowMs()),
      theirs: (leases) => pickHeldBy(leases, holder),
    },
  )
}

export async function check(ports: Ports, request: Request): Promise<void> {
  const { dataDir } = await readNetconf(request)
  const { name: network, containerId, ifname } = request
  const holder = { containerId, ifname }
  const held = read(ports, { network, dataDir }, (reader) => reader.listByHolder(network, holder))
  if (held.length > 0) return
  throw new CniError(
    CNI_CODE.internal,
    `host-local: Failed to find address added by container ${containerId}`,
    {
      details: `no lease of network ${network}, interface ${ifname} in ${dataDir}`,
    },
  )
}

function lease(
  ports: Ports,
  request: Request,
  { netconf, undo }: { netconf: HostLocalNetconf; undo: Undo },
): Allocation[] {
  const { dataDir, sets, requested, coolDown, sticky } = netconf
  const { name: network, containerId, ifname, netns } = request
  const nowMs = ports.clock.nowMs()
  const holder = { network, containerId, ifname, netns, ...podOf(request) }
  const wanted = { ...holder, sets, requested, nowMs, coolDownMs: coolDown * 1000, sticky }
  try {
    const allocations = change(ports, { network, dataDir, claimsNew: true }, (tx) => {
      // The first try of this call may have come so far: its leases are the answer, and stay.
      const first = isRetry(request) ? findAllocations(tx, wanted) : undefined
      const allocations = first ?? allocate(tx, wanted)
      // They are kept already when upstream's files cannot be put away (`settle`), and the call fails for it.
      undo.push('release the addresses', () =>
        ports.leases(dataDir).transaction((later) => void later.release(network, holder, nowMs)),
      )
      return allocations
    })
    logCooling(ports, allocations, { network, coolDown })
    return allocations
  } catch (cause) {
    if (!(cause instanceof AllocationError)) throw cause
    throw new CniError(CNI_CODE.internal, cause.message, { details: cause.details, cause })
  }
}

/** The range is too small for its pods' coming and going: someone may want to know. */
function logCooling(
  { log }: Ports,
  allocations: readonly Allocation[],
  fields: { network: string; coolDown: number },
): void {
  const addresses = allocations.filter(({ cooling }) => cooling).map(({ address }) => String(address))
  if (addresses.length > 0) log.info({ ...fields, addresses }, 'used addresses that are still cooling')
}

/** Read before an address is taken: a missing file fails the call while there is nothing to give back. */
function readDns({ files }: Ports, { resolvConf }: HostLocalNetconf): Dns | undefined {
  if (resolvConf === '') return undefined
  const text = readOrExplain(files, resolvConf)
  if (text === undefined) {
    throw new CniError(CNI_CODE.ioFailure, `open ${resolvConf}: no such file or directory`, {
      details: 'ipam.resolvConf names a file that is not there',
    })
  }
  return parseResolvConf(text)
}

function readOrExplain(files: Files, path: string): string | undefined {
  try {
    return files.find(path)
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause)
    throw new CniError(CNI_CODE.ioFailure, `ipam.resolvConf: ${why}`, {
      details: 'it must name a resolv.conf(5) that can be read',
      cause,
    })
  }
}

/** A text that is no address is explained: which part of it, and why. */
async function readNetconf(request: Request): Promise<HostLocalNetconf> {
  try {
    return parseNetconf(request)
  } catch (error) {
    const culprit = findAddressError(error)
    if (!(error instanceof CniError) || culprit === undefined) throw error
    const { explainInvalidAddress } = await import('../../lib/ip/explain.ts')
    const why = await explainInvalidAddress(culprit.subject)
    const details = `${JSON.stringify(culprit.subject)}: ${why}`
    throw new CniError(error.code, error.message, { details: why === '' ? '' : details, cause: error })
  }
}

function findAddressError(error: unknown): AddressError | undefined {
  if (error instanceof AddressError) return error
  return error instanceof Error && error.cause !== undefined ? findAddressError(error.cause) : undefined
}
