// What the kernel must be able to do.

import { findKernelObstacle } from '../../../lib/bridge/vlan-filtering.ts'
import { isUnsupported } from '../../../lib/host/connections.ts'
import { IpAddress } from '../../../lib/ip/address.ts'
import type { NftChain } from '../../../lib/nftables/chain.ts'
import { NftError } from '../../../lib/nftables/error.ts'
import type { Nft } from '../../../lib/nftables/nft.ts'
import type { KernelFeature } from '../../../lib/rtnl/kernel-feature.ts'
import { formatCount } from '../style.ts'
import {
  configuredPlugins,
  type Examination,
  type Finding,
  ok,
  orOk,
  trouble,
  warning,
} from './examination.ts'

const links: Examination = {
  title: 'kernel: veth, bridge',
  examine: async ({ ports }) => {
    const missing: Finding[] = []
    for (const kind of ['veth', 'bridge']) {
      if (await ports.kernel.host.rtnl.hasFeature(`link ${kind}`)) continue
      missing.push(
        trouble(
          `the kernel makes no links of kind ${kind}`,
          `modprobe ${kind}; else CONFIG_${kind.toUpperCase()}=m`,
        ),
      )
    }
    return orOk(missing, 'it makes links of both kinds')
  },
}

const nftables: Examination = {
  title: 'kernel: nf_tables',
  examine: async ({ ports }) => {
    try {
      const tables = await ports.kernel.host.nft.listTables()
      return [ok(`it has ${formatCount(tables.length, 'table')}`)]
    } catch (error) {
      if (!(error instanceof Error && 'code' in error)) throw error
      return [
        trouble(
          error.message,
          'ipMasq and macspoofchk need CONFIG_NF_TABLES (modprobe nf_tables) and CAP_NET_ADMIN',
        ),
      ]
    }
  },
}

const nftablesOfBridges: Examination = {
  title: 'kernel: nf_tables for bridges',
  examine: async ({ ports, ...patient }) => {
    const refusal = await refusalOfBridgeChain(ports.kernel.host.nft)
    if (refusal === undefined) return [ok('chains of the family bridge can be made')]
    const isUsed = configuredPlugins(patient).some(({ netconf }) => netconf['macspoofchk'] === true)
    const finding = isUsed ? trouble : warning
    return [finding(refusal, 'macspoofchk needs CONFIG_NF_TABLES_BRIDGE (modprobe nf_tables_bridge)')]
  },
}

const PROBE = { family: 'bridge', name: 'podwire-probe' } as const
const PROBE_CHAIN: NftChain = {
  table: PROBE,
  name: 'probe',
  base: { type: 'filter', hook: 'prerouting', priority: 0, policy: 'accept' },
}
const NO_CHAIN: NftChain = { table: PROBE, name: 'none' }

/** Asked in a transaction that is refused in any case, at its end when all before it can be done. */
async function refusalOfBridgeChain(nft: Nft): Promise<string | undefined> {
  try {
    await nft.apply([
      { verb: 'add', table: PROBE },
      { verb: 'add', chain: PROBE_CHAIN },
      { verb: 'delete', chain: NO_CHAIN },
    ])
    throw new Error(`there is a chain ${NO_CHAIN.name}`)
  } catch (error) {
    if (!(error instanceof NftError)) throw error
    return error.operation.startsWith('delete') ? undefined : error.message
  }
}

const CONNTRACK_COUNT = 'netfilter/nf_conntrack_count'
/** Nobody has it. */
const UNSPECIFIED = IpAddress.parse('0.0.0.0')

const conntrack: Examination = {
  title: 'kernel: conntrack by netlink',
  examine: async ({ ports }) => {
    const { sysctl, conntrack: connections } = ports.kernel.host
    const count = sysctl.find(CONNTRACK_COUNT)
    if (count === undefined) return [ok('it tracks no connections, so there are none to forget')]
    try {
      await connections.flush([UNSPECIFIED], Number(count))
      return [ok(`it tracks ${formatCount(Number(count), 'connection')}, and lists them`)]
    } catch (error) {
      if (!isUnsupported(error)) throw error
      return [
        warning(
          'it tracks connections, and does not list them: a pod may get packets that were for the last one of its address',
          'CONFIG_NF_CT_NETLINK (modprobe nf_conntrack_netlink)',
        ),
      ]
    }
  },
}

const vlans: Examination = {
  title: 'kernel: VLANs of bridges',
  examine: async ({ ports, configs }) => {
    const bridges = await ports.kernel.host.rtnl.listLinks({ kind: 'bridge' })
    const isUsed = configuredPlugins({ configs }).some(
      ({ netconf }) => netconf['vlan'] || netconf['vlanTrunk'],
    )
    const obstacle = findKernelObstacle('', bridges)
    if (obstacle === undefined)
      return [ok(bridges.length > 0 ? 'bridges can keep them apart' : 'no bridge is there to tell')]
    if (!isUsed) return [ok('bridges cannot keep them apart; no configuration wants it')]
    return [trouble('bridges cannot keep VLANs apart, and a configuration wants it', obstacle.remedy ?? '')]
  },
}

/** Beyond veth and bridge. */
const NEEDS: Readonly<Record<string, readonly KernelFeature[]>> = {
  'cni-bandwidth': ['link ifb', 'qdisc tbf', 'qdisc ingress', 'action mirred'],
  'cni-dummy': ['link dummy'],
  'cni-ipvlan': ['link ipvlan'],
  'cni-macvlan': ['link macvlan'],
  'cni-vlan': ['link vlan'],
  'cni-vrf': ['link vrf'],
}

const others: Examination = {
  title: 'kernel: for other plugins',
  examine: async ({ ports, configs, findPlugin }) => {
    const { rtnl } = ports.kernel.host
    const used = new Set(configuredPlugins({ configs }).flatMap(({ type }) => findPlugin(type)?.name ?? []))
    const needed = [...used].flatMap((plugin) =>
      (NEEDS[plugin] ?? []).map((feature) => ({ plugin, feature })),
    )
    const missing: Finding[] = []
    for (const { plugin, feature } of needed) {
      if (await rtnl.hasFeature(feature)) continue
      const module = feature.replace(
        /^.* /,
        feature.startsWith('qdisc') ? 'sch_' : feature.startsWith('action') ? 'act_' : '',
      )
      missing.push(
        trouble(`${plugin} needs ${feature}, which the kernel does not have`, `modprobe ${module}`),
      )
    }
    const features = [...new Set(needed.map(({ feature }) => feature))].join(', ')
    return orOk(missing, features === '' ? 'configurations need nothing else' : `it has ${features}`)
  },
}

export const KERNEL: readonly Examination[] = [links, nftables, nftablesOfBridges, conntrack, vlans, others]
