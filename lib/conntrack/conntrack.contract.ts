// What every `Conntrack` does, on the fake and on the kernel alike.

import { test } from 'tap'
import { IpAddress } from '../ip/address.ts'
import type { Conntrack } from './conntrack.ts'
import type { FakeConnection } from './conntrack-fake.ts'

export interface ConntrackUnderTest {
  readonly conntrack: Conntrack
  add(...connections: readonly FakeConnection[]): void
  /** As ConntrackFake.dump. */
  dump(): string
}

const connections: readonly FakeConnection[] = [
  { orig: ['10.1.0.5', '192.0.2.2'] },
  { orig: ['10.1.0.5', '192.0.2.3'], reply: ['192.0.2.3', '192.0.2.1'] }, // masqueraded
  { orig: ['192.0.2.9', '192.0.2.1'], reply: ['10.1.0.5', '192.0.2.9'] }, // to a port of the node
  { orig: ['10.1.0.6', '10.1.0.5'] },
  { orig: ['10.1.0.6', '192.0.2.2'] },
  { orig: ['10.1.0.50', '192.0.2.2'] },
  { orig: ['fd00::5', '2001:db8::2'] },
  { orig: ['2001:db8::9', '2001:db8::1'], reply: ['fd00::5', '2001:db8::9'] },
  { orig: ['fd00::6', '2001:db8::2'] },
  // To an address that another answers for.
  { orig: ['192.0.2.9', '10.1.0.5'], reply: ['10.1.0.6', '192.0.2.9'] },
  { orig: ['2001:db8::9', 'fd00::5'], reply: ['fd00::6', '2001:db8::9'] },
]
const LEFT = `connection 10.1.0.50 > 192.0.2.2, 192.0.2.2 > 10.1.0.50
connection 10.1.0.6 > 192.0.2.2, 192.0.2.2 > 10.1.0.6
connection 192.0.2.9 > 10.1.0.5, 10.1.0.6 > 192.0.2.9
connection 2001:db8::9 > fd00::5, fd00::6 > 2001:db8::9
connection fd00::6 > 2001:db8::2, 2001:db8::2 > fd00::6
`
const [TCP, UDP] = [6, 17]
const toPorts: readonly FakeConnection[] = [
  { orig: ['192.0.2.9', '192.0.2.1'], port: 8080 },
  { orig: ['192.0.2.9', '192.0.2.1'], reply: ['10.1.0.5', '192.0.2.9'], port: 8080, sourcePort: 1001 },
  { orig: ['192.0.2.9', '192.0.2.1'], reply: ['10.1.0.5', '192.0.2.9'], port: 8080, protocol: TCP },
  { orig: ['192.0.2.9', '192.0.2.1'], reply: ['10.1.0.5', '192.0.2.9'], port: 8081 },
  { orig: ['2001:db8::9', '2001:db8::1'], reply: ['fd00::5', '2001:db8::9'], port: 8080 },
]
const LEFT_OF_PORTS = `connection 192.0.2.9 > 192.0.2.1, 10.1.0.5 > 192.0.2.9
connection 192.0.2.9 > 192.0.2.1, 192.0.2.1 > 192.0.2.9
`
const addresses = ['10.1.0.5', 'fd00::5'].map((text) => IpAddress.parse(text))

export function conntrackContract(
  subject: string,
  open: (t: { teardown(work: () => void): void }) => ConntrackUnderTest,
): void {
  for (const size of [1, 1_000_000]) {
    test(`${subject} forgets the connections of addresses among ${size}, both ways and translated`, async (t) => {
      const { conntrack, add, dump } = open(t)
      t.equal(await conntrack.flush(addresses, size), 0, 'there are none')
      add(...connections)
      t.equal(dump().split('\n').length, connections.length + 1)
      t.equal(await conntrack.flush([], size), 0)
      t.equal(await conntrack.flush(addresses, size), 6)
      t.equal(dump(), LEFT)
      t.equal(await conntrack.flush(addresses, size), 0)
      t.equal(dump(), LEFT)
    })

    test(`${subject} forgets connections to a port among ${size}, of those the stale ones`, async (t) => {
      const { conntrack, add, dump } = open(t)
      add(...toPorts)
      const seen: string[] = []
      const flush = (protocol: number, port: number) =>
        conntrack.flushPorts([{ protocol, port }], size, ({ destination, answeredBy, ...one }) => {
          seen.push(`${destination} ${answeredBy} ${one.protocol} ${one.port}`)
          return !answeredBy.equals(destination)
        })
      t.equal(await conntrack.flushPorts([], size, () => true), 0)
      t.equal(await flush(UDP, 8080), 2)
      t.strictSame(seen.sort(), [
        '192.0.2.1 10.1.0.5 17 8080',
        '192.0.2.1 192.0.2.1 17 8080',
        '2001:db8::1 fd00::5 17 8080',
      ])
      t.equal(await flush(UDP, 9999), 0)
      t.equal(await flush(TCP, 8080), 1)
      t.equal(dump(), LEFT_OF_PORTS)
      const many = Array.from({ length: 20 }, (_, i) => ({ protocol: UDP, port: 8070 + i }))
      t.equal(
        await conntrack.flushPorts(many, size, () => true),
        2,
        'more ports than are asked for one by one',
      )
    })
  }
}
