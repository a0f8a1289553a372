// Destroys for kernels that know only deletes (Linux before 6.3): what is there is deleted, what is not is left out.

import { chainName } from './chain.ts'
import type { NftElement } from './element.ts'
import { NftError } from './error.ts'
import type { Nft } from './nft.ts'
import { type NftOperation, operationSummary } from './operation.ts'
import { type NftSet, setName } from './set.ts'
import { type NftTable, tableName } from './table.ts'

/** The transaction with every destroy made a delete, or dropped. What is there may change before it is applied. */
export async function withoutDestroys(
  nft: Nft,
  transaction: readonly NftOperation[],
): Promise<NftOperation[]> {
  const added = new Set<string>()
  const resolved: NftOperation[] = []
  for (const operation of transaction) {
    if (operation.verb === 'destroy') {
      resolved.push(...(await resolve(nft, operation, added)))
      continue
    }
    for (const name of objectNames(operation)) {
      if (operation.verb === 'delete') added.delete(name)
      else added.add(name)
    }
    resolved.push(operation)
  }
  return resolved
}

/**
 * @param added  by earlier operations of the transaction
 * @throws NftError ENOENT when what it would be in is not there: the kernel's own destroy says so too
 */
async function resolve(nft: Nft, operation: NftOperation, added: Set<string>): Promise<NftOperation[]> {
  if ('elementsOf' in operation) {
    const { elementsOf, elements } = operation
    const present: NftElement[] = []
    for (const element of elements) {
      const isAdded = added.has(elementName(elementsOf, element))
      if (isAdded || (await nft.findElement(elementsOf, element.key)) !== undefined) present.push(element)
    }
    if (present.length > 0) return [{ verb: 'delete', elementsOf, elements: present }]
    if (!added.has(setName(elementsOf)) && !(await hasSet(nft, elementsOf))) throw notFound(operation)
    return []
  }
  const isAdded = objectNames(operation).some((name) => added.has(name))
  return isAdded || (await isThere(nft, operation, added))
    ? [{ ...operation, verb: 'delete' } as NftOperation]
    : []
}

async function hasSet(nft: Nft, set: NftSet): Promise<boolean> {
  return (await nft.listSets(set.table)).some(({ name }) => name === set.name)
}

async function isThere(nft: Nft, operation: NftOperation, added: Set<string>): Promise<boolean> {
  if ('table' in operation) return hasTable(nft, operation.table)
  const table =
    'chain' in operation ? operation.chain.table : 'set' in operation ? operation.set.table : undefined
  if (table !== undefined && !added.has(`table ${tableName(table)}`) && !(await hasTable(nft, table))) {
    throw notFound(operation)
  }
  if ('chain' in operation) {
    const chains = await nft.listChains(operation.chain.table)
    return chains.some(({ name }) => name === operation.chain.name)
  }
  return 'set' in operation && hasSet(nft, operation.set)
}

async function hasTable(nft: Nft, table: NftTable): Promise<boolean> {
  return (await nft.listTables()).some((one) => tableName(one) === tableName(table))
}

function notFound(operation: NftOperation): NftError {
  return new NftError(operationSummary(operation), { code: 'ENOENT', why: 'no such file or directory' })
}

function objectNames(operation: NftOperation): string[] {
  if ('table' in operation) return [`table ${tableName(operation.table)}`]
  if ('chain' in operation) return [`chain ${chainName(operation.chain)}`]
  if ('set' in operation) return [setName(operation.set)]
  if ('elementsOf' in operation)
    return operation.elements.map((element) => elementName(operation.elementsOf, element))
  return []
}

function elementName(set: NftSet, { key }: NftElement): string {
  return `${setName(set)} ${key.join(' . ')}`
}
