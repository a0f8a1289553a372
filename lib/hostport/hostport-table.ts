// Host ports of pods: adding, removing, listing and checking them in the table whose layout is in hostport-rules.ts.
// Several processes may do so at once; of two that want one port, one is refused.

import { isAlreadyExists } from '../nftables/error.ts'
import { findElements, listElements } from '../nftables/find-elements.ts'
import { checkLayout, layoutOperations } from '../nftables/layout.ts'
import { podwireTable } from '../nftables/masquerade-rules.ts'
import type { Nft } from '../nftables/nft.ts'
import { addOwned, checkOwned, type OwnedElement, removeOwned } from '../nftables/owned-elements.ts'
import { type Hostport, type Hostports, hostportText } from './hostport.ts'
import {
  ALL_MAPS,
  elementsOf,
  hostportElement,
  hostportLayout,
  layoutOf,
  subnetOfChain,
} from './hostport-rules.ts'

/** A port of the node is somebody else's already. */
export class HostportTaken extends Error {
  readonly code = 'EEXIST'
  readonly hostport: Hostport
  /** `<network> <containerId> <ifname>`, as the element's comment says. */
  readonly owner: string

  constructor(hostport: Hostport, owner: string, cause: unknown) {
    super(`host port ${hostportText(hostport)} is taken by ${JSON.stringify(owner)}`, { cause })
    this.name = 'HostportTaken'
    this.hostport = hostport
    this.owner = owner
  }
}

/**
 * All or nothing, up to 250 ports.
 *
 * @param owner  `<network> <containerId> <ifname>`; what it has already is replaced
 * @returns whether the table was not as it should be: then other pods' elements may be gone too
 * @throws HostportTaken when a port is another's
 */
export async function addHostports(nft: Nft, ports: Hostports, owner: string): Promise<boolean> {
  const elements = elementsOf(ports, owner)
  try {
    return await add(nft, ports, elements)
  } catch (error) {
    if (!isAlreadyExists(error)) throw error
    const found = await findElements(
      nft,
      ports.hostports.map((one) => hostportElement(one, owner)),
    )
    const other = found.findIndex((element) => element !== undefined && element.comment !== owner)
    const hostport = ports.hostports[other]
    if (hostport !== undefined) throw new HostportTaken(hostport, found[other]?.comment ?? '', error)
    // Its own from before, or somebody's who has gone meanwhile.
    await removeOwned(nft, elements)
    return add(nft, ports, elements)
  }
}

async function add(nft: Nft, ports: Hostports, elements: readonly OwnedElement[]): Promise<boolean> {
  const isMended = await addOwned(nft, layoutOf(ports), elements)
  if (isMended) await mendSubnets(nft)
  return isMended
}

/** Where the rules of one chain are gone, all may be (`nft flush table`). */
async function mendSubnets(nft: Nft): Promise<void> {
  const chains = await nft.listChains(podwireTable)
  for (const subnet of chains.flatMap((chain) => subnetOfChain(chain) ?? [])) {
    const layout = hostportLayout([subnet])
    if ((await checkLayout(nft, layout)).length > 0) await nft.apply(layoutOperations(layout, chains))
  }
}

/** What is not there is fine; what is another's by its comment stays. */
export async function removeHostports(nft: Nft, ports: Hostports, owner: string): Promise<void> {
  await removeOwned(nft, elementsOf(ports, owner))
}

/** Every element there is: for what has no record, whose its comment says. */
export function listHostportElements(nft: Nft): Promise<OwnedElement[]> {
  return listElements(nft, ALL_MAPS)
}

/** Who has the port now. @returns undefined when nobody has */
export async function findHostportOwner(nft: Nft, hostport: Hostport): Promise<string | undefined> {
  const [found]: ({ readonly comment?: string } | undefined)[] = await findElements(nft, [
    hostportElement(hostport, ''),
  ])
  return found?.comment
}

/** @returns a text for each difference between the kernel's state and the pod's having its ports */
export async function checkHostports(nft: Nft, ports: Hostports, owner: string): Promise<string[]> {
  if (ports.hostports.length === 0) return [] // then the table need not be there
  return [...(await checkLayout(nft, layoutOf(ports))), ...(await checkOwned(nft, elementsOf(ports, owner)))]
}

/** The same for what all pods share. */
export function checkHostportTable(nft: Nft): Promise<string[]> {
  return checkLayout(nft, hostportLayout([]))
}

/** Of other pods, after the table was flushed: what is missing is added; a port that is another's by now is left. */
export async function restoreHostports(nft: Nft, ports: Hostports, owner: string): Promise<void> {
  const elements = elementsOf(ports, owner)
  const found = await findElements(nft, elements)
  const missing = elements.filter((_, i) => found[i] === undefined)
  if (missing.length === 0) return
  try {
    await addOwned(nft, layoutOf(ports), missing)
  } catch (error) {
    if (!isAlreadyExists(error)) throw error
  }
}
