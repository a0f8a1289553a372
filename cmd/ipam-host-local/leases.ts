// The leases of the network that a request is about, with those that upstream's host-local left.

import type { Ports } from '../../lib/host/ports.ts'
import type { LeaseReader, LeaseTx } from '../../lib/ipam/lease-store.ts'
import {
  type Change,
  changeLeases,
  type Release,
  type Released,
  readLeases,
  releaseLeases,
  type Takeover,
} from '../../lib/ipam/takeover.ts'
import { bootTimeMs } from '../../lib/state/boot.ts'

interface Place {
  readonly network: string
  readonly dataDir: string
  /** @see Change */
  readonly claimsNew?: boolean
}

/** A transaction. @throws StoreError, or what `work` throws */
export function change<T>(ports: Ports, place: Place, work: (tx: LeaseTx) => T): T {
  return changeLeases(ports.leases(place.dataDir), changeOf(ports, place), work)
}

/** @see releaseLeases */
export function release(ports: Ports, place: Place, work: Release): readonly Released[] {
  return releaseLeases(ports.leases(place.dataDir), changeOf(ports, place), work)
}

function changeOf(ports: Ports, { network, dataDir, claimsNew = false }: Place): Change {
  return {
    network,
    claimsNew,
    nowMs: ports.clock.nowMs(),
    bootedAtMs: () => bootedAtMs(ports),
    onTakeover: (takeover) => logTakeover(ports, { network, dataDir, takeover }),
  }
}

/** Changes nothing, in upstream's files neither. */
export function read<T>(ports: Ports, { network, dataDir }: Place, work: (reader: LeaseReader) => T): T {
  return readLeases(ports.leases(dataDir), { network, bootedAtMs: () => bootedAtMs(ports) }, work)
}

function bootedAtMs({ files }: Ports): number {
  return bootTimeMs((path) => files.find(path))
}

function logTakeover(
  { log }: Ports,
  { takeover, ...where }: { network: string; dataDir: string; takeover: Takeover },
): void {
  const { taken, dropped } = takeover
  log.info({ ...where, taken }, "took over the leases of upstream's host-local")
  if (dropped.length > 0) log.error({ ...where, dropped }, "left out files of upstream's host-local")
}
