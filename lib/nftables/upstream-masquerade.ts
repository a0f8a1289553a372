// What upstream's bridge makes of `ipMasq`, for pods that it attached and that we take down. Two forms:
//
// - iptables (all versions): in the nat tables of both families a chain `CNI-<hash>` per container, and rules in
//   POSTROUTING that jump there. What iptables-nft makes are objects of nftables; those of iptables-legacy are not,
//   and stay.
// - nftables (since 1.5): rules in `inet cni_plugins_masquerade masq_checks` whose comment begins with hashes.
//
// (plugins/pkg/utils/utils.go, pkg/ip/ipmasq_iptables_linux.go, pkg/ip/ipmasq_nftables_linux.go)

import type { IpAddress } from '../ip/address.ts'
import { applyIfThere } from './apply-if-there.ts'
import type { NftChain } from './chain.ts'
import { isNamed } from './expression.ts'
import type { Nft } from './nft.ts'
import type { NftOperation } from './operation.ts'
import type { NftRuleState } from './rule.ts'
import type { NftTable } from './table.ts'

export const NAT: readonly NftTable[] = [
  { family: 'ip', name: 'nat' },
  { family: 'ip6', name: 'nat' },
]
const POSTROUTING = 'POSTROUTING'
const MASQUERADE: NftTable = { family: 'inet', name: 'cni_plugins_masquerade' }
const CHECKS = 'masq_checks'
/** Of chains' names, that iptables can have. */
export const MAX_CHAIN_NAME = 28

export interface UpstreamOwner {
  readonly network: string
  readonly containerId: string
  readonly ifname: string
}

/**
 * Nothing there is fine. Rules of others may come and go meanwhile.
 *
 * @param addresses  of the interface that goes; of all of the container's when none is known, as when the container's
 *   namespace is gone: then so are they all
 */
export async function removeUpstreamMasquerade(
  nft: Nft,
  owner: UpstreamOwner,
  addresses: readonly IpAddress[],
): Promise<void> {
  const sources = addresses.map((address) => address.toBytes())
  for (const table of NAT) await removeJumps(nft, { table, name: chainNameOf(owner) }, sources)
  const rules = await nft.listRules(MASQUERADE, CHECKS)
  const own = rules.filter(({ comment = '' }) => comment.startsWith(commentOf(owner)))
  const deletions = own.map((rule) => deleteRule(MASQUERADE, rule))
  if (deletions.length > 0) await applyIfThere(nft, deletions)
}

/** The chain is that of all interfaces of the container in this network: it goes with the last of them. */
async function removeJumps(nft: Nft, chain: NftChain, sources: readonly Uint8Array[]): Promise<void> {
  const { table, name } = chain
  const isThere = (await nft.listChains(table)).some((one) => one.name === name)
  if (!isThere) return
  const jumps = (await nft.listRules(table, POSTROUTING)).filter((rule) => goesTo(rule, name))
  const own = jumps.filter((rule) => sources.length === 0 || comesFrom(rule, sources))
  const isLast = own.length === jumps.length
  const operations: NftOperation[] = [
    ...own.map((rule) => deleteRule(table, rule)),
    ...(isLast ? (['flush', 'delete'] as const).map((verb) => ({ verb, chain })) : []),
  ]
  if (operations.length > 0) await applyIfThere(nft, operations)
}

export function deleteRule(ruleIn: NftTable, rule: NftRuleState): NftOperation {
  return { verb: 'delete', ruleIn, rule }
}

export function goesTo({ expressions }: NftRuleState, chain: string): boolean {
  return expressions.some(
    (one) =>
      isNamed(one, 'immediate') &&
      one.NFTA_EXPR_DATA.NFTA_IMMEDIATE_DATA?.NFTA_DATA_VERDICT?.NFTA_VERDICT_CHAIN === chain,
  )
}

/** A rule of upstream's has one comparison with an address: whole. */
export function comesFrom({ expressions }: NftRuleState, sources: readonly Uint8Array[]): boolean {
  const compared = expressions.flatMap((one) =>
    isNamed(one, 'cmp') ? [one.NFTA_EXPR_DATA.NFTA_CMP_DATA?.NFTA_DATA_VALUE] : [],
  )
  return sources.some((source) => compared.some((value) => value?.join() === source.join()))
}

/** The interface is not in it: upstream has one for all attachments of a container to a network. */
function chainNameOf({ network, containerId }: UpstreamOwner): string {
  return `CNI-${sha512(network + containerId)}`.slice(0, MAX_CHAIN_NAME)
}

function commentOf({ network, containerId, ifname }: UpstreamOwner): string {
  return `${sha512(network).slice(0, 16)}-${sha512(`${ifname}:${containerId}`).slice(0, 16)},`
}

/** Loaded when there is something to hash: node:crypto takes long to start. */
export function sha512(text: string): string {
  return process.getBuiltinModule('node:crypto').createHash('sha512').update(text).digest('hex')
}
