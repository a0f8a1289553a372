import { FakeNetwork, FakeStack, type KernelFeatures } from './fake-stack.ts'
import { linkKindsContract } from './link-kinds.contract.ts'
import { type RtnlWorld, rtnlContract } from './rtnl.contract.ts'
import { RtnlFake } from './rtnl-fake.ts'
import { trafficContract } from './traffic.contract.ts'

const noParameters = { addLink() {}, renameLink() {}, removeLink() {}, put() {}, find: () => undefined }

function makeWorld({ bridgeVlanFiltering = true, ...features }: Partial<KernelFeatures>): RtnlWorld {
  const network = new FakeNetwork({ bridgeVlanFiltering, ...features })
  const host = new FakeStack(network, 'host', noParameters)
  const pod = new FakeStack(network, 'pod', noParameters)
  const [podFd, hostFd] = [network.openFd(pod), network.openFd(host)]
  return { host: new RtnlFake(host), pod: new RtnlFake(pod), podFd, hostFd, bridgeVlanFiltering }
}

rtnlContract('RtnlFake', () => makeWorld({}))
rtnlContract('RtnlFake without VLANs', () => makeWorld({ bridgeVlanFiltering: false }))
linkKindsContract('RtnlFake', () => makeWorld({}))
linkKindsContract('RtnlFake without kinds', () =>
  makeWorld({ missing: ['link ipvlan', 'link vlan', 'link vrf', 'link dummy'] }),
)

trafficContract('RtnlFake', () => {
  const missing = ['link nonesuch', 'qdisc nonesuch', 'action nonesuch'] as const
  const network = new FakeNetwork({ bridgeVlanFiltering: true, missing })
  return new RtnlFake(new FakeStack(network, 'host', noParameters))
})
