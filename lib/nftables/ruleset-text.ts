// A rule set in the words and the layout of `nft list ruleset`.

import { baseText, type NftChain } from './chain.ts'
import { elementText, type NftElement } from './element.ts'
import { bodyText, type NftRule } from './rule.ts'
import { isMap, type NftMap, type NftSet, setLines } from './set.ts'
import { type NftTable, tableName } from './table.ts'

export interface RulesetTable {
  readonly table: NftTable
  readonly sets: readonly { readonly set: NftSet | NftMap; readonly elements: readonly NftElement[] }[]
  readonly chains: readonly { readonly chain: NftChain; readonly rules: readonly NftRule[] }[]
}

/** As `nft -sy list ruleset` prints it: priorities as numbers, counters without their counts. */
export function rulesetText(tables: readonly RulesetTable[]): string {
  return tables.map((table) => `${lines(table).join('\n')}\n`).join('\n')
}

function lines({ table, sets, chains }: RulesetTable): string[] {
  const comment = table.comment === undefined ? [] : [`comment "${table.comment}"`]
  const blocks = [
    ...sets.map(({ set, elements }) =>
      block(`${isMap(set) ? 'map' : 'set'} ${set.name}`, [...setLines(set), ...elementLines(elements)]),
    ),
    ...chains.map(({ chain, rules }) =>
      block(`chain ${chain.name}`, [...chainLines(chain), ...rules.map(bodyText)]),
    ),
  ]
  const separated = blocks.flatMap((one, i) => (i === 0 ? one : ['', ...one]))
  return [`table ${tableName(table)} {`, ...[...comment, ...separated].map(indent), '}']
}

function block(head: string, body: readonly string[]): string[] {
  return [`${head} {`, ...body.map(indent), '}']
}

function indent(line: string): string {
  return line === '' ? '' : `\t${line}`
}

function elementLines(elements: readonly NftElement[]): string[] {
  return elements.length === 0 ? [] : [`elements = { ${elements.map(elementText).join(', ')} }`]
}

function chainLines({ base, comment }: NftChain): string[] {
  return [
    ...(comment === undefined ? [] : [`comment "${comment}"`]),
    ...(base === undefined ? [] : [baseText(base)]),
  ]
}
