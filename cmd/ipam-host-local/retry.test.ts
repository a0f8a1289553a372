// An ADD that the shim makes a second time, since the daemon has died in the middle of the first.

import { test } from 'tap'
import { World } from './world.fixture.ts'

const RANGE = { ranges: [[{ subnet: '10.1.0.0/29', rangeStart: '10.1.0.2', rangeEnd: '10.1.0.4' }]] }
const FIRST = { PODWIRE_CALL: 'x' }
const SECOND = { PODWIRE_CALL: 'x', PODWIRE_RETRY: '1' }

test('the second try of an ADD answers with what the first has leased', async (t) => {
  const world = new World(RANGE)
  t.equal(await world.add('c1', { environment: FIRST }), '10.1.0.2/29')
  t.equal(await world.add('c1', { environment: SECOND }), '10.1.0.2/29')
  t.strictSame(world.held(), ['10.1.0.2 c1/eth0'])
})

test('the second try of an ADD leases when the first has not', async (t) => {
  const world = new World(RANGE)
  t.equal(await world.add('c1', { environment: SECOND }), '10.1.0.2/29')
  t.strictSame(world.held(), ['10.1.0.2 c1/eth0'])
})

test('the second try of an ADD leaves the leases of other interfaces and containers', async (t) => {
  const world = new World(RANGE)
  await world.add('c1')
  await world.add('c1', { ifname: 'net1' })
  t.equal(await world.add('c2', { environment: SECOND }), '10.1.0.4/29')
  t.strictSame(world.held(), ['10.1.0.2 c1/eth0', '10.1.0.3 c1/net1', '10.1.0.4 c2/eth0'])
})

test('what is no second try does not take an address that is leased', async (t) => {
  for (const environment of [{}, FIRST, { PODWIRE_RETRY: '1' }, { PODWIRE_CALL: '', PODWIRE_RETRY: '1' }]) {
    const world = new World(RANGE)
    await world.add('c1')
    t.match(await world.add('c1', { environment }), /already|duplicate/i, JSON.stringify(environment))
    t.strictSame(world.held(), ['10.1.0.2 c1/eth0'])
  }
})
