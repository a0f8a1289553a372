// Elements of sets that belong to attachments: whose one is, its comment says. They are made with the table around
// them, taken away by their owner only, compared with what is there, and listed for garbage collection.

import { applyIfThere } from './apply-if-there.ts'
import type { NftElement } from './element.ts'
import { chunks, elementSubject, findElements } from './find-elements.ts'
import { checkLayout, type Layout, layoutOperations } from './layout.ts'
import type { Nft } from './nft.ts'
import type { NftOperation } from './operation.ts'
import type { NftMap, NftSet } from './set.ts'

export interface OwnedElement {
  readonly set: NftSet | NftMap
  /** With its comment. */
  readonly element: NftElement
  /** It must not be there yet: EEXIST. Otherwise what is there under its key is replaced. */
  readonly exclusive?: true
}

/** Of one transaction: 250 elements with the longest comments are 100 KB, of 200 that fit. */
const AT_ONCE = 250
function operations(owned: readonly OwnedElement[], verb: 'add' | 'create' | 'destroy'): NftOperation[] {
  const bySet = Map.groupBy(owned, ({ set }) => set)
  return [...bySet].map(([elementsOf, list]) => ({
    verb,
    elementsOf,
    elements: list.map(({ element }) => (verb === 'destroy' ? { key: element.key } : element)),
  }))
}

function additions(owned: readonly OwnedElement[]): NftOperation[] {
  const [exclusive, others] = [owned.filter((one) => one.exclusive), owned.filter((one) => !one.exclusive)]
  return [...operations(others, 'destroy'), ...operations(others, 'add'), ...operations(exclusive, 'create')]
}

/**
 * Adds elements, and makes the table around them whole where it is not. Up to 250 are all or nothing.
 *
 * Costs one transaction and a look at the table when that is as it should be.
 *
 * @returns whether the table was not as it should be: then others' elements may be gone too
 * @throws NftError EEXIST when an exclusive one is there
 */
export async function addOwned(nft: Nft, layout: Layout, owned: readonly OwnedElement[]): Promise<boolean> {
  let isMended = false
  for (const chunk of chunks(owned, AT_ONCE)) {
    const elements = additions(chunk)
    const isThere = await applyIfThere(nft, elements)
    if (isThere && (await checkLayout(nft, layout)).length === 0) continue
    const frame = layoutOperations(layout, await nft.listChains(layout.table))
    await nft.apply(isThere ? frame : [...frame, ...elements])
    isMended = true
  }
  return isMended
}

/** What is not there is fine; what is another's by its comment stays. */
export async function removeOwned(nft: Nft, owned: readonly OwnedElement[]): Promise<void> {
  const found = await findElements(nft, owned)
  const ours = owned.filter(
    ({ element }, i) => found[i] !== undefined && (found[i].comment ?? '') === (element.comment ?? ''),
  )
  for (const chunk of chunks(ours, AT_ONCE)) await applyIfThere(nft, operations(chunk, 'destroy'))
}

/** @returns a text for each difference: `element inet podwire hostport_ipv4 { tcp . 8080 }: missing` */
export async function checkOwned(nft: Nft, owned: readonly OwnedElement[]): Promise<string[]> {
  const found = await findElements(nft, owned)
  return owned.flatMap((one, i) => {
    const [subject, actual, expected] = [elementSubject(one), found[i], one.element]
    if (actual === undefined) return [`${subject}: missing`]
    const differs = (what: string, is: string, be: string) =>
      is === be ? [] : [`${subject}: ${what} ${JSON.stringify(is)} instead of ${JSON.stringify(be)}`]
    return [
      ...differs('value', actual.value?.join(' . ') ?? '', expected.value?.join(' . ') ?? ''),
      ...differs('comment', actual.comment ?? '', expected.comment ?? ''),
    ]
  })
}
