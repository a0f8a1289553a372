import type { Test } from 'tap'
import { makeNamespace, type TestNamespace } from '../testing/netns.ts'
import { linkKindsContract } from './link-kinds.contract.ts'
import { type RtnlWorld, rtnlContract } from './rtnl.contract.ts'
import { trafficContract } from './traffic.contract.ts'

function makeWorld(t: Test): RtnlWorld {
  const host = makeNamespace(t, 'host')
  const pod = makeNamespace(t, 'pod')
  return {
    host: host.rtnl,
    pod: pod.rtnl,
    podFd: pod.netns.fd,
    hostFd: host.netns.fd,
    bridgeVlanFiltering: canFilterVlans(pod),
  }
}

rtnlContract('RtnlSocket', makeWorld)
linkKindsContract('RtnlSocket', makeWorld)

trafficContract('RtnlSocket', (t) => makeNamespace(t).rtnl)

/** CONFIG_BRIDGE_VLAN_FILTERING, asked of another program. */
function canFilterVlans(namespace: TestNamespace): boolean {
  try {
    namespace.run('ip', 'link', 'add', 'probe', 'type', 'bridge', 'vlan_filtering', '1')
  } catch {
    return false
  }
  namespace.run('ip', 'link', 'del', 'probe')
  return true
}
