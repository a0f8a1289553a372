// The table `inet podwire`, and in it the masquerading of pods: what a pod sends out of its subnet leaves under the
// node's address, so that the answers find back.
//
//   table inet podwire {
//     map masquerade_ipv4 {
//       type ipv4_addr : verdict
//       elements = { 10.1.0.5 comment "net 0a1b eth0" : goto subnet_10.1.0.0_24 }
//     }
//     chain postrouting {
//       type nat hook postrouting priority srcnat; policy accept;
//       ip saddr vmap @masquerade_ipv4
//       ip6 saddr vmap @masquerade_ipv6
//     }
//     chain subnet_10.1.0.0_24 {
//       ip daddr 224.0.0.0/4 return
//       ip daddr 10.1.0.0/24 return
//       masquerade
//     }
//   }
//
// A pod is one element; a subnet is one chain, which stays when its last pod goes. A packet that is of no pod costs
// one look into a hash table.

import type { Family, IpAddress } from '../ip/address.ts'
import { Prefix } from '../ip/prefix.ts'
import { baseText, type NftChain, PRIORITY } from './chain.ts'
import type { NftElement } from './element.ts'
import { daddr, saddr } from './field.ts'
import type { NftOperation } from './operation.ts'
import { bodyText, isSameBody, type NftRule, type NftRuleState } from './rule.ts'
import { type NftMap, setName } from './set.ts'
import { equals, masquerade, returnVerdict, verdictMap } from './statement.ts'
import type { NftTable } from './table.ts'

export interface MasqueradeEntry {
  /** The pod's. */
  readonly address: IpAddress
  /** The pod's network: what it sends there keeps its address. */
  readonly subnet: Prefix
  /** Whose the element is: `<network> <containerId> <ifname>`; 253 bytes at most, no double quotes. */
  readonly comment: string
}

export const podwireTable: NftTable = {
  family: 'inet',
  name: 'podwire',
  comment: 'pods wired by podwire: changes are found and undone',
}

export const FAMILIES = [4, 6] as const
/** Of a key that is an address of the family. */
export const ADDRESS_TYPE = { 4: 'ipv4_addr', 6: 'ipv6_addr' } as const
const MULTICAST = { 4: '224.0.0.0/4', 6: 'ff00::/8' } as const

export const masqueradeMaps: Readonly<Record<Family, NftMap>> = {
  4: masqueradeMap(4),
  6: masqueradeMap(6),
}

function masqueradeMap(family: Family): NftMap {
  const name = `masquerade_ipv${family}`
  const comment = 'pods that leave under the address of the node, by their own'
  return { table: podwireTable, name, type: [ADDRESS_TYPE[family]], value: 'verdict', comment }
}

export const postroutingChain: NftChain = {
  table: podwireTable,
  name: 'postrouting',
  base: { type: 'nat', hook: 'postrouting', priority: PRIORITY.srcnat, policy: 'accept' },
}

const postroutingRules: readonly NftRule[] = FAMILIES.map((family) => ({
  chain: postroutingChain,
  body: [verdictMap([saddr(family)], masqueradeMaps[family])],
}))

/** `subnet_10.1.0.0_24`, `subnet_fd00--_64`: a chain's name takes no slash that every nft reads, and no colon. */
function subnetChain(subnet: Prefix): NftChain {
  const name = `subnet_${subnet.masked().toString().replaceAll(':', '-').replace('/', '_')}`
  return { table: podwireTable, name }
}

export function subnetOfChain(name: string): Prefix | undefined {
  const text = /^subnet_([0-9a-f.-]+)_([0-9]+)$/.exec(name)
  if (text === null) return undefined
  try {
    return Prefix.parse(`${(text[1] ?? '').replaceAll('-', ':')}/${text[2]}`)
  } catch {
    return undefined // a chain that someone else named like ours
  }
}

function subnetRules(subnet: Prefix): NftRule[] {
  const chain = subnetChain(subnet)
  const to = daddr(subnet.family)
  return [
    { chain, body: [equals(to, MULTICAST[subnet.family]), returnVerdict] },
    { chain, body: [equals(to, subnet.masked().toString()), returnVerdict] },
    { chain, body: [masquerade] },
  ]
}

export function subnetsOf(entries: readonly MasqueradeEntry[]): Prefix[] {
  return distinct(entries.map(({ subnet }) => subnet.masked()))
}

export function distinct(subnets: readonly Prefix[]): Prefix[] {
  return [...new Map(subnets.map((subnet) => [subnet.toString(), subnet])).values()]
}

function chainsWithRules(subnets: readonly Prefix[]): Map<NftChain, readonly NftRule[]> {
  return new Map([
    [postroutingChain, postroutingRules],
    ...subnets.map((subnet) => [subnetChain(subnet), subnetRules(subnet)] as const),
  ])
}

/**
 * Makes the table, the maps, and the chains of the subnets, whatever part of them is there; rules that are not ours
 * go. The elements of pods stay. One transaction: other processes may do the same at once.
 *
 * @param present  the chains there are
 */
export function tableOperations(subnets: readonly Prefix[], present: readonly NftChain[]): NftOperation[] {
  const rest = [...chainsWithRules(subnets)].flatMap(([chain, rules]): NftOperation[] => [
    { verb: 'add', chain },
    { verb: 'flush', chain },
    ...rules.map((rule) => ({ verb: 'add', rule }) as const),
  ])
  // A chain cannot be moved to another hook. Nothing jumps to this one.
  const hooked = present.find(({ name }) => name === postroutingChain.name)
  const isWrong = hooked !== undefined && hookText(hooked) !== hookText(postroutingChain)
  return [
    { verb: 'add', table: podwireTable },
    ...FAMILIES.map((family) => ({ verb: 'add', set: masqueradeMaps[family] }) as const),
    ...(isWrong ? [{ verb: 'destroy', chain: postroutingChain } as const] : []),
    ...rest,
  ]
}

export function elementOf({ address, subnet, comment }: MasqueradeEntry): NftElement {
  return { key: [address.toString()], value: [`goto ${subnetChain(subnet).name}`], comment }
}

export function hookDifferences(actual: NftChain | undefined): string[] {
  const subject = `chain inet podwire ${postroutingChain.name}`
  return actual === undefined
    ? [`${subject}: missing`]
    : difference(`${subject}:`, hookText(actual), hookText(postroutingChain))
}

function hookText({ base }: NftChain): string | undefined {
  return base && baseText(base)
}

export function ruleDifferences(subnets: readonly Prefix[], actual: readonly NftRuleState[]): string[] {
  return [...chainsWithRules(subnets)].flatMap(([chain, expected]) => {
    const present = actual.filter((state) => state.chain === chain.name)
    const subject = `chain inet podwire ${chain.name}`
    const differing = expected.find((rule, i) => present[i] === undefined || !isSameBody(rule, present[i]))
    if (differing !== undefined)
      return [`${subject}: no rule ${JSON.stringify(bodyText(differing))} in its place`]
    const surplus = present.length - expected.length
    return surplus > 0 ? [`${subject}: ${surplus} rule${surplus === 1 ? '' : 's'} too many`] : []
  })
}

export function elementDifferences(entry: MasqueradeEntry, actual: NftElement | undefined): string[] {
  const expected = elementOf(entry)
  const subject = `element ${setName(masqueradeMaps[entry.address.family])} { ${entry.address} }`
  if (actual === undefined) return [`${subject}: missing`]
  return [
    ...difference(`${subject}: verdict`, actual.value?.[0], expected.value?.[0]),
    ...difference(`${subject}: comment`, actual.comment, expected.comment),
  ]
}

function difference(subject: string, actual: string | undefined, expected: string | undefined): string[] {
  const found = actual === undefined ? 'nothing' : JSON.stringify(actual)
  return actual === expected ? [] : [`${subject} ${found} instead of ${JSON.stringify(expected)}`]
}
