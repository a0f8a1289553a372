// Masquerading pods: adding, removing, listing and checking them in the table `inet podwire`, whose layout is in
// masquerade-rules.ts. Several processes may do so at once.

import { type Family, IpAddress } from '../ip/address.ts'
import type { Prefix } from '../ip/prefix.ts'
import { applyIfThere, ifThere } from './apply-if-there.ts'
import type { NftElement } from './element.ts'
import { chunks, findElements } from './find-elements.ts'
import {
  distinct,
  elementDifferences,
  elementOf,
  FAMILIES,
  hookDifferences,
  type MasqueradeEntry,
  masqueradeMaps,
  podwireTable,
  postroutingChain,
  ruleDifferences,
  subnetOfChain,
  subnetsOf,
  tableOperations,
} from './masquerade-rules.ts'
import type { Nft } from './nft.ts'
import type { NftOperation } from './operation.ts'
import type { NftRuleState } from './rule.ts'
import { verdictTarget } from './verdict.ts'

export type { MasqueradeEntry }

/** An element as found: of a subnet that was not made by us nothing is known. */
export type MasqueradeElement = Omit<MasqueradeEntry, 'subnet'> & { readonly subnet?: Prefix }

/** So few that every one of them may have a subnet of its own: 5 operations each, of the 200 of a transaction. */
const ADDED_AT_ONCE = 30
const REMOVED_AT_ONCE = 250

/** @param verbs  done in order to the elements of each family */
function elementOperations(
  elements: ReadonlyMap<Family, readonly NftElement[]>,
  verbs: readonly ('add' | 'delete' | 'destroy')[],
): NftOperation[] {
  return [...elements].flatMap(([family, list]) =>
    verbs.map((verb) => ({ verb, elementsOf: masqueradeMaps[family], elements: list })),
  )
}

function byFamily<T extends { readonly address: IpAddress }>(entries: readonly T[]): Map<Family, T[]> {
  return Map.groupBy(entries, ({ address }) => address.family)
}

/**
 * Masquerades pods. What is there already under an address is of a pod that is no more, and is replaced.
 *
 * Costs one transaction and one list of rules when the table is as it should be; else it is made so, and the
 * transaction done again with it. All or nothing, up to 30 entries.
 *
 * @returns whether the table was not as it should be: then other pods' elements may be gone too
 * @throws NftError EEXIST when something that is not ours has the name of the table's maps
 */
export async function addMasquerade(nft: Nft, entries: readonly MasqueradeEntry[]): Promise<boolean> {
  let isMended = false
  for (const chunk of chunks(entries, ADDED_AT_ONCE)) {
    const elements = new Map([...byFamily(chunk)].map(([family, list]) => [family, list.map(elementOf)]))
    const replace = elementOperations(elements, ['destroy', 'add'])
    const subnets = subnetsOf(chunk)
    const rules = await ifThere(nft.applyAndListRules(replace, podwireTable))
    if (rules !== undefined && areSound(rules, subnets)) continue
    await mend(nft, subnets, replace)
    isMended = true
  }
  return isMended
}

/** For which subnets a list was found as it should be: one that has not changed is the same list. */
const sound = new WeakMap<readonly NftRuleState[], Set<string>>()

function areSound(rules: readonly NftRuleState[], subnets: readonly Prefix[]): boolean {
  const known = sound.get(rules) ?? new Set()
  const key = subnets.join(' ')
  if (known.has(key)) return true
  if (ruleDifferences(subnets, rules).length > 0) return false
  sound.set(rules, known.add(key))
  return true
}

/** Makes the table whole for these subnets, with the pods' elements; and then for all others that have a chain. */
async function mend(nft: Nft, subnets: readonly Prefix[], elements: readonly NftOperation[]): Promise<void> {
  const chains = await nft.listChains(podwireTable)
  await nft.apply([...tableOperations(subnets, chains), ...elements])
  // Where one has lost its rules, all may have (`nft flush table`).
  const others = distinct(chains.flatMap(({ name }) => subnetOfChain(name) ?? []))
  const rules = await nft.listRules(podwireTable)
  const damaged = others.filter((subnet) => ruleDifferences([subnet], rules).length > 0)
  for (const chunk of chunks(damaged, ADDED_AT_ONCE)) await nft.apply(tableOperations(chunk, []))
}

/**
 * Takes pods' elements away. What is not there is fine; what is another's by its comment stays: the address may
 * have been given to a new pod since.
 */
export async function removeMasquerade(nft: Nft, entries: readonly MasqueradeElement[]): Promise<void> {
  const found = await findMasquerade(nft, entries)
  const ours = entries.filter(
    (entry, i) => found[i] !== undefined && (found[i].comment ?? '') === entry.comment,
  )
  for (const chunk of chunks(ours, REMOVED_AT_ONCE)) {
    const keys = new Map([...byFamily(chunk)].map(([family, list]) => [family, list.map(keyOf)]))
    // To delete what is there is a change for certain, by which rules that are known stay known.
    const isDone = await applyIfThere(nft, elementOperations(keys, ['delete']))
    if (!isDone) await applyIfThere(nft, elementOperations(keys, ['destroy']))
  }
}

function keyOf({ address }: { readonly address: IpAddress }): NftElement {
  return { key: [address.toString()] }
}

/** The elements under the addresses, in their order. */
async function findMasquerade(
  nft: Nft,
  entries: readonly { readonly address: IpAddress }[],
): Promise<(NftElement | undefined)[]> {
  return findElements(
    nft,
    entries.map((entry) => ({ set: masqueradeMaps[entry.address.family], element: keyOf(entry) })),
  )
}

async function listAllElements(nft: Nft): Promise<NftElement[]> {
  const lists = await Promise.all(FAMILIES.map((family) => nft.listElements(masqueradeMaps[family])))
  return lists.flat()
}

/** Every pod that is masqueraded, for garbage collection: whose an element is, its comment says. */
export async function listMasquerade(nft: Nft): Promise<MasqueradeElement[]> {
  return (await listAllElements(nft)).map(({ key, value, comment = '' }) => {
    const subnet = subnetOfChain(verdictTarget(value?.[0] ?? '') ?? '')
    return { address: IpAddress.parse(key[0] ?? ''), comment, ...(subnet === undefined ? {} : { subnet }) }
  })
}

/**
 * What stands between the kernel's state and the pods' being masqueraded.
 *
 * @returns one text for each difference: `element inet podwire masquerade_ipv4 { 10.1.0.5 }: missing`
 */
export async function checkMasquerade(nft: Nft, entries: readonly MasqueradeEntry[]): Promise<string[]> {
  if (entries.length === 0) return [] // then the table need not be there
  const [shared, found] = await Promise.all([
    checkMasqueradeTable(nft, subnetsOf(entries)),
    findMasquerade(nft, entries),
  ])
  return [...shared, ...entries.flatMap((entry, i) => elementDifferences(entry, found[i]))]
}

/** The same for what the pods of these subnets share: table, chains and rules. */
export async function checkMasqueradeTable(nft: Nft, subnets: readonly Prefix[]): Promise<string[]> {
  const [chains, rules] = await Promise.all([nft.listChains(podwireTable), nft.listRules(podwireTable)])
  return [
    ...hookDifferences(chains.find(({ name }) => name === postroutingChain.name)),
    ...ruleDifferences(distinct(subnets), rules),
  ]
}
