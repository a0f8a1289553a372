import { test } from 'tap'
import { sysctlContract } from './sysctl.contract.ts'
import { SysctlFake } from './sysctl-fake.ts'

sysctlContract('SysctlFake', () => {
  const sysctl = new SysctlFake()
  return {
    sysctl,
    addLink: (name) => sysctl.addLink(name),
    renameLink: (name, to) => sysctl.renameLink(name, to),
    removeLink: (name) => sysctl.removeLink(name),
  }
})

test('SysctlFake.dump shows what was changed', async (t) => {
  const sysctl = new SysctlFake()
  sysctl.addLink('eth0')
  t.equal(sysctl.dump(), '')
  sysctl.set(
    { key: 'ipv6/conf/eth0/accept_ra', value: '0' },
    { key: 'ipv4/conf/eth0/arp_notify', value: '1' },
  )
  t.equal(sysctl.dump(), 'sysctl ipv4/conf/eth0/arp_notify 1\nsysctl ipv6/conf/eth0/accept_ra 0\n')
})
