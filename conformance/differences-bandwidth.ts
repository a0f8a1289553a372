// Where cni-bandwidth differs from upstream's bandwidth 1.1.1 (cases/bandwidth.ts).

import type { Difference } from './differences.ts'

export const BANDWIDTH: readonly Difference[] = [
  {
    cases: 'bandwidth *',
    aspect: 'node',
    upstream: '+ link <ifb 1> kind ifb mtu 1500 mac <mac 1> mac_is random admin up',
    ours: '+ link <ifb 1> kind ifb mtu 1500 mac <mac 1> mac_is set admin up alias net pod1 eth0',
    reason: 'a MAC that is set is left alone by udev; the alias says whose the link is',
  },
  {
    cases: 'bandwidth *',
    aspect: 'tc',
    upstream: '*action order 2: mirred (Egress Redirect to device <ifb 1>) pass',
    reason: 'a second action to the same end never runs after the first, which takes the packet',
  },
  {
    cases: 'bandwidth does nothing without rates',
    aspect: 'CHECK *',
    upstream: ['exit status 2', 'stderr: *'],
    ours: 'ok',
    reason: 'upstream’s CHECK crashes when there is nothing to check',
  },
  {
    cases: 'bandwidth refuses *',
    aspect: 'ADD *',
    upstream: 'code 999',
    ours: 'code 7',
    reason: 'what is wrong in the config is of code 7',
  },
  {
    cases: 'bandwidth refuses an interface that is no veth',
    aspect: 'ADD *',
    upstream: 'msg "container interface br1 has no veth peer: *',
    ours: 'msg "container interface br1 has no veth peer"',
    reason: 'upstream’s library says the same twice',
  },
]
