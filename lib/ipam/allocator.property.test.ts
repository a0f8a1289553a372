// Random histories of a network against a model that is as simple as can be: lists, looked through from the start.

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { type Test, test } from 'tap'

import { IpAddress } from '../ip/address.ts'
import { AllocationError } from './allocation-error.ts'
import { allocate } from './allocator.ts'
import type { LeaseStore } from './lease-store.ts'
import { MemoryLeaseStore } from './lease-store-memory.ts'
import { SqliteLeaseStore } from './lease-store-sqlite.ts'
import { capacityOf } from './range.ts'
import { parseRangeSets } from './range-set.ts'

const SETS = parseRangeSets({
  exclude: ['10.1.0.4-10.1.0.5', 'fd00::6'],
  ranges: [
    [{ subnet: '10.1.0.0/29' }, { subnet: '10.2.0.0/30', gateway: '10.2.0.2' }, { subnet: '10.3.0.4/31' }],
    [{ subnet: 'fd00::/125' }],
  ],
})
const NEVER = [
  '10.1.0.0',
  '10.1.0.1',
  '10.1.0.4',
  '10.1.0.5',
  '10.1.0.7',
  '10.2.0.0',
  '10.2.0.2',
  '10.2.0.3',
  'fd00::1',
  'fd00::6',
]
/** By set, in the order in which they are handed out at first. */
const POOLS = [
  ['10.1.0.2', '10.1.0.3', '10.1.0.6', '10.2.0.1', '10.3.0.4', '10.3.0.5'],
  ['fd00::2', 'fd00::3', 'fd00::4', 'fd00::5', 'fd00::7'],
]
const CONTAINERS = ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h']

type Step =
  | { readonly verb: 'add'; readonly id: string; readonly requested?: string }
  | { readonly verb: 'del'; readonly id: string }

const id = fc.constantFrom(...CONTAINERS)
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 4, arbitrary: id.map((id): Step => ({ verb: 'add', id })) },
  {
    weight: 1,
    arbitrary: fc.record({
      verb: fc.constant('add' as const),
      id,
      requested: fc.constantFrom(...POOLS.flat(), ...NEVER),
    }),
  },
  { weight: 3, arbitrary: id.map((id): Step => ({ verb: 'del', id })) },
)

/** What a history should come to: who holds what, and how long the others have been free. */
class Model {
  readonly held = new Map<string, string[]>()
  /** First free first. */
  readonly free: string[][] = POOLS.map(() => [])
  readonly #seen = new Set<string>()

  add(id: string, requested: string | undefined): string[] | undefined {
    if (this.held.has(id)) return undefined
    if (requested !== undefined && !this.#isAvailable(requested)) return undefined
    const taken = POOLS.map((pool, i) => {
      if (requested !== undefined && pool.includes(requested)) return requested
      return pool.find((address) => !this.#seen.has(address)) ?? this.free[i]?.[0]
    })
    if (!taken.every((address) => address !== undefined)) return undefined
    this.held.set(id, taken)
    for (const [i, address] of taken.entries()) {
      this.#seen.add(address)
      this.free[i] = (this.free[i] ?? []).filter((other) => other !== address)
    }
    return taken
  }

  del(id: string): void {
    for (const [i, address] of (this.held.get(id) ?? []).entries()) this.free[i]?.push(address)
    this.held.delete(id)
  }

  #isAvailable(address: string): boolean {
    return POOLS.flat().includes(address) && ![...this.held.values()].flat().includes(address)
  }
}

function addresses(store: LeaseStore, step: Step & { verb: 'add' }, nowMs: number): string[] | undefined {
  const requested = step.requested === undefined ? [] : [IpAddress.parse(step.requested)]
  const request = { network: 'n', containerId: step.id, ifname: 'eth0', sets: SETS, requested, nowMs }
  try {
    return store.transaction((tx) => allocate(tx, request)).map(({ address }) => String(address.address))
  } catch (error) {
    if (error instanceof AllocationError) return undefined
    throw error
  }
}

function follow(t: Test, store: LeaseStore, steps: readonly Step[]): void {
  const model = new Model()
  const history: unknown[] = []
  const expected: unknown[] = []
  for (const [nowMs, step] of steps.entries()) {
    if (step.verb === 'add') {
      history.push(addresses(store, step, nowMs))
      expected.push(model.add(step.id, step.requested))
    } else {
      store.transaction((tx) => tx.release('n', { containerId: step.id, ifname: 'eth0' }, nowMs))
      model.del(step.id)
    }
  }
  const held = store.read((tx) => tx.listHeld('n').map((lease) => String(lease.address)))
  const outcome = JSON.stringify({ history, held: held.sort() })
  const wanted = JSON.stringify({ history: expected, held: [...model.held.values()].flat().sort() })
  if (outcome !== wanted) t.comment(JSON.stringify(steps))
  if (outcome !== wanted) throw new Error(`${outcome}\nshould be\n${wanted}`)
  if (held.some((address) => NEVER.includes(address)) || new Set(held).size !== held.length) {
    throw new Error(`twice or never to be held: ${held.join(' ')}`)
  }
}

test('the model knows the sets', async (t) => {
  t.same(
    SETS.map((set) => set.reduce((sum, range) => sum + capacityOf(range), 0n)),
    [6n, 5n],
  )
})

test('allocate does what the model does, on the fake', async (t) => {
  const histories = fc.array(step, { maxLength: 80 })
  fc.assert(
    fc.property(histories, (steps) => follow(t, new MemoryLeaseStore('boot-1'), steps)),
    { numRuns: 300 },
  )
})

test('allocate does what the model does, on SQLite', async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'podwire-allocator-'))
  t.teardown(() => rmSync(directory, { recursive: true, force: true }))
  let stores = 0
  const histories = fc.array(step, { maxLength: 60 })
  const property = fc.property(histories, (steps) => {
    const store = SqliteLeaseStore.open(join(directory, `${stores++}.db`), { bootId: 'boot-1' })
    follow(t, store, steps)
    store.close()
  })
  fc.assert(property, { numRuns: 30 })
})
