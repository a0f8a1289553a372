import { test } from 'tap'
import { IpAddress } from '../ip/address.ts'
import type { Hostport } from './hostport.ts'
import { isLeft, isMissing, portsOf } from './stale-connections.ts'

const ip = (text: string) => IpAddress.parse(text)
const web: Hostport = { protocol: 'tcp', port: 8080, address: ip('10.1.0.5'), podPort: 80 }
const dns: Hostport = { protocol: 'udp', port: 53, address: ip('10.1.0.5'), podPort: 53 }
const dns6: Hostport = { ...dns, address: ip('fd00::5') }
const one: Hostport = { ...dns, port: 54, hostIp: ip('192.0.2.7') }
const local = ['192.0.2.1', '2001:db8::1'].map(ip)

const connection = (protocol: number, port: number, destination: string, answeredBy = destination) => ({
  protocol,
  port,
  destination: ip(destination),
  answeredBy: ip(answeredBy),
})

const ROWS: readonly [what: string, ReturnType<typeof connection>, missing: boolean, left: boolean][] = [
  ['UDP to the node itself', connection(17, 53, '192.0.2.1'), true, false],
  ['UDP to the node over IPv6', connection(17, 53, '2001:db8::1'), true, false],
  ['UDP to the loopback address', connection(17, 53, '127.0.0.1'), true, false],
  ['UDP to an earlier pod', connection(17, 53, '192.0.2.1', '10.1.0.4'), true, false],
  ['UDP to the pod', connection(17, 53, '192.0.2.1', '10.1.0.5'), false, true],
  ['UDP to the pod over IPv6', connection(17, 53, '2001:db8::1', 'fd00::5'), false, true],
  ['UDP to the world', connection(17, 53, '8.8.8.8'), false, false],
  ['UDP to a Service', connection(17, 53, '10.96.0.10', '10.1.0.9'), false, false],
  ['TCP of the node’s own', connection(6, 8080, '192.0.2.1'), false, false],
  ['TCP to an earlier pod', connection(6, 8080, '192.0.2.1', '10.1.0.4'), true, false],
  ['TCP to the pod', connection(6, 8080, '192.0.2.1', '10.1.0.5'), false, true],
  ['another port', connection(6, 8081, '192.0.2.1', '10.1.0.4'), false, false],
  ['another protocol', connection(17, 8080, '192.0.2.1', '10.1.0.4'), false, false],
  ['the address that is asked for', connection(17, 54, '192.0.2.7', '10.1.0.4'), true, false],
  ['another address than is asked for', connection(17, 54, '192.0.2.1', '10.1.0.4'), false, false],
]

for (const [what, tracked, missing, left] of ROWS) {
  test(`a connection is ${missing ? '' : 'not '}stale after ADD, and ${left ? '' : 'not '}after DEL: ${what}`, (t) => {
    const hostports = [web, dns, dns6, one]
    t.equal(isMissing(hostports, local)(tracked), missing)
    t.equal(isLeft(hostports)(tracked), left)
    t.end()
  })
}

test('portsOf names ports by number of protocol', (t) => {
  t.strictSame(portsOf([web, { ...dns, protocol: 'sctp' }]), [
    { protocol: 6, port: 8080 },
    { protocol: 132, port: 53 },
  ])
  t.end()
})
