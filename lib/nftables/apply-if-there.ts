// A transaction that takes what it needs for granted, which is the cheapest way to find out whether it is there.

import { isNotFound } from './error.ts'
import type { Nft } from './nft.ts'
import type { NftOperation } from './operation.ts'

/** @returns false when something that the operations need is not there */
export async function applyIfThere(nft: Nft, operations: readonly NftOperation[]): Promise<boolean> {
  const applied = await ifThere(nft.apply(operations).then(() => true))
  return applied === true
}

/** @returns undefined when something is not there */
export async function ifThere<T>(work: Promise<T>): Promise<T | undefined> {
  try {
    return await work
  } catch (error) {
    if (isNotFound(error)) return undefined
    throw error
  }
}
