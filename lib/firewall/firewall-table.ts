// Firewalling pods: adding, removing, listing and checking them in the tables whose layout is in firewall-rules.ts.

import { listElements } from '../nftables/find-elements.ts'
import { checkLayout, layoutOperations } from '../nftables/layout.ts'
import type { Nft } from '../nftables/nft.ts'
import { addOwned, checkOwned, type OwnedElement, removeOwned } from '../nftables/owned-elements.ts'
import type { Firewalled } from './firewall.ts'
import {
  bridgeElements,
  firewallLayout,
  isolationElements,
  isolationLayout,
  OWNED_SETS,
  podElements,
} from './firewall-rules.ts'

/**
 * @param owner  `<network> <containerId> <ifname>`; what is there under its addresses is replaced
 * @param adminChains  of all networks
 * @returns whether a table was not as it should be: then other pods' elements may be gone too
 * @throws NftError EOPNOTSUPP, ENOENT where the kernel has no nftables for bridges, which `isolated` needs
 */
export async function addFirewalled(
  nft: Nft,
  pod: Firewalled,
  { owner, adminChains }: { owner: string; adminChains: readonly string[] },
): Promise<boolean> {
  const isolated = isolationElements(pod, owner)
  const isBridgeMended = isolated.length > 0 && (await addOwned(nft, isolationLayout, isolated))
  const elements = [...podElements(pod, owner), ...bridgeElements(pod)]
  const isMended = await addOwned(nft, firewallLayout(adminChains), elements)
  return isMended || isBridgeMended
}

/** What is not there is fine; what is another's by its comment stays. */
export async function removeFirewalled(nft: Nft, pod: Firewalled, owner: string): Promise<void> {
  await removeOwned(nft, podElements(pod, owner))
  await removeOwned(nft, isolationElements(pod, owner))
}

/** When its last pod that is not open has gone. */
export async function forgetBridge(nft: Nft, pod: Firewalled): Promise<void> {
  await removeOwned(nft, bridgeElements(pod))
}

/** Every element that has an owner: for what has no record. */
export function listFirewallElements(nft: Nft): Promise<OwnedElement[]> {
  return listElements(nft, OWNED_SETS)
}

/** @returns a text for each difference */
export async function checkFirewalled(
  nft: Nft,
  pod: Firewalled,
  { owner, adminChains }: { owner: string; adminChains: readonly string[] },
): Promise<string[]> {
  const isolated = isolationElements(pod, owner)
  return [
    ...(await checkLayout(nft, firewallLayout(adminChains))),
    ...(await checkOwned(nft, [...podElements(pod, owner), ...bridgeElements(pod)])),
    ...(isolated.length === 0 ? [] : await checkLayout(nft, isolationLayout)),
    ...(await checkOwned(nft, isolated)),
  ]
}

/** The same for what all pods share. */
export function checkFirewallTable(nft: Nft, adminChains: readonly string[]): Promise<string[]> {
  return checkLayout(nft, firewallLayout(adminChains))
}

/** When an administrator's chain of one network is no longer asked for, the others' stay as they are. */
export async function mendFirewallTable(nft: Nft, adminChains: readonly string[]): Promise<void> {
  const layout = firewallLayout(adminChains)
  await nft.apply(layoutOperations(layout, await nft.listChains(layout.table)))
}
