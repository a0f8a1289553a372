// What a transaction is made of. Each operation is one message to the kernel, and one line of `nft`.

import { AddressError } from '../ip/address.ts'
import { NLM_F_APPEND, NLM_F_CREATE, NLM_F_EXCL } from '../netlink/message.ts'
import { type Request, request } from '../netlink/request.ts'
import { chainName, chainText, type NftChain, newChainAttributes } from './chain.ts'
import { elementListAttributes, elementsText, type NftElement } from './element.ts'
import { NftError } from './error.ts'
import { MESSAGES, NFPROTO, type NftFamily } from './messages.ts'
import { type NftRule, type NftRuleState, newRuleAttributes, ruleHandleAttributes, ruleText } from './rule.ts'
import { isMap, type NftMap, type NftSet, newSetAttributes, setName, setText } from './set.ts'
import { type NftTable, newTableAttributes, tableName, tableText } from './table.ts'

/**
 * - add: fine when it is there already and the same (an element keeps its comment)
 * - create: EEXIST when it is there
 * - delete: ENOENT when it is not there
 * - destroy: fine when it is not there, as long as what it would be in is
 * - flush: of a table, the rules of all its chains; of a chain, its rules; of a set, its elements
 */
export type NftVerb = 'add' | 'create' | 'delete' | 'destroy' | 'flush'

export type NftOperation =
  | { readonly verb: NftVerb; readonly table: NftTable }
  | { readonly verb: NftVerb; readonly chain: NftChain }
  | { readonly verb: NftVerb; readonly set: NftSet | NftMap }
  | {
      readonly verb: Exclude<NftVerb, 'flush'>
      readonly elementsOf: NftSet | NftMap
      readonly elements: readonly NftElement[]
    }
  | { readonly verb: 'add' | 'insert'; readonly rule: NftRule }
  | {
      readonly verb: 'delete'
      readonly ruleIn: NftTable
      readonly rule: Pick<NftRuleState, 'chain' | 'handle'>
    }

/** How many elements of a list are named before the rest is counted. */
const NAMED_ELEMENTS = 3

/** The operation as the line of `nft` that does the same. */
export function operationText(operation: NftOperation): string {
  const { verb } = operation
  const isNew = verb === 'add' || verb === 'create'
  if ('table' in operation)
    return `${verb} table ${isNew ? tableText(operation.table) : tableName(operation.table)}`
  if ('chain' in operation)
    return `${verb} chain ${isNew ? chainText(operation.chain) : chainName(operation.chain)}`
  if ('set' in operation) {
    const word = isMap(operation.set) ? 'map' : 'set'
    return `${verb} ${word} ${isNew ? setText(operation.set) : setName(operation.set)}`
  }
  if ('elementsOf' in operation) {
    const elements = isNew ? operation.elements : operation.elements.map(({ key }) => ({ key }))
    return `${verb} element ${elementsText(operation.elementsOf, elements)}`
  }
  if ('ruleIn' in operation) {
    return `${verb} rule ${tableName(operation.ruleIn)} ${operation.rule.chain} handle ${operation.rule.handle}`
  }
  return `${verb} rule ${ruleText(operation.rule)}`
}

/** The same for errors and traces: of many elements only the first. */
export function operationSummary(operation: NftOperation): string {
  if (!('elementsOf' in operation) || operation.elements.length <= NAMED_ELEMENTS)
    return operationText(operation)
  const named = operation.elements.slice(0, NAMED_ELEMENTS)
  const rest = operation.elements.length - named.length
  return operationText({ ...operation, elements: named }).replace(/ }$/, `, … ${rest} more }`)
}

const VERB_FLAGS = {
  add: NLM_F_CREATE,
  create: NLM_F_CREATE | NLM_F_EXCL,
  delete: 0,
  destroy: 0,
  flush: 0,
} as const
const VERB_MESSAGE = { add: 'NEW', create: 'NEW', delete: 'DEL', destroy: 'DESTROY', flush: 'DEL' } as const

/**
 * The operation as a request.
 *
 * @param id  unlike that of every other operation in the transaction
 * @throws NftError ERANGE when a value does not fit its type, or elements are more than fit into one message (64 KiB)
 */
export function operationRequest(operation: NftOperation, id: number): Request {
  try {
    return toRequest(operation, id)
  } catch (cause) {
    if (!(cause instanceof RangeError || cause instanceof AddressError)) throw cause
    throw new NftError(operationSummary(operation), { code: 'ERANGE', why: cause.message }, { cause })
  }
}

function toRequest(operation: NftOperation, id: number): Request {
  const { verb } = operation
  const about = { operation: operationSummary(operation), header: familyHeader(familyOf(operation)) }
  if ('rule' in operation) return ruleRequest(operation, about)
  const flags = VERB_FLAGS[verb as NftVerb]
  const message = VERB_MESSAGE[verb as NftVerb]
  const isNew = message === 'NEW'
  if ('table' in operation) {
    // To flush a table is to delete the rules in it, whatever their chain.
    if (verb === 'flush')
      return request(MESSAGES.rule.DEL, { ...about, attributes: { NFTA_RULE_TABLE: operation.table.name } })
    const name = { NFTA_TABLE_NAME: operation.table.name }
    const attributes = isNew ? newTableAttributes(operation.table) : name
    return request(MESSAGES.table[message], { ...about, flags, attributes })
  }
  if ('chain' in operation) {
    const { table, name } = operation.chain
    if (verb === 'flush') {
      return request(MESSAGES.rule.DEL, {
        ...about,
        attributes: { NFTA_RULE_TABLE: table.name, NFTA_RULE_CHAIN: name },
      })
    }
    const place = { NFTA_CHAIN_TABLE: table.name, NFTA_CHAIN_NAME: name }
    const attributes = isNew ? newChainAttributes(operation.chain) : place
    return request(MESSAGES.chain[message], { ...about, flags, attributes })
  }
  if ('set' in operation) {
    const { set } = operation
    if (verb === 'flush') {
      return request(MESSAGES.element.DEL, {
        ...about,
        attributes: elementListAttributes(set, [], { detail: 'key' }),
      })
    }
    const attributes = isNew
      ? newSetAttributes(set, id)
      : { NFTA_SET_TABLE: set.table.name, NFTA_SET_NAME: set.name }
    return request(MESSAGES.set[message], { ...about, flags, attributes })
  }
  const detail = isNew ? 'whole' : 'key'
  const attributes = elementListAttributes(operation.elementsOf, operation.elements, { detail })
  return request(MESSAGES.element[message], { ...about, flags, attributes })
}

type RuleOperation = Extract<NftOperation, { rule: unknown }>

function ruleRequest(
  operation: RuleOperation,
  about: { operation: string; header: { nfgen_family: number } },
): Request {
  if ('ruleIn' in operation) {
    const attributes = ruleHandleAttributes(operation.ruleIn, operation.rule)
    return request(MESSAGES.rule.DEL, { ...about, attributes })
  }
  // Without NLM_F_APPEND the rule goes before all others.
  const flags = operation.verb === 'add' ? NLM_F_CREATE | NLM_F_APPEND : NLM_F_CREATE
  return request(MESSAGES.rule.NEW, { ...about, flags, attributes: newRuleAttributes(operation.rule) })
}

/** @param family  `unspec`, in a list: all of them */
export function familyHeader(family: NftFamily | 'unspec'): { nfgen_family: number } {
  return { nfgen_family: family === 'unspec' ? 0 : NFPROTO[family] }
}

function familyOf(operation: NftOperation): NftFamily {
  if ('table' in operation) return operation.table.family
  if ('chain' in operation) return operation.chain.table.family
  if ('set' in operation) return operation.set.table.family
  if ('elementsOf' in operation) return operation.elementsOf.table.family
  if ('ruleIn' in operation) return operation.ruleIn.family
  return operation.rule.chain.table.family
}
