import { test } from 'tap'
import type { MacAddress } from '../ip/mac.ts'
import type { Link } from '../rtnl/link.ts'
import { SetMacs } from './set-mac.ts'

const [FIRST, SECOND] = ['02:00:00:00:00:01', '02:00:00:00:00:02'] as [MacAddress, MacAddress]
const bridge = (index: number, mac: MacAddress) => ({ name: 'cni0', index, mac }) as Link
/** What /sys says of `cni0`. */
const sys = (ifindex: string, assigned: string) => ({
  find: (path: string) => (path.endsWith('/ifindex') ? `${ifindex}\n` : `${assigned}\n`),
})

test('a MAC is set when sysfs says so of the same link', (t) => {
  const macs = new SetMacs()
  t.equal(macs.has(bridge(7, FIRST), sys('7', '3')), true)
  t.equal(macs.has(bridge(7, FIRST), sys('7', '1')), false, 'the kernel’s choice')
  t.equal(macs.has(bridge(7, FIRST), sys('8', '3')), false, 'another namespace’s link')
  t.equal(macs.has(bridge(7, FIRST), { find: () => undefined }), false)
  t.end()
})

test('a MAC that was set is known from then on, of that link', (t) => {
  const [macs, files] = [new SetMacs(), sys('1', '0')]
  macs.add(bridge(7, FIRST))
  t.equal(macs.has(bridge(7, FIRST), files), true)
  t.equal(macs.has(bridge(7, SECOND), files), false, 'a new link with an old index')
  t.equal(macs.has(bridge(8, FIRST), files), false)
  t.end()
})
