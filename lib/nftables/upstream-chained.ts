// What upstream's `portmap` and `firewall` make with iptables, for pods that they were called for and that we take down.
// What iptables-nft makes are objects of nftables; those of iptables-legacy are not, and stay. What all pods share stays,
// too.
//
// - portmap: in the nat tables of both families a chain `CNI-DN-<hash>` per container and network, and rules in
//   CNI-HOSTPORT-DNAT that jump there; since 1.6 also rules in tables `cni_hostport`, with the container as comment
// - firewall: in the filter tables rules in CNI-FORWARD, with the pod's address
//
// (plugins/meta/portmap/portmap_iptables.go, portmap_nftables.go; plugins/meta/firewall/iptables.go)

import type { IpAddress } from '../ip/address.ts'
import { applyIfThere } from './apply-if-there.ts'
import type { Nft } from './nft.ts'
import type { NftOperation } from './operation.ts'
import type { NftTable } from './table.ts'
import {
  comesFrom,
  deleteRule,
  goesTo,
  MAX_CHAIN_NAME,
  NAT,
  sha512,
  type UpstreamOwner,
} from './upstream-masquerade.ts'

const FAMILIES = ['ip', 'ip6'] as const
const HOSTPORTS = 'CNI-HOSTPORT-DNAT'
const FORWARD = 'CNI-FORWARD'
const tables = (name: string): NftTable[] => FAMILIES.map((family) => ({ family, name }))

/** Nothing there is fine. Rules of others may come and go meanwhile. */
export async function removeUpstreamHostports(nft: Nft, owner: UpstreamOwner): Promise<void> {
  const { network, containerId } = owner
  const name = `CNI-DN-${sha512(network + containerId)}`.slice(0, MAX_CHAIN_NAME)
  for (const table of NAT) {
    if (!(await nft.listChains(table)).some((chain) => chain.name === name)) continue
    const jumps = (await nft.listRules(table, HOSTPORTS)).filter((rule) => goesTo(rule, name))
    const chain = { table, name }
    await applyIfThere(nft, [
      ...jumps.map((rule) => deleteRule(table, rule)),
      { verb: 'flush', chain },
      { verb: 'delete', chain },
    ])
  }
  for (const table of tables('cni_hostport')) {
    const rules = await nft.listRules(table)
    await deleteAll(
      nft,
      rules.filter(({ comment }) => comment === containerId).map((rule) => deleteRule(table, rule)),
    )
  }
}

/** @param addresses  of the pod, as the runtime remembers them */
export async function removeUpstreamFirewall(nft: Nft, addresses: readonly IpAddress[]): Promise<void> {
  const values = addresses.map((address) => address.toBytes())
  if (values.length === 0) return
  for (const table of tables('filter')) {
    const rules = (await nft.listRules(table, FORWARD)).filter((rule) => comesFrom(rule, values))
    await deleteAll(
      nft,
      rules.map((rule) => deleteRule(table, rule)),
    )
  }
}

async function deleteAll(nft: Nft, operations: readonly NftOperation[]): Promise<void> {
  if (operations.length > 0) await applyIfThere(nft, operations)
}
