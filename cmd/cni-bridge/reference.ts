// What the reference tells of `cni-bridge`.

import { ABSENT, type PluginReference } from '../../lib/cni/reference.ts'
import { netconfSchema } from './netconf.ts'

const WITHOUT_CHECK = 'CHECK does not look at it'

export const reference: PluginReference = {
  name: 'cni-bridge',
  summary: 'plugs a pod into a bridge on its node.',
  about: [
    'The first of a chain. It makes the bridge where it is missing, a wire from it into the pod, addresses and routes on both, and where asked for forwarding, masquerading and a guard against foreign MAC addresses. The bridge stays when the last pod goes.',
    'The kernel needs veth and bridge; `ipMasq` needs nf_tables, `macspoofchk` nf_tables for bridges (`CONFIG_NF_TABLES_BRIDGE`), `vlan` and `vlanTrunk` `CONFIG_BRIDGE_VLAN_FILTERING`.',
  ],
  schema: netconfSchema,
  notes: {
    bridge: { more: 'A name of an interface: 1 to 15 bytes, without %, spaces, `/` and `:`.' },
    isGateway: {
      more: 'Several subnets, of IPv4 too, may have their gateways on one bridge. Forwarding is switched on for the node, per family; interfaces that learnt a default route from router advertisements go on hearing them.',
      upstream:
        'a second IPv4 subnet on a bridge is refused; a default route that was learnt from router advertisements may be lost',
    },
    forceAddress: {
      more: 'These are other IPv4 addresses, and IPv6 addresses of the same subnet.',
    },
    ipMasq: {
      more: 'Each address of the pod is an element of a map of the nftables table `inet podwire`.',
      upstream: `iptables rules, or an nftables table of its own; ${WITHOUT_CHECK}`,
    },
    ipMasqBackend: {
      upstream: 'chooses between the two; when absent iptables, or nftables where only that can be used',
    },
    mtu: {
      unit: 'bytes',
      more: 'Where these differ, the smallest.',
      upstream: `"auto" is ${ABSENT}; ${WITHOUT_CHECK}`,
    },
    hairpinMode: { more: 'Not with promiscMode.', upstream: WITHOUT_CHECK },
    enabledad: {
      more: 'Without it an IPv6 address can be used at once: the leases are unique, and neighbours are told.',
      upstream: 'without it, asks again and again for up to 5 seconds whether the address is usable',
    },
    portIsolation: { upstream: WITHOUT_CHECK },
    vlan: {
      more: 'The gateway’s addresses are then on an interface <bridge>.<vlan>. A bridge that is there and does not filter VLANs is refused.',
      upstream: 'goes on with a bridge that does not filter, and pods of different VLANs reach each other',
    },
    vlanTrunk: { more: 'Untagged frames belong to vlan, without it to VLAN 1.' },
    'vlanTrunk[].minID': { required: 'with maxID' },
    'vlanTrunk[].maxID': { required: 'with minID' },
    macspoofchk: {
      more: 'Port and MAC address are elements of two sets of the table `bridge podwire`.',
      upstream: 'a chain for each pod',
    },
    dns: { more: 'It stands in place of what the IPAM plugin says.' },
    'ipam.type': {
      more: 'Any IPAM plugin in CNI_PATH. Podwire’s own run in the same process.',
    },
    'runtimeConfig.mac': { absent: 'made from the pod’s first address', upstream: 'random when absent' },
    'args.cni.mac': { more: 'After runtimeConfig.mac, before MAC of CNI_ARGS.' },
  },
  args: {
    MAC: 'MAC address of the pod’s interface; after runtimeConfig.mac and args.cni.mac',
    IP: 'passed over: for the IPAM plugin',
    GATEWAY: 'passed over: for the IPAM plugin',
  },
  example: [
    {
      type: 'cni-bridge',
      bridge: 'cni0',
      isDefaultGateway: true,
      ipMasq: true,
      hairpinMode: true,
      mtu: 'auto',
      ipam: {
        type: 'ipam-host-local',
        ranges: [[{ subnet: '10.244.1.0/24' }], [{ subnet: 'fd00:10:244:1::/64' }]],
      },
    },
  ],
  outcome:
    'A pod gets an address of each family, a default route by the bridge, and appears to the outside under the node’s address.',
}
