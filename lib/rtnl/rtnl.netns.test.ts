import type { Test } from 'tap'
import { NETLINK_ROUTE } from '../netlink/socket.ts'
import { makeNamespace, type TestNamespace } from '../testing/netns.ts'
import { openRelayed } from '../testing/relayed.ts'
import { linkKindsContract } from './link-kinds.contract.ts'
import { type RtnlWorld, rtnlContract } from './rtnl.contract.ts'
import { RtnlSocket } from './rtnl-socket.ts'
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

function makeRelayedWorld(t: Test): RtnlWorld {
  const [host, pod] = ['host', 'pod'].map((label) => makeNamespace(t, label)) as [
    TestNamespace,
    TestNamespace,
  ]
  const open = ({ netns }: TestNamespace) => {
    const rtnl = new RtnlSocket((options) => openRelayed(netns, NETLINK_ROUTE, options))
    t.teardown(() => rtnl.close())
    return rtnl
  }
  const [podFd, hostFd] = [pod.netns.fd, host.netns.fd]
  return { host: open(host), pod: open(pod), podFd, hostFd, bridgeVlanFiltering: canFilterVlans(pod) }
}

rtnlContract('RtnlSocket', makeWorld)
rtnlContract('RtnlSocket by the relay', makeRelayedWorld)
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
