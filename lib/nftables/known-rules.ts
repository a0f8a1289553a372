// The rules of tables, for as long as the ruleset's generation says that they are what was read. Every transaction of
// anybody counts it up (nf_tables_commit), so nothing that another process changes is missed. One of our own that is
// only about elements does not change rules: it counts up by one, and what was read stays true.

import type { NftOperation } from './operation.ts'
import type { NftRuleState } from './rule.ts'

/** More are somebody else's, and would be ours to keep. */
const MAX_RULES = 256

export class KnownRules {
  readonly #byTable = new Map<string, readonly NftRuleState[]>()
  /** In which they were read. */
  #generation = -1

  get isEmpty(): boolean {
    return this.#byTable.size === 0
  }

  find(table: string, generation: number): readonly NftRuleState[] | undefined {
    return generation === this.#generation ? this.#byTable.get(table) : undefined
  }

  /** @param generation  the same before they were read and after */
  keep(table: string, rules: readonly NftRuleState[], generation: number): void {
    if (generation !== this.#generation) this.#byTable.clear()
    this.#generation = generation
    if (rules.length <= MAX_RULES) this.#byTable.set(table, rules)
  }

  /** @param generation  that our transaction made */
  commit(transaction: readonly NftOperation[], generation: number): void {
    const isOurs = transaction.every((one) => 'elementsOf' in one) && isCertain(transaction)
    if (isOurs && generation === this.#generation + 1) this.#generation = generation
  }
}

/** Whether it counted up for certain: what only destroys may have found nothing to do. */
export function isCertain(transaction: readonly NftOperation[]): boolean {
  return transaction.some(isChange)
}

/** Done for certain, when it was not refused. (`add` of what is there changes nothing, but after its `destroy`.) */
function isChange({ verb }: NftOperation, at: number, all: readonly NftOperation[]): boolean {
  return verb === 'create' || verb === 'delete' || (verb === 'add' && all[at - 1]?.verb === 'destroy')
}
