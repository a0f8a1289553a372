// The port to nf_tables of one network namespace. `NftSocket` is the kernel's, `NftFake` keeps its state in
// memory; one contract suite holds for both (nft.contract.ts).

import type { NftChain, NftHook } from './chain.ts'
import type { NftElement } from './element.ts'
import type { NftOperation } from './operation.ts'
import type { NftRuleState } from './rule.ts'
import type { NftMap, NftSet } from './set.ts'
import type { NftTable } from './table.ts'

/**
 * Lists are consistent: those that a change comes into are read again. Of a table or a set that is not there they
 * are empty.
 *
 * @throws NftError with the kernel's code and the operation that it refused
 */
export interface Nft {
  /**
   * Does all of the operations, in order, or none of them.
   *
   * @throws NftError of the first operation that is refused; EMSGSIZE when all together are larger than the kernel
   *   takes at once (about 200 KB: some 1,000 elements with comments)
   */
  apply(transaction: readonly NftOperation[]): Promise<void>
  /** As `apply`, and lists the table's rules as they are then. */
  applyAndListRules(transaction: readonly NftOperation[], table: NftTable): Promise<readonly NftRuleState[]>
  listTables(): Promise<NftTable[]>
  listChains(table: NftTable): Promise<NftChain[]>
  /** Those of all tables that the kernel calls at this hook. */
  listBaseChains(hook: NftHook): Promise<NftChain[]>
  listSets(table: NftTable): Promise<(NftSet | NftMap)[]>
  /**
   * In their chains' order, and within a chain in the order they run in.
   *
   * @param chain  the name of one, instead of all
   */
  listRules(table: NftTable, chain?: string): Promise<readonly NftRuleState[]>
  listElements(set: NftSet | NftMap): Promise<NftElement[]>
  /** One element, without reading the others. @returns undefined also when the set is not there */
  findElement(set: NftSet | NftMap, key: readonly string[]): Promise<NftElement | undefined>
  close(): void
}
