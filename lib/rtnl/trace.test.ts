import { test } from 'tap'
import { IpAddress } from '../ip/address.ts'
import type { MacAddress } from '../ip/mac.ts'
import { Prefix } from '../ip/prefix.ts'
import { formatMessage } from '../netlink/describe.ts'
import type { MessageKind } from '../netlink/request.ts'
import { RTM_NEWADDR, RTM_NEWLINK, RTM_NEWROUTE } from './attributes.ts'
import { toRequest } from './change-request.ts'
import type { IfIndex } from './link.ts'
import { ADDRESSES, LINKS, ROUTES } from './replies.fixture.ts'
import type { Change } from './rtnl.ts'

const dev = 5 as IfIndex

// A change, the ip command that it prints as, and its message in the trace.
const CHANGES: readonly (readonly [change: Change, ip: string, trace: string])[] = [
  [
    {
      change: 'create link',
      link: {
        kind: 'veth',
        name: 'veth0',
        master: 2 as IfIndex,
        up: true,
        peer: { name: 'eth0', mac: '02:00:00:00:00:03' as MacAddress, mtu: 1450, netnsFd: 4 },
      },
    },
    'ip link add name veth0 master #2 up type veth peer name eth0 address 02:00:00:00:00:03 mtu 1450 netns /proc/self/fd/4',
    'RTM_NEWLINK excl,create ifi_flags up ifi_change up IFLA_IFNAME "veth0" IFLA_MASTER 2 IFLA_LINKINFO { IFLA_INFO_KIND "veth" IFLA_INFO_DATA { VETH_INFO_PEER { IFLA_IFNAME "eth0" IFLA_ADDRESS 02:00:00:00:00:03 IFLA_MTU 1450 IFLA_NET_NS_FD 4 } } }',
  ],
  [
    { change: 'set link', link: 'br0', set: { up: false, promisc: true, alias: 'a b' } },
    'ip link set dev br0 alias "a b" promisc on down',
    'RTM_SETLINK ifi_flags promisc ifi_change up,promisc IFLA_IFNAME "br0" IFLA_IFALIAS "a b"',
  ],
  [
    { change: 'set link', link: dev, set: { hairpin: true, isolated: false, up: true } },
    'ip link set dev #5 up type bridge_slave hairpin on isolated off',
    'RTM_NEWLINK ifi_index 5 ifi_flags up ifi_change up IFLA_LINKINFO { IFLA_INFO_SLAVE_KIND "bridge" IFLA_INFO_SLAVE_DATA { IFLA_BRPORT_MODE 1 IFLA_BRPORT_ISOLATED 0 } }',
  ],
  [
    { change: 'set link', link: dev, set: { name: 'eth1', mtu: 1400, master: 0 } },
    'ip link set dev #5 name eth1 mtu 1400 nomaster',
    'RTM_SETLINK ifi_index 5 IFLA_IFNAME "eth1" IFLA_MTU 1400 IFLA_MASTER 0',
  ],
  [{ change: 'delete link', link: 'veth0' }, 'ip link del dev veth0', 'RTM_DELLINK IFLA_IFNAME "veth0"'],
  [
    { change: 'create link', link: { kind: 'bridge', name: 'br0', vlanFiltering: true } },
    'ip link add name br0 type bridge vlan_filtering 1',
    'RTM_NEWLINK excl,create IFLA_IFNAME "br0" IFLA_LINKINFO { IFLA_INFO_KIND "bridge" IFLA_INFO_DATA { IFLA_BR_VLAN_FILTERING 1 } }',
  ],
  [
    { change: 'add address', address: { dev, prefix: Prefix.parse('10.1.0.5/24') } },
    'ip addr add 10.1.0.5/24 dev #5',
    'RTM_NEWADDR excl,create ifa_family inet ifa_prefixlen 24 ifa_index 5 IFA_LOCAL 10.1.0.5 IFA_ADDRESS 10.1.0.5 IFA_BROADCAST 10.1.0.255',
  ],
  [
    { change: 'add address', address: { dev, prefix: Prefix.parse('fd00::5/64'), noDad: true } },
    'ip addr add fd00::5/64 dev #5 nodad',
    'RTM_NEWADDR excl,create ifa_family inet6 ifa_prefixlen 64 ifa_flags nodad ifa_index 5 IFA_LOCAL fd00::5 IFA_ADDRESS fd00::5',
  ],
  [
    {
      change: 'add route',
      route: { dst: Prefix.parse('0.0.0.0/0'), gateway: IpAddress.parse('10.1.0.1'), mtu: 1400 },
    },
    'ip route prepend default via 10.1.0.1 mtu 1400',
    'RTM_NEWROUTE create rtm_family inet rtm_table main rtm_protocol boot rtm_type unicast RTA_GATEWAY 10.1.0.1 RTA_METRICS { RTAX_MTU 1400 }',
  ],
  [
    {
      change: 'delete route',
      route: { dst: Prefix.parse('10.9.0.0/16'), dev, table: 1000, source: IpAddress.parse('10.1.0.5') },
    },
    'ip route del 10.9.0.0/16 dev #5 src 10.1.0.5 table 1000',
    'RTM_DELROUTE rtm_family inet rtm_dst_len 16 rtm_scope nowhere rtm_type unicast RTA_DST 10.9.0.0 RTA_PREFSRC 10.1.0.5 RTA_TABLE 1000 RTA_OIF 5',
  ],
  [
    { change: 'add bridge vlan', link: dev, vlan: { vid: 100, pvid: true, untagged: true } },
    'bridge vlan add dev #5 vid 100 pvid untagged',
    'RTM_SETLINK ifi_family bridge ifi_index 5 IFLA_AF_SPEC { IFLA_BRIDGE_VLAN_INFO [flags pvid,untagged vid 100] }',
  ],
  [
    { change: 'delete bridge vlan', link: dev, vlan: { vid: 200, vidEnd: 210 } },
    'bridge vlan del dev #5 vid 200-210',
    'RTM_DELLINK ifi_family bridge ifi_index 5 IFLA_AF_SPEC { IFLA_BRIDGE_VLAN_INFO [flags range_begin vid 200, flags range_end vid 210] }',
  ],
  [
    {
      change: 'add qdisc',
      dev,
      qdisc: { kind: 'tbf', rateBytesPerSecond: 1_250_000, burstBytes: 20_000, limitBytes: 51_250 },
    },
    'tc qdisc add dev #5 root tbf rate 1250000bps burst 20000 limit 51250',
    'RTM_NEWQDISC excl,create tcm_ifindex 5 tcm_handle 65536 tcm_parent root TCA_KIND "tbf" TCA_OPTIONS { TCA_TBF_PARMS { rate_linklayer ethernet rate 1250000 limit 51250 } TCA_TBF_BURST 20000 }',
  ],
  [
    { change: 'add qdisc', dev, qdisc: { kind: 'ingress' } },
    'tc qdisc add dev #5 ingress',
    'RTM_NEWQDISC excl,create tcm_ifindex 5 tcm_handle 4294901760 tcm_parent ingress TCA_KIND "ingress"',
  ],
  [
    { change: 'delete qdisc', dev, parent: 'ingress' },
    'tc qdisc del dev #5 ingress',
    'RTM_DELQDISC tcm_ifindex 5 tcm_parent ingress',
  ],
  [
    { change: 'add redirect', redirect: { dev, to: 7 as IfIndex } },
    'tc filter add dev #5 ingress pref 1 u32 match u32 0 0 action mirred egress redirect dev #7',
    'RTM_NEWTFILTER excl,create tcm_ifindex 5 tcm_parent 4294901760 tcm_info 66304 TCA_KIND "u32" TCA_OPTIONS { TCA_U32_SEL flags terminal match 0/0 TCA_U32_ACT { first { TCA_ACT_KIND "mirred" TCA_ACT_OPTIONS { TCA_MIRRED_PARMS { action stolen eaction egress_redirect ifindex 7 } } } } }',
  ],
  [
    { change: 'create link', link: { kind: 'ifb', name: 'bwp0', mtu: 1450, up: true } },
    'ip link add name bwp0 mtu 1450 up type ifb',
    'RTM_NEWLINK excl,create ifi_flags up ifi_change up IFLA_IFNAME "bwp0" IFLA_MTU 1450 IFLA_LINKINFO { IFLA_INFO_KIND "ifb" }',
  ],
]

test('changes read as ip commands and as messages', async (t) => {
  for (const [change, ip, trace] of CHANGES) {
    const { kind, flags, payload, operation } = toRequest(change)
    t.equal(operation, ip)
    t.equal(formatMessage(kind, flags, payload), trace)
  }
})

const REPLIES: readonly (readonly [kind: unknown, payload: Uint8Array, trace: RegExp])[] = [
  [
    RTM_NEWADDR,
    ADDRESSES['fd01::1/64'],
    /^RTM_NEWADDR multi ifa_family inet6 .* IFA_FLAGS tentative,permanent #6 ffffffffffffffff/,
  ],
  [
    RTM_NEWLINK,
    LINKS.lo,
    /^RTM_NEWLINK multi ifi_type 772 ifi_index 1 ifi_flags up,loopback,running,lower_up IFLA_IFNAME "lo" .* #23 \(200 bytes\)/,
  ],
  [RTM_NEWROUTE, ROUTES.blackhole, /rtm_type blackhole RTA_TABLE 254 RTA_DST 10.66.0.0$/],
  [RTM_NEWROUTE, ROUTES['10.1.0.0/24'], /rtm_protocol kernel rtm_scope link rtm_type unicast/],
  [
    RTM_NEWROUTE,
    ROUTES['default v6'],
    /RTA_MULTIPATH \[\{ rtnh_len 28 rtnh_ifindex 2 RTA_GATEWAY fd00::9 \}, \{ .* RTA_GATEWAY fd00::a \}\]/,
  ],
]

test('replies of the kernel read as messages', async (t) => {
  for (const [kind, payload, trace] of REPLIES) {
    t.match(formatMessage(kind as MessageKind, 2, payload), trace)
  }
})
