// What a table is to have, as data: sets, and chains with their rules. Others may take any of it away, or add to it;
// it is compared with what is there, and made whole in one transaction, in which elements stay.

import { baseText, chainName, type NftChain } from './chain.ts'
import type { Nft } from './nft.ts'
import type { NftOperation } from './operation.ts'
import { bodyText, isSameBody, type NftRule, type NftRuleState } from './rule.ts'
import type { NftMap, NftSet } from './set.ts'
import type { NftStatement } from './statement.ts'
import type { NftTable } from './table.ts'

export interface ChainLayout {
  readonly chain: NftChain
  /** Its rules, in order; undefined when they are somebody's own, who finds the chain there. */
  readonly bodies: readonly (readonly NftStatement[])[] | undefined
}

export interface Layout {
  readonly table: NftTable
  readonly sets: readonly (NftSet | NftMap)[]
  readonly chains: readonly ChainLayout[]
}

/**
 * Makes it, whatever part of it is there. Rules in its chains that are not in the layout go; other chains stay.
 *
 * @param present  the chains of the table there are
 */
export function layoutOperations(
  { table, sets, chains }: Layout,
  present: readonly NftChain[],
): NftOperation[] {
  // A chain cannot be moved to another hook. Nothing jumps to one that has a hook.
  const misplaced = chains
    .map(({ chain }) => chain)
    .filter((chain) => chain.base !== undefined && hookText(chain) !== presentHook(chain, present))
  return [
    { verb: 'add', table },
    ...sets.map((set) => ({ verb: 'add', set }) as const),
    ...misplaced.map((chain) => ({ verb: 'destroy', chain }) as const),
    // All of them before the rules, which jump from one to another.
    ...chains.flatMap(({ chain, bodies }): NftOperation[] => [
      { verb: 'add', chain },
      ...(bodies === undefined ? [] : [{ verb: 'flush', chain } as const]),
    ]),
    ...chains.flatMap((one) => rulesOf(one).map((rule) => ({ verb: 'add', rule }) as const)),
  ]
}

function hookText({ base }: NftChain): string {
  return base === undefined ? 'no hook' : baseText(base)
}

/** Of one that is not there: where it would be made. */
function presentHook(chain: NftChain, present: readonly NftChain[]): string {
  return hookText(present.find(({ name }) => name === chain.name) ?? chain)
}

function rulesOf({ chain, bodies }: ChainLayout): NftRule[] {
  return (bodies ?? []).map((body) => ({ chain, body }))
}

/** @returns a text for each chain that is not as in the layout: `chain inet podwire hostports: missing` */
export async function checkLayout(nft: Nft, { table, chains }: Layout): Promise<string[]> {
  const [present, rules] = await Promise.all([nft.listChains(table), nft.listRules(table)])
  return chains.flatMap((one) => chainDifferences(one, present, rules))
}

function chainDifferences(
  { chain, bodies }: ChainLayout,
  present: readonly NftChain[],
  rules: readonly NftRuleState[],
): string[] {
  const subject = `chain ${chainName(chain)}`
  const there = present.find(({ name }) => name === chain.name)
  if (there === undefined) return [`${subject}: missing`]
  const [found, expected] = [hookText(there), hookText(chain)]
  const misplaced =
    found === expected ? [] : [`${subject}: ${JSON.stringify(found)} instead of ${JSON.stringify(expected)}`]
  if (bodies === undefined) return misplaced
  const states = rules.filter((state) => state.chain === chain.name)
  return [...misplaced, ...ruleDifferences(subject, rulesOf({ chain, bodies }), states)]
}

function ruleDifferences(
  subject: string,
  expected: readonly NftRule[],
  present: readonly NftRuleState[],
): string[] {
  const differing = expected.find((rule, i) => present[i] === undefined || !isSameBody(rule, present[i]))
  if (differing !== undefined)
    return [`${subject}: no rule ${JSON.stringify(bodyText(differing))} in its place`]
  const surplus = present.length - expected.length
  return surplus > 0 ? [`${subject}: ${surplus} rule${surplus === 1 ? '' : 's'} too many`] : []
}
