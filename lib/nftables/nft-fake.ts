// The port in memory: what is there, what refers to what, and the kernel's refusals. It runs no packets, and does not
// look whether ranges overlap, hooks fit, or chains jump in circles.

import type { NftChain, NftHook } from './chain.ts'
import type { NftElement } from './element.ts'
import { NftError } from './error.ts'
import type { Expression } from './expression.ts'
import type { Nft } from './nft.ts'
import { type NftOperation, operationRequest, operationSummary } from './operation.ts'
import { type NftRule, type NftRuleState, ruleExpressions } from './rule.ts'
import { type RulesetTable, rulesetText } from './ruleset-text.ts'
import { isMap, isSameSet, type NftMap, type NftSet } from './set.ts'
import { type NftTable, tableName } from './table.ts'
import { verdictTarget } from './verdict.ts'

const REASONS = {
  ENOENT: 'no such file or directory',
  EEXIST: 'file already exists',
  EBUSY: 'resource busy or locked',
  EOPNOTSUPP: 'operation not supported',
  EINVAL: 'invalid argument',
  EPERM: 'operation not permitted',
} as const

class Refusal extends Error {
  readonly code: keyof typeof REASONS

  constructor(code: keyof typeof REASONS) {
    super(code)
    this.code = code
  }
}

interface FakeRule {
  readonly rule: NftRule
  readonly handle: bigint
}

interface FakeChain {
  readonly chain: NftChain
  readonly rules: FakeRule[]
}

interface FakeSet {
  readonly set: NftSet | NftMap
  /** By the text of their key. */
  readonly elements: Map<string, NftElement>
}

interface FakeTable {
  readonly table: NftTable
  readonly chains: Map<string, FakeChain>
  readonly sets: Map<string, FakeSet>
  /** Handles are never used twice. */
  lastHandle: bigint
}

type Ruleset = Map<string, FakeTable>

export interface NftFakeOptions {
  /** What the kernel was built with: nothing of nf_tables, all but the family bridge, or all of it. */
  readonly support?: 'none' | 'no bridge' | 'all'
  /** Asked before each transaction and list. @returns the code to refuse it with */
  readonly refuse?: (operation: string) => string | undefined
}

export class NftFake implements Nft {
  readonly #options: NftFakeOptions
  #ruleset: Ruleset = new Map()

  constructor(options: NftFakeOptions = {}) {
    this.#options = options
  }

  async apply(transaction: readonly NftOperation[]): Promise<void> {
    const [first] = transaction
    if (first === undefined) return
    this.#ask(operationSummary(first), 'EOPNOTSUPP')
    if (this.#options.support === 'no bridge') refuseBridgeHooks(transaction)
    const next = copyOf(this.#ruleset)
    for (const [i, operation] of transaction.entries()) {
      operationRequest(operation, i + 1) // what cannot be said to the kernel is refused here too
      try {
        run(next, operation)
      } catch (error) {
        if (!(error instanceof Refusal)) throw error
        const refusal = { code: error.code, why: REASONS[error.code] }
        throw new NftError(operationSummary(operation), refusal)
      }
    }
    this.#ruleset = next
  }

  async listTables(): Promise<NftTable[]> {
    this.#ask('list tables', 'EINVAL')
    return [...this.#ruleset.values()].map(({ table }) => table)
  }

  async listChains(table: NftTable): Promise<NftChain[]> {
    this.#ask('list chains', 'EINVAL')
    return [...(this.#table(table)?.chains.values() ?? [])].map(({ chain }) => chain)
  }

  async listBaseChains(hook: NftHook): Promise<NftChain[]> {
    this.#ask('list chains at hook', 'EINVAL')
    return [...this.#ruleset.values()]
      .flatMap(({ chains }) => [...chains.values()].map(({ chain }) => chain))
      .filter(({ base }) => base?.hook === hook)
  }

  async listSets(table: NftTable): Promise<(NftSet | NftMap)[]> {
    this.#ask('list sets', 'EINVAL')
    return [...(this.#table(table)?.sets.values() ?? [])].map(({ set }) => set)
  }

  async applyAndListRules(transaction: readonly NftOperation[], table: NftTable): Promise<NftRuleState[]> {
    await this.apply(transaction)
    return this.listRules(table)
  }

  async listRules(table: NftTable, name?: string): Promise<NftRuleState[]> {
    this.#ask('list rules', 'EINVAL')
    return [...(this.#table(table)?.chains.values() ?? [])]
      .filter(({ chain }) => name === undefined || chain.name === name)
      .flatMap(({ rules }) => rules.map(stateOf))
  }

  async listElements(set: NftSet | NftMap): Promise<NftElement[]> {
    this.#ask('list elements', 'EINVAL')
    return [...(this.#table(set.table)?.sets.get(set.name)?.elements.values() ?? [])]
  }

  async findElement(set: NftSet | NftMap, key: readonly string[]): Promise<NftElement | undefined> {
    this.#ask('get element', 'EINVAL')
    return this.#table(set.table)?.sets.get(set.name)?.elements.get(keyText(key))
  }

  close(): void {}

  /** All there is, as `nft -sy list ruleset` prints it. */
  dump(): string {
    return rulesetText([...this.#ruleset.values()].map(rulesetTable))
  }

  /** @param missing  what a kernel without nf_tables says */
  #ask(operation: string, missing: 'EINVAL' | 'EOPNOTSUPP'): void {
    if (this.#options.support === 'none')
      throw new NftError(operation, { code: missing, why: REASONS[missing] })
    const code = this.#options.refuse?.(operation)
    if (code !== undefined) throw new NftError(operation, { code, why: 'injected by the test' })
  }

  #table(table: NftTable): FakeTable | undefined {
    return this.#ruleset.get(tableName(table))
  }
}

/** Without CONFIG_NF_TABLES_BRIDGE the family has no types of chains (nf_tables_chain_type_lookup). */
function refuseBridgeHooks(transaction: readonly NftOperation[]): void {
  const base = transaction.find(
    (one) => 'chain' in one && one.chain.base && one.chain.table.family === 'bridge',
  )
  if (base === undefined) return
  throw new NftError(operationSummary(base), { code: 'ENOENT', why: REASONS.ENOENT })
}

function stateOf({ rule, handle }: FakeRule): NftRuleState {
  const expressions: Expression[] = ruleExpressions(rule)
  const comment = rule.comment === undefined ? {} : { comment: rule.comment }
  return { chain: rule.chain.name, handle, expressions, ...comment }
}

function rulesetTable({ table, chains, sets }: FakeTable): RulesetTable {
  return {
    table,
    sets: [...sets.values()].map(({ set, elements }) => ({ set, elements: [...elements.values()] })),
    chains: [...chains.values()].map(({ chain, rules }) => ({ chain, rules: rules.map(({ rule }) => rule) })),
  }
}

function copyOf(ruleset: Ruleset): Ruleset {
  const copyTable = ({ table, chains, sets, lastHandle }: FakeTable): FakeTable => ({
    table,
    chains: new Map([...chains].map(([name, { chain, rules }]) => [name, { chain, rules: [...rules] }])),
    sets: new Map([...sets].map(([name, { set, elements }]) => [name, { set, elements: new Map(elements) }])),
    lastHandle,
  })
  return new Map([...ruleset].map(([name, table]) => [name, copyTable(table)]))
}

function keyText(key: readonly string[]): string {
  return key.join(' . ')
}

function get<T>(map: ReadonlyMap<string, T>, name: string): T {
  const value = map.get(name)
  if (value === undefined) throw new Refusal('ENOENT')
  return value
}

function run(ruleset: Ruleset, operation: NftOperation): void {
  const tableOf = (table: NftTable) => get(ruleset, tableName(table))
  if ('table' in operation) runOnTable(ruleset, operation)
  else if ('chain' in operation) runOnChain(tableOf(operation.chain.table), operation)
  else if ('set' in operation) runOnSet(tableOf(operation.set.table), operation)
  else if ('elementsOf' in operation) runOnElements(tableOf(operation.elementsOf.table), operation)
  else if ('ruleIn' in operation) deleteRule(tableOf(operation.ruleIn), operation.rule)
  else addRule(tableOf(operation.rule.chain.table), operation)
}

type On<K extends string> = Extract<NftOperation, { readonly [P in K]: unknown }>

/** What the verbs have in common. @returns whether there is something to do: to make, or to take away */
function isEffective(isThere: boolean, verb: NftOperation['verb']): boolean {
  if (verb === 'create' && isThere) throw new Refusal('EEXIST')
  if ((verb === 'delete' || verb === 'flush') && !isThere) throw new Refusal('ENOENT')
  return verb === 'add' || verb === 'create' ? !isThere : isThere
}

function runOnTable(ruleset: Ruleset, { verb, table }: On<'table'>): void {
  const name = tableName(table)
  const present = ruleset.get(name)
  if (!isEffective(present !== undefined, verb)) return
  if (verb === 'flush') for (const { rules } of present?.chains.values() ?? []) rules.length = 0
  else if (present !== undefined) ruleset.delete(name)
  else ruleset.set(name, { table, chains: new Map(), sets: new Map(), lastHandle: 0n })
}

function runOnChain(table: FakeTable, { verb, chain }: On<'chain'>): void {
  const present = table.chains.get(chain.name)
  if (present !== undefined && verb === 'add') requireSameHook(chain, present.chain)
  if (!isEffective(present !== undefined, verb)) return
  if (present === undefined) {
    table.chains.set(chain.name, { chain, rules: [] })
  } else if (verb === 'flush') {
    present.rules.length = 0
  } else {
    if (isJumpedTo(table, chain)) throw new Refusal('EBUSY')
    table.chains.delete(chain.name)
  }
}

/** A chain stays at its hook (the refusals are those of Linux 6.4 and later); without one it is taken as it is. */
function requireSameHook({ base }: NftChain, { base: present }: NftChain): void {
  if (base === undefined) return
  if (present === undefined || base.type !== present.type) throw new Refusal('EEXIST')
  if (base.hook !== present.hook || base.priority !== present.priority) throw new Refusal('EOPNOTSUPP')
}

function isJumpedTo(table: FakeTable, chain: NftChain): boolean {
  const byRule = [...table.chains.values()].some(
    (other) =>
      other.chain.name !== chain.name && other.rules.some(({ rule }) => refersTo(rule, 'chain', chain.name)),
  )
  const byElement = [...table.sets.values()].some(({ elements }) =>
    [...elements.values()].some(({ value }) => verdictTarget(value?.[0] ?? '') === chain.name),
  )
  return byRule || byElement
}

function refersTo(rule: NftRule, what: 'set' | 'chain', name: string): boolean {
  return rule.body.some((statement) => statement.refersTo?.[what] === name)
}

function runOnSet(table: FakeTable, { verb, set }: On<'set'>): void {
  const present = table.sets.get(set.name)
  if (present !== undefined && verb === 'add' && !isSameSet(set, present.set)) throw new Refusal('EEXIST')
  if (!isEffective(present !== undefined, verb)) return
  if (present === undefined) {
    table.sets.set(set.name, { set, elements: new Map() })
  } else if (verb === 'flush') {
    present.elements.clear()
  } else {
    const chains = [...table.chains.values()]
    const isUsed = chains.some(({ rules }) => rules.some(({ rule }) => refersTo(rule, 'set', set.name)))
    if (isUsed) throw new Refusal('EBUSY')
    table.sets.delete(set.name)
  }
}

function runOnElements(table: FakeTable, { verb, elementsOf, elements }: On<'elementsOf'>): void {
  const { set, elements: present } = get(table.sets, elementsOf.name)
  for (const element of elements) {
    const key = keyText(element.key)
    const before = present.get(key)
    if (verb === 'add' || verb === 'create') {
      requireTarget(table, element)
      const isOther = isMap(set) && before !== undefined && before.value?.join() !== element.value?.join()
      if (verb === 'add' && isOther) throw new Refusal('EEXIST')
    }
    if (!isEffective(before !== undefined, verb)) continue
    if (before === undefined) present.set(key, element)
    else present.delete(key)
  }
}

function requireTarget(table: FakeTable, { value }: NftElement): void {
  const target = verdictTarget(value?.[0] ?? '')
  if (target !== undefined) get(table.chains, target)
}

function deleteRule(table: FakeTable, { chain, handle }: Pick<NftRuleState, 'chain' | 'handle'>): void {
  const { rules } = get(table.chains, chain)
  const index = rules.findIndex((rule) => rule.handle === handle)
  if (index < 0) throw new Refusal('ENOENT')
  rules.splice(index, 1)
}

function addRule(
  table: FakeTable,
  { verb, rule }: Extract<NftOperation, { verb: 'add' | 'insert'; rule: unknown }>,
): void {
  const { rules } = get(table.chains, rule.chain.name)
  for (const { refersTo: names } of rule.body) {
    if (names?.set !== undefined) get(table.sets, names.set)
    if (names?.chain !== undefined) get(table.chains, names.chain)
  }
  table.lastHandle += 1n
  const added = { rule, handle: table.lastHandle }
  if (verb === 'add') rules.push(added)
  else rules.unshift(added)
}
