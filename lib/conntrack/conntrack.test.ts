import { conntrackContract } from './conntrack.contract.ts'
import { ConntrackFake } from './conntrack-fake.ts'

conntrackContract('fake', () => {
  const conntrack = new ConntrackFake()
  return { conntrack, add: (...more) => conntrack.add(...more), dump: () => conntrack.dump() }
})
