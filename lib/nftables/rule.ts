// Rules (NFT_MSG_*RULE): a row of expressions, run in order until one of them says no.

import { readPayload } from '../netlink/request.ts'
import { chainName, type NftChain } from './chain.ts'
import { areSameExpressions, type Expression } from './expression.ts'
import { type Requirement, requirementExpressions } from './field.ts'
import { MESSAGES } from './messages.ts'
import type { NftStatement } from './statement.ts'
import type { NftTable } from './table.ts'
import { commentText, commentUserdata, readComment, UDATA } from './userdata.ts'

export interface NftRule {
  readonly chain: NftChain
  readonly body: readonly NftStatement[]
  readonly comment?: string
}

/** A rule as the kernel has it. Its body has no statements: those that made it are not known. */
export interface NftRuleState {
  /** The name of its chain. */
  readonly chain: string
  /** The kernel's name for it, unique in its table. */
  readonly handle: bigint
  readonly expressions: readonly Expression[]
  readonly comment?: string
}

/** `ip daddr 224.0.0.0/4 return comment "…"` */
export function bodyText(rule: NftRule): string {
  return rule.body.map((statement) => statement.text).join(' ') + commentText(rule.comment)
}

/** `inet podwire postrouting ip saddr vmap @masquerade_ipv4` */
export function ruleText(rule: NftRule): string {
  return `${chainName(rule.chain)} ${bodyText(rule)}`
}

/** The expressions of a rule's statements, with the matches that the text leaves out. */
export function ruleExpressions(rule: NftRule): Expression[] {
  const known = new Set<Requirement>()
  return rule.body.flatMap((statement) => {
    const missing = statement.requires.filter((requirement) => !known.has(requirement))
    for (const requirement of missing) known.add(requirement)
    const checks = [...new Set(missing)].flatMap((r) => requirementExpressions(rule.chain.table.family, r))
    return [...checks, ...statement.expressions]
  })
}

/** Whether a rule of the kernel does what this one says. Comments do not count. */
export function isSameBody(rule: NftRule, state: NftRuleState): boolean {
  return areSameExpressions(ruleExpressions(rule), state.expressions)
}

export function newRuleAttributes(rule: NftRule) {
  return {
    NFTA_RULE_TABLE: rule.chain.table.name,
    NFTA_RULE_CHAIN: rule.chain.name,
    NFTA_RULE_EXPRESSIONS: { NFTA_LIST_ELEM: ruleExpressions(rule) },
    ...commentUserdata('NFTA_RULE_USERDATA', rule.comment),
  }
}

export function ruleHandleAttributes(
  table: NftTable,
  { chain, handle }: Pick<NftRuleState, 'chain' | 'handle'>,
) {
  return { NFTA_RULE_TABLE: table.name, NFTA_RULE_CHAIN: chain, NFTA_RULE_HANDLE: handle }
}

/** @throws RangeError when the payload is none of a rule */
export function readRule(payload: Uint8Array): NftRuleState {
  const { attributes: a } = readPayload(MESSAGES.rule.NEW, payload)
  const comment = readComment(a.NFTA_RULE_USERDATA, UDATA.rule.comment)
  return {
    chain: a.NFTA_RULE_CHAIN ?? '',
    handle: a.NFTA_RULE_HANDLE ?? 0n,
    expressions: a.NFTA_RULE_EXPRESSIONS?.NFTA_LIST_ELEM ?? [],
    ...(comment === undefined ? {} : { comment }),
  }
}
