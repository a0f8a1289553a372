import fc from 'fast-check'
import { test } from 'tap'
import { readAttributes, walkAttributes } from '../netlink/attributes.ts'
import { formatMessage } from '../netlink/describe.ts'
import { readMessages } from '../netlink/message.ts'
import type { MessageKind } from '../netlink/request.ts'
import { readAddress } from './address.ts'
import { IFLA, RTM_NEWADDR, RTM_NEWLINK, RTM_NEWROUTE } from './attributes.ts'
import { readFilter } from './filter.ts'
import { readLink } from './link.ts'
import { readQdisc } from './qdisc.ts'
import { ADDRESSES, LINKS, ROUTES } from './replies.fixture.ts'
import { readRoutes } from './route.ts'
import { FILTERS, QDISCS } from './traffic.fixture.ts'
import { RTM_NEWTFILTER } from './traffic-attributes.ts'

// Reading what is broken throws RangeError, or succeeds: never another error, and never without end.

const captured = [LINKS, ADDRESSES, ROUTES, QDISCS, FILTERS].flatMap((messages): Uint8Array[] =>
  Object.values(messages),
)

/** Mostly like the kernel's messages: some bytes changed, and cut off somewhere. */
const mutated = fc
  .record({
    original: fc.constantFrom(...captured),
    changes: fc.array(fc.tuple(fc.nat(), fc.integer({ min: 0, max: 255 })), { maxLength: 8 }),
    cut: fc.option(fc.nat()),
  })
  .map(({ original, changes, cut }) => {
    const bytes = Uint8Array.from(original)
    for (const [at, value] of changes) bytes[at % bytes.length] = value
    return cut === null ? bytes : bytes.subarray(0, cut % bytes.length)
  })

const bytes = fc.oneof(fc.uint8Array({ maxLength: 200 }), mutated)

const READERS: Readonly<Record<string, (bytes: Uint8Array) => unknown>> = {
  readMessages: (bytes) => [...readMessages(bytes)],
  walkAttributes: (bytes) => [...walkAttributes(bytes)],
  readAttributes: (bytes) => readAttributes(bytes, IFLA),
  readLink,
  readAddress,
  readRoutes,
  readQdisc,
  readFilter,
}

for (const [name, read] of Object.entries(READERS)) {
  test(`${name} throws nothing but RangeError`, async (t) => {
    fc.assert(
      fc.property(bytes, (bytes) => {
        try {
          read(bytes)
        } catch (error) {
          return error instanceof RangeError
        }
        return true
      }),
      { numRuns: 1000 },
    )
    t.pass()
  })
}

test('formatMessage never throws', async (t) => {
  const kind = fc.constantFrom(
    RTM_NEWLINK,
    RTM_NEWADDR,
    RTM_NEWROUTE,
    RTM_NEWTFILTER,
  ) as unknown as fc.Arbitrary<MessageKind>
  fc.assert(
    fc.property(
      kind,
      fc.nat(0xffff),
      bytes,
      (kind, flags, bytes) => formatMessage(kind, flags, bytes) !== '',
    ),
    { numRuns: 1000 },
  )
  t.pass()
})
