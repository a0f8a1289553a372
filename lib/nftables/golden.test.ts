// Our messages against those of nft, and the kernel's against what they were made from.

import { test } from 'tap'
import type { MessageKind } from '../netlink/request.ts'
import { readPayload, request } from '../netlink/request.ts'
import { readChain } from './chain.ts'
import { readElements } from './element.ts'
import { saddr } from './field.ts'
import { SENT_BY_NFT, SENT_BY_THE_KERNEL } from './golden-bytes.ts'
import { additions, chains, maps, removals, rules, sets, table } from './golden-cases.ts'
import { MESSAGES, NF_TABLES_KINDS } from './messages.ts'
import { operationRequest, operationText } from './operation.ts'
import { isSameBody, readRule } from './rule.ts'
import { readSet } from './set.ts'
import { inSet } from './statement.ts'
import { readTable } from './table.ts'
import { decodeUserdata, encodeUserdata } from './userdata.ts'

const operations = [...additions, ...removals]

/**
 * What nft says without need: numbers for its sets, which operation of a bitwise where it is the first (0), that a
 * constant port is given, and with concatenated keys a note on their types.
 */
const NFT_OWN = new Set([
  'NFTA_LOOKUP_SET_ID',
  'NFTA_SET_ELEM_LIST_SET_ID',
  'NFTA_SET_ID',
  'NFTA_BITWISE_OP',
  'NFTA_NAT_FLAGS',
])
const UDATA_SET_TYPEOF = [3, 4]

/** nft puts an end at 0 before the first range of all, which neither the kernel nor nft itself needs. */
const BEGINS_WITH_ZERO_END = 'add element inet golden subnets { 255.255.255.0/24 }'

function kindOf(type: number): MessageKind {
  const kind = NF_TABLES_KINDS.find((one) => one.type === type)
  if (kind === undefined) throw new RangeError(`no kind ${type}`)
  return kind
}

function withoutNftsOwn(name: string, value: unknown): unknown {
  if (name === 'NFTA_SET_USERDATA') {
    const entries = decodeUserdata(value as Uint8Array)
    return encodeUserdata(new Map([...entries].filter(([type]) => !UDATA_SET_TYPEOF.includes(type))))
  }
  if (Array.isArray(value)) return value.map((one) => withoutNftsOwn('', one))
  if (value === null || typeof value !== 'object' || value instanceof Uint8Array) return value
  // The order of attributes has no meaning.
  const kept = Object.entries(value)
    .filter(([key]) => !NFT_OWN.has(key))
    .sort(([a], [b]) => (a < b ? -1 : 1))
  return Object.fromEntries(kept.map(([key, one]) => [key, withoutNftsOwn(key, one)]))
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex')
}

function recoded(type: number, payload: Uint8Array, change = (content: object) => content): string {
  const kind = kindOf(type)
  return hex(request(kind, { ...change(readPayload(kind, payload)), operation: '' }).payload)
}

test('operations read as the nft commands that the bytes were captured from', async (t) => {
  t.same(
    operations.map(operationText),
    SENT_BY_NFT.map(({ nft }) => nft),
  )
})

for (const [i, golden] of SENT_BY_NFT.entries()) {
  const bytes = Buffer.from(golden.payload, 'hex')

  test(`bytes of nft come back the same when decoded and encoded: ${golden.nft}`, async (t) => {
    t.equal(recoded(golden.type, bytes), golden.payload)
  })

  test(`operation makes the message of nft: ${golden.nft}`, async (t) => {
    const operation = operations[i]
    if (operation === undefined) return t.fail('no operation')
    const ours = operationRequest(operation, 1)
    const plain = (content: object) => withoutNftsOwn('', content) as object
    t.equal(ours.kind.type, golden.type)
    // nft does not say NLM_F_CREATE of tables; the kernel makes them all the same.
    if (ours.kind.type !== MESSAGES.table.NEW.type) t.equal(ours.flags, golden.flags)
    if (golden.nft === BEGINS_WITH_ZERO_END) return
    t.equal(recoded(ours.kind.type, ours.payload, plain), recoded(golden.type, bytes, plain))
  })
}

function received(type: number): Uint8Array[] {
  return SENT_BY_THE_KERNEL.filter((one) => one.type === type).map(({ payload }) =>
    Buffer.from(payload, 'hex'),
  )
}

test('messages of the kernel lose nothing when decoded and encoded', async (t) => {
  for (const { type, payload } of SENT_BY_THE_KERNEL) {
    const kind = kindOf(type)
    const once = readPayload(kind, Buffer.from(payload, 'hex'))
    const again = readPayload(kind, Buffer.from(recoded(type, Buffer.from(payload, 'hex')), 'hex'))
    t.same(again, once)
  }
})

test('table is read as it was made', async (t) => {
  t.same(received(MESSAGES.table.NEW.type).map(readTable), [table])
})

test('chains are read as they were made', async (t) => {
  const read = received(MESSAGES.chain.NEW.type).map((payload) => readChain(table, payload))
  const byName = (a: { name: string } | undefined, b: { name: string } | undefined) =>
    (a?.name ?? '') < (b?.name ?? '') ? -1 : 1
  t.same(read.sort(byName), Object.values(chains).sort(byName))
})

test('chain of another table is none of this one', async (t) => {
  const [payload = new Uint8Array()] = received(MESSAGES.chain.NEW.type)
  t.equal(readChain({ ...table, name: 'other' }, payload), undefined)
})

test('sets and maps are read as they were made', async (t) => {
  const read = received(MESSAGES.set.NEW.type).map((payload) => readSet(table, payload))
  for (const set of Object.values({ ...sets, ...maps })) {
    const flags = 'timeoutMs' in set ? { flags: ['timeout'] } : {}
    t.same(
      read.find(({ name }) => name === set.name),
      { ...set, ...flags },
    )
  }
})

test('elements are read as they were made', async (t) => {
  const payloads = received(MESSAGES.element.NEW.type)
  for (const operation of additions) {
    if (!('elementsOf' in operation)) continue
    const { elementsOf: set, elements } = operation
    const own = payloads.filter(
      (payload) => readPayload(MESSAGES.element.NEW, payload).attributes.NFTA_SET_ELEM_LIST_SET === set.name,
    )
    const read = readElements(set, own).map(({ expiresMs: _, ...element }) => element)
    t.same(read, elements, set.name)
  }
})

test('rule of the kernel is another when it says the opposite', async (t) => {
  const inverted = rules.find(({ body }) => body[0]?.text === 'ip6 saddr != @addresses6')
  const state = received(MESSAGES.rule.NEW.type)
    .map(readRule)
    .find(({ expressions }) =>
      expressions.some((one) => Object.values(one.NFTA_EXPR_DATA ?? {}).includes('addresses6')),
    )
  if (inverted === undefined || state === undefined) return t.fail('no such rule')
  const straight = { ...inverted, body: [inSet([saddr(6)], sets.addresses6), ...inverted.body.slice(1)] }
  t.equal(isSameBody(inverted, state), true)
  t.equal(isSameBody(straight, state), false)
})

test('rules of the kernel have the bodies that they were made with', async (t) => {
  const read = received(MESSAGES.rule.NEW.type).map(readRule)
  for (const [name, chain] of Object.entries(chains)) {
    const made = rules.filter((rule) => rule.chain === chain)
    const found = read.filter((state) => state.chain === name)
    t.equal(found.length, made.length)
    for (const [i, rule] of made.entries()) {
      const state = found[i]
      if (state === undefined) return t.fail(`no rule ${i} of ${name}`)
      t.equal(isSameBody(rule, state), true, operationText({ verb: 'add', rule }))
      t.equal(state.comment, rule.comment)
      for (const other of made) {
        if (other !== rule)
          t.equal(isSameBody(other, state), false, operationText({ verb: 'add', rule: other }))
      }
    }
  }
})
