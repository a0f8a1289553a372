// Chains of other firewalls that would drop what pods send: each gets one rule, whatever the number of pods
// (lib/nftables/forward-pass.ts). It goes with the last pod.

import type { NftChain } from '../nftables/chain.ts'
import { isNotFound } from '../nftables/error.ts'
import type { Packet } from '../nftables/forward-conditions.ts'
import { dropText, type ForwardDrop, findForwardDrops } from '../nftables/forward-drops.ts'
import { forwardPass, isOurForwardPass } from '../nftables/forward-pass.ts'
import { podwireTable } from '../nftables/masquerade-rules.ts'
import type { Nft } from '../nftables/nft.ts'
import { bodyText } from '../nftables/rule.ts'
import { tableName } from '../nftables/table.ts'

const FAMILIES = ['ip', 'ip6', 'inet']
const OWN = tableName(podwireTable)

/** What is dropped in our own chain, the administrator wants dropped. */
async function findDrops(nft: Nft, packetOf: () => Promise<Packet>): Promise<ForwardDrop[]> {
  const drops = await findForwardDrops(nft, packetOf)
  return drops.filter(({ chain: { table }, isPassed }) => !isPassed && tableName(table) !== OWN)
}

/** @param packetOf  the first one of a connection that a pod makes */
export async function passForeignChains(nft: Nft, packetOf: () => Promise<Packet>): Promise<void> {
  for (const { chain } of await findDrops(nft, packetOf)) {
    // Before all others: what an administrator wants dropped is dropped in the chain that is the administrator's.
    await nft.apply([{ verb: 'insert', rule: forwardPass(chain) }])
    // Another first pod may have done the same at the same time.
    await removePasses(nft, chain, { but: 1 })
  }
}

/** @returns a text for each chain that drops what pods send */
export async function checkForeignChains(nft: Nft, packetOf: () => Promise<Packet>): Promise<string[]> {
  return (await findDrops(nft, packetOf)).map(
    (drop) =>
      `${dropText(drop)} drops what the pod sends: no rule ${JSON.stringify(bodyText(forwardPass(drop.chain)))} in it`,
  )
}

/** Somebody else may delete them, or their chains, at the same time. */
export async function unpassForeignChains(nft: Nft): Promise<void> {
  for (const { table, name, base } of await nft.listBaseChains('forward')) {
    if (base?.type !== 'filter' || !FAMILIES.includes(table.family)) continue
    await removePasses(nft, { table, name })
  }
}

async function removePasses(
  nft: Nft,
  { table, name }: Pick<NftChain, 'table' | 'name'>,
  { but = 0 } = {},
): Promise<void> {
  const ours = (await nft.listRules(table, name)).filter(isOurForwardPass)
  for (const rule of ours.slice(but)) {
    await nft.apply([{ verb: 'delete', ruleIn: table, rule }]).catch((error) => {
      if (!isNotFound(error)) throw error
    })
  }
}
