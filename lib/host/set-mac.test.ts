import { test } from 'tap'
import type { MacAddress } from '../ip/mac.ts'
import type { Link } from '../rtnl/link.ts'
import { FakeKernel } from './kernel-fake.ts'
import { hasSetMac, rememberSetMac } from './set-mac.ts'

const [FIRST, SECOND] = ['02:00:00:00:00:01', '02:00:00:00:00:02'] as [MacAddress, MacAddress]
const bridge = (index: number, mac: MacAddress) => ({ name: 'cni0', index, mac }) as Link
/** What /sys says of `cni0`. */
const sys = (ifindex: string, assigned: string) => ({
  find: (path: string) => (path.endsWith('/ifindex') ? `${ifindex}\n` : `${assigned}\n`),
})

test('a MAC is set when sysfs says so of the same link', (t) => {
  const kernel = new FakeKernel()
  t.equal(hasSetMac({ kernel, files: sys('7', '3') }, bridge(7, FIRST)), true)
  t.equal(hasSetMac({ kernel, files: sys('7', '1') }, bridge(7, FIRST)), false, 'the kernel’s choice')
  t.equal(hasSetMac({ kernel, files: sys('8', '3') }, bridge(7, FIRST)), false, 'another namespace’s link')
  t.equal(hasSetMac({ kernel, files: { find: () => undefined } }, bridge(7, FIRST)), false)
  t.end()
})

test('a MAC that was set is known from then on, of that link in that kernel', (t) => {
  const [kernel, files] = [new FakeKernel(), sys('1', '0')]
  rememberSetMac(kernel, bridge(7, FIRST))
  t.equal(hasSetMac({ kernel, files }, bridge(7, FIRST)), true)
  t.equal(hasSetMac({ kernel, files }, bridge(7, SECOND)), false, 'a new link with an old index')
  t.equal(hasSetMac({ kernel, files }, bridge(8, FIRST)), false)
  t.equal(hasSetMac({ kernel: new FakeKernel(), files }, bridge(7, FIRST)), false)
  t.end()
})
