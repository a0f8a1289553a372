// What nf_tables refuses, told in the words of the `nft` command that it amounts to.

import { NetlinkError } from '../netlink/error.ts'

export class NftError extends Error {
  /** ENOENT, EEXIST, EBUSY, EPERM, …; EMSGSIZE when a transaction is larger than the socket can send at once. */
  readonly code: string
  /** `add element inet podwire masquerade_ipv4 { 10.1.0.5 }` */
  readonly operation: string

  constructor(operation: string, refusal: { code: string; why: string }, options?: { cause?: unknown }) {
    super(`${operation}: ${refusal.code}: ${refusal.why}`, options)
    this.name = 'NftError'
    this.code = refusal.code
    this.operation = operation
  }
}

/** Puts an error of the socket in this layer's terms; anything else is left as it is. */
export function asNftError(error: unknown): unknown {
  if (!(error instanceof NetlinkError)) return error
  const why = error.message.slice(`${error.operation}: ${error.code}: `.length)
  return new NftError(error.operation, { code: error.code, why }, { cause: error })
}

/** A table, chain, set, rule or element is not there; for an addition: what it goes into or refers to. */
export function isNotFound(error: unknown): boolean {
  return error instanceof NftError && error.code === 'ENOENT'
}

/** It is there already; for `add`: something else is, under the same name or key. */
export function isAlreadyExists(error: unknown): boolean {
  return error instanceof NftError && error.code === 'EEXIST'
}

/** The kernel has no nftables for the family: without types of chains, it says ENOENT of a chain that is added. */
export function isFamilyMissing(error: unknown): error is NftError {
  return error instanceof NftError && ['ENOENT', 'EOPNOTSUPP', 'EAFNOSUPPORT'].includes(error.code)
}

/** Something refers to it still. */
export function isBusy(error: unknown): boolean {
  return error instanceof NftError && error.code === 'EBUSY'
}
