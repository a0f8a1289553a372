// Elements of sets, many at once: by as few questions as it takes, and in portions that fit.

import type { NftElement } from './element.ts'
import type { Nft } from './nft.ts'
import { type NftMap, type NftSet, setName } from './set.ts'

/** Where an element is, or may be. */
export interface ElementPlace {
  readonly set: NftSet | NftMap
  readonly element: Pick<NftElement, 'key'>
}

/** How many are asked for one by one, all answers at once in the socket's buffer. More are found in a list. */
const MAX_SINGLE_FINDS = 16

/** `element inet podwire masquerade_ipv4 { 10.1.0.5 }`, for messages. */
export function elementSubject({ set, element: { key } }: ElementPlace): string {
  return `element ${setName(set)} { ${key.join(' . ')} }`
}

/** What is there under the keys, in their order. */
export async function findElements(
  nft: Nft,
  places: readonly ElementPlace[],
): Promise<(NftElement | undefined)[]> {
  if (places.length <= MAX_SINGLE_FINDS) {
    return Promise.all(places.map(({ set, element }) => nft.findElement(set, element.key)))
  }
  const all = await listElements(nft, [...new Set(places.map(({ set }) => set))])
  const bySubject = new Map(all.map((one) => [elementSubject(one), one.element]))
  return places.map((one) => bySubject.get(elementSubject(one)))
}

export async function listElements(
  nft: Nft,
  sets: readonly (NftSet | NftMap)[],
): Promise<{ readonly set: NftSet | NftMap; readonly element: NftElement }[]> {
  const lists = await Promise.all(
    sets.map(async (set) => (await nft.listElements(set)).map((element) => ({ set, element }))),
  )
  return lists.flat()
}

export function* chunks<T>(all: readonly T[], size: number): Generator<readonly T[]> {
  for (let i = 0; i < all.length; i += size) yield all.slice(i, i + size)
}
