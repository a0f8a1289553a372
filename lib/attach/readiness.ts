// STATUS: whether the next ADD would work. Everything is looked at, so that one answer names all that must be done.

import { delegateStatus } from '../cni/delegate.ts'
import { CNI_CODE, CniError, toCniError } from '../cni/errors.ts'
import type { Request } from '../cni/request.ts'
import type { Ports } from '../host/ports.ts'
import { NftError } from '../nftables/error.ts'
import { StoreError } from '../state/store-error.ts'

/** A reason not to be ready. */
export interface Problem {
  /** 50: the next ADD would fail. 51: pods that are there suffer, too. */
  readonly code: number
  readonly message: string
  /** What can be done about it. */
  readonly remedy: string
  /** What was thrown: who serves the call in another's place may know it. */
  readonly cause?: unknown
}

/** @throws CniError of the worst code, with every reason and every remedy */
export function requireReady(problems: readonly Problem[]): void {
  if (problems.length === 0) return
  const worst = problems.find(({ code }) => code === CNI_CODE.limitedConnectivity) ?? problems[0]
  const message = problems.map((problem) => problem.message).join('; ')
  const details = [...new Set(problems.map(({ remedy }) => remedy))].filter((text) => text !== '').join('; ')
  const causes = problems.flatMap(({ cause }) => (cause === undefined ? [] : [cause]))
  const cause = causes.length === 0 ? undefined : new AggregateError(causes)
  throw new CniError(worst?.code ?? CNI_CODE.pluginNotAvailable, message, { details, cause })
}

/** Attachments cannot be recorded. */
export function findStoreProblem(ports: Ports): Problem[] {
  try {
    ports.attachments.probe()
    return []
  } catch (error) {
    if (!(error instanceof StoreError)) throw error
    const message = `attachments cannot be recorded: ${error.message}`
    return [{ code: CNI_CODE.pluginNotAvailable, message, remedy: error.remedy, cause: error }]
  }
}

/** @param neededBy  the fields of the config that need it, for the remedy: `ipMasq and macspoofchk need` */
export async function findNftablesProblem({ kernel }: Ports, neededBy: string): Promise<Problem[]> {
  try {
    await kernel.host.nft.listTables()
    return []
  } catch (error) {
    if (!(error instanceof NftError) && !(error instanceof Error && 'errno' in error)) throw error
    const message = `the kernel’s nftables cannot be used: ${error.message}`
    const remedy = `${neededBy} a kernel with CONFIG_NF_TABLES (modprobe nf_tables) and CAP_NET_ADMIN`
    return [{ code: CNI_CODE.pluginNotAvailable, message, remedy }]
  }
}

/**
 * An IPAM that cannot serve ADD is one of ours: its own code stands.
 *
 * @param type  '' for none
 */
export async function findDelegateProblem(ports: Ports, request: Request, type: string): Promise<Problem[]> {
  if (type === '') return []
  try {
    await delegateStatus(ports, type, request)
    return []
  } catch (error) {
    const { code, message, details } = toCniError(error)
    return [{ code, message, remedy: details, cause: error }]
  }
}
