// Where the other plugins of the suite differ from upstream's 1.1.1 (cases/chain.ts).

import type { Difference } from './differences.ts'

const POD = ['pod*', 'left at the end']

export const CHAIN: readonly Difference[] = [
  {
    cases: ['tuning refuses *', 'macvlan refuses *'],
    aspect: 'ADD *',
    upstream: 'code 999',
    ours: 'code 7',
    reason: 'what is wrong in the config is of code 7',
  },
  {
    cases: 'loopback *',
    aspect: 'ADD *',
    ours: 'ips[*].version *',
    reason: 'the spec has it in results of 0.3.1; upstream’s loopback leaves it out',
  },
  {
    cases: 'tuning sets *',
    aspect: 'CHECK *',
    upstream: ['exit status 1', 'code 999', 'msg "open /proc/sys/net/ipv4/conf/IFNAME/arp_filter: *'],
    ours: 'ok',
    reason: 'upstream’s CHECK does not know the placeholder',
  },
  {
    cases: 'tuning sets *',
    aspect: POD,
    upstream: 'pod1: + sysctl ipv4/conf/eth0/arp_filter 1',
    ours: '- sysctl ipv4/conf/eth0/arp_filter 1',
    reason: 'upstream does not restore sysctls',
  },
  {
    cases: 'sbr *',
    aspect: ['ADD *', 'DEL *'],
    upstream: 'stderr: *',
    reason: 'upstream tells on stderr what it does; ours has PODWIRE_LOG',
  },
  {
    cases: 'sbr *',
    aspect: 'pod1*',
    upstream: '+ route fd00:* dev eth0 table 100 *',
    reason: 'upstream copies routes of both families for each address; ours those of the address’s family',
  },
  {
    cases: 'sbr *',
    aspect: 'pod1*',
    ours: ['- route * table 10*', '+ route * dev eth0*'],
    reason: 'upstream leaves the routes in the tables, and they go with the interface; ours moves them back',
  },
  {
    cases: 'sbr *',
    aspect: 'left at the end',
    upstream: ['pod1: - route *', 'pod1: + route * table 10*'],
    reason: 'upstream leaves the routes in the tables, and they go with the interface; ours moves them back',
  },
  {
    cases: 'ptp *',
    aspect: 'node*',
    upstream: '+ address <veth 1> fd00:1::1/128 scope global',
    ours: ['+ address <veth 1> fd00:1::1/128 scope global nodad', '+ sysctl ipv6/conf/<veth 1>/accept_dad 0'],
    reason: 'nobody else can have the node’s addresses on a wire with two ends',
  },
  {
    cases: ['ptp *', 'macvlan *', 'host-device *'],
    aspect: POD,
    ours: [
      '*sysctl ipv4/conf/eth0/arp_notify 1',
      '*sysctl ipv6/conf/eth0/accept_dad 0',
      '*sysctl ipv6/conf/eth0/ndisc_notify 1',
    ],
    reason:
      'all that attach a pod set its interface up as bridge does: usable at once, and neighbours are told',
  },
  {
    cases: 'macvlan *',
    aspect: POD,
    upstream: '* link eth0 kind macvlan * mode *',
    ours: '* link eth0 kind macvlan * mode * alias *',
    reason: 'a link’s alias says whose it is',
  },
  {
    cases: 'host-device moves *',
    aspect: ['node*', 'left at the end'],
    upstream: ['*link up0 * admin down alias up0', 'node: - link up0 * admin up'],
    ours: '+ link up0 * admin up',
    reason: 'upstream leaves the link down, and its alias; ours brings it home as it was',
  },
]
