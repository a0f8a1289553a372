import { FakeNetwork, FakeStack } from './fake-stack.ts'
import { rtnlContract } from './rtnl.contract.ts'
import { RtnlFake } from './rtnl-fake.ts'
import { trafficContract } from './traffic.contract.ts'

const noParameters = { addLink() {}, renameLink() {}, removeLink() {}, find: () => undefined }

for (const bridgeVlanFiltering of [true, false]) {
  rtnlContract(bridgeVlanFiltering ? 'RtnlFake' : 'RtnlFake without VLANs', () => {
    const network = new FakeNetwork({ bridgeVlanFiltering })
    const host = new FakeStack(network, 'host', noParameters)
    const pod = new FakeStack(network, 'pod', noParameters)
    const podFd = network.openFd(pod)
    return { host: new RtnlFake(host), pod: new RtnlFake(pod), podFd, bridgeVlanFiltering }
  })
}

trafficContract('RtnlFake', () => {
  const missing = ['link nonesuch', 'qdisc nonesuch', 'action nonesuch'] as const
  const network = new FakeNetwork({ bridgeVlanFiltering: true, missing })
  return new RtnlFake(new FakeStack(network, 'host', noParameters))
})
