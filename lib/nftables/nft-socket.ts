// The real port: nf_tables over one nfnetlink socket that stays in the namespace it was opened in.

import { Connection, type Trace, type Transport } from '../netlink/connection.ts'
import type { Message } from '../netlink/message.ts'
import { type Request, readPayload, request } from '../netlink/request.ts'
import { isHooked, type NftChain, type NftHook, readBaseChain, readChain } from './chain.ts'
import { elementListAttributes, elementsText, type NftElement, readElements } from './element.ts'
import { asNftError, isNotFound, NftError } from './error.ts'
import { isCertain, KnownRules } from './known-rules.ts'
import {
  MESSAGES,
  NF_TABLES_KINDS,
  NFNL_MSG_BATCH_BEGIN,
  NFNL_MSG_BATCH_END,
  NFNL_SUBSYS_NFTABLES,
  NFT_MSG_GETGEN,
  NFT_MSG_NEWGEN,
} from './messages.ts'
import type { Nft } from './nft.ts'
import { familyHeader, type NftOperation, operationRequest, operationSummary } from './operation.ts'
import { type NftRuleState, readRule } from './rule.ts'
import { isInterval, type NftMap, type NftSet, readSet, setName } from './set.ts'
import { type NftTable, readTable, tableName } from './table.ts'
import { withoutDestroys } from './without-destroy.ts'

/** What a socket's send buffer takes at once by default is 212,960 bytes (net.core.wmem_default, less 32). */
const MAX_BATCH_BYTES = 200_000

/**
 * Every refusal is a message of its own, some 800 bytes of the receive buffer (net.core.rmem_default, 212,992).
 * More than fit would be an error of the socket, and the batch's outcome lost.
 */
const MAX_OPERATIONS = 200

const UNKNOWN = -1
const GET_GENERATION = request(NFT_MSG_GETGEN, { operation: 'get generation of ruleset' })

/** How often what a destroy is about may vanish between our look and our delete. */
const MAX_DESTROY_ATTEMPTS = 10

/**
 * Between two datagrams of a list the kernel goes on after as many elements as it has told. While it gives the set's hash
 * table another size, a moment after many have come, that are others: some come twice then, and others not at all.
 */
const MAX_LISTINGS = 30

/** An echo is of every element; of some hundred, it could be more than the socket takes. */
const MAX_ECHOED = 16

function isShort(operation: NftOperation | undefined): boolean {
  return operation !== undefined && (!('elementsOf' in operation) || operation.elements.length <= MAX_ECHOED)
}

function readGeneration({ payload }: Message): number {
  return readPayload(NFT_MSG_NEWGEN, payload).attributes.NFTA_GEN_ID ?? UNKNOWN
}

function hasTwins(elements: readonly NftElement[]): boolean {
  return new Set(elements.map(({ key }) => key.join(' '))).size < elements.length
}

/** What is said to the kernel about a batch as a whole, at its first message: no privilege, too large, no memory. */
function batchOperation(transaction: readonly NftOperation[], bytes: number): string {
  const [first] = transaction
  const rest = transaction.length === 1 ? '' : ` and ${transaction.length - 1} more`
  return `${first ? operationSummary(first) : ''}${rest} (${bytes} bytes)`
}

export class NftSocket implements Nft {
  readonly #connection: Connection
  readonly #rules = new KnownRules()
  /** Unknown until a destroy is refused: Linux before 6.3 has none. */
  #hasDestroy = true
  /** Unknown until it does not: Linux before 5.10 does so only when somebody listens (dceababac29d). */
  #tellsGeneration = true

  constructor(open: () => Transport, trace?: Trace) {
    this.#connection = new Connection(open(), { trace, kinds: NF_TABLES_KINDS })
  }

  async apply(transaction: readonly NftOperation[]): Promise<void> {
    await this.#apply(transaction)
  }

  async applyAndListRules(
    transaction: readonly NftOperation[],
    table: NftTable,
  ): Promise<readonly NftRuleState[]> {
    const generation = await this.#apply(transaction)
    return this.#rules.find(tableName(table), generation) ?? this.listRules(table)
  }

  /** @returns the generation that it made */
  async #apply(transaction: readonly NftOperation[]): Promise<number> {
    if (transaction.length === 0) return UNKNOWN
    if (!this.#hasDestroy) return this.#applyWithoutDestroy(transaction)
    try {
      return await this.#batch(transaction)
    } catch (error) {
      // A message type that the kernel does not know is EINVAL, like much else: ask what it was.
      const isSuspect = error instanceof NftError && error.code === 'EINVAL' && transaction.some(isDestroy)
      if (!isSuspect || (await this.#probeDestroy())) throw error
      this.#hasDestroy = false
      return this.#applyWithoutDestroy(transaction)
    }
  }

  /** @returns the generation that it made */
  async #batch(transaction: readonly NftOperation[]): Promise<number> {
    const requests = transaction.map((operation, i) => operationRequest(operation, i + 1))
    const bytes = requests.reduce((sum, { payload }) => sum + payload.length, 0)
    const operation = batchOperation(transaction, bytes)
    if (bytes > MAX_BATCH_BYTES || transaction.length > MAX_OPERATIONS) {
      const most = `${MAX_OPERATIONS} operations and ${MAX_BATCH_BYTES} bytes at most`
      const why = `a transaction cannot be split, and takes ${most}`
      throw new NftError(operation, { code: 'EMSGSIZE', why })
    }
    const header = { res_id: NFNL_SUBSYS_NFTABLES }
    const begin = request(NFNL_MSG_BATCH_BEGIN, { header, operation })
    const end = request(NFNL_MSG_BATCH_END, { header, operation: '' })
    if (this.#rules.isEmpty) {
      await this.#attempt(() => this.#connection.batch([begin, ...requests], { end }))
      return UNKNOWN
    }
    const generation = await this.#batchInGeneration(transaction, [begin, ...requests], end)
    this.#rules.commit(transaction, generation)
    return generation
  }

  /** @returns the generation that it made */
  async #batchInGeneration(
    transaction: readonly NftOperation[],
    requests: readonly Request[],
    end: Request,
  ): Promise<number> {
    // With the echo of the first operation comes that of the transaction (nf_tables_gen_notify).
    const echoed = this.#tellsGeneration && isShort(transaction[0]) ? requests[1] : undefined
    const done = this.#attempt(() => this.#connection.batch(requests, { end, echoed }))
    // Else asked at once: the kernel answers in this order, and no other call of ours comes between.
    const asked = echoed === undefined ? this.#generation().catch(() => UNKNOWN) : undefined
    const echo = (await done).find(({ type }) => type === NFT_MSG_NEWGEN.type)
    if (echo !== undefined) return readGeneration(echo)
    if (echoed !== undefined && isCertain(transaction)) this.#tellsGeneration = false
    return asked ?? this.#generation().catch(() => UNKNOWN)
  }

  async #generation(): Promise<number> {
    return readGeneration(await this.#attempt(() => this.#connection.get(GET_GENERATION)))
  }

  async #attempt<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work()
    } catch (error) {
      throw asNftError(error)
    }
  }

  /** Destroys a table that is certainly not there: nothing happens, where the kernel knows how. */
  async #probeDestroy(): Promise<boolean> {
    const table: NftTable = { family: 'inet', name: `podwire-no-such-table-${process.pid}` }
    try {
      await this.#batch([{ verb: 'destroy', table }])
      return true
    } catch (error) {
      if (error instanceof NftError && error.code === 'EINVAL') return false
      throw error
    }
  }

  async #applyWithoutDestroy(transaction: readonly NftOperation[]): Promise<number> {
    for (let attempt = 1; ; attempt++) {
      const resolved = await withoutDestroys(this, transaction)
      if (resolved.length === 0) return UNKNOWN
      try {
        return await this.#batch(resolved)
      } catch (error) {
        // Another process was quicker to delete it.
        const isRace = isNotFound(error) && transaction.some(isDestroy) && attempt < MAX_DESTROY_ATTEMPTS
        if (!isRace) throw error
      }
    }
  }

  async listTables(): Promise<NftTable[]> {
    const payloads = await this.#dump(request(MESSAGES.table.GET, { operation: 'list tables' }))
    return payloads.map(readTable)
  }

  async listChains(table: NftTable): Promise<NftChain[]> {
    const payloads = await this.#dump(
      // Of all tables in the family: the kernel takes no filter for chains.
      request(MESSAGES.chain.GET, {
        header: familyHeader(table.family),
        operation: `list chains ${tableName(table)}`,
      }),
    )
    return payloads.flatMap((payload) => readChain(table, payload) ?? [])
  }

  async listBaseChains(hook: NftHook): Promise<NftChain[]> {
    const payloads = await this.#dump(
      request(MESSAGES.chain.GET, {
        header: familyHeader('unspec'),
        operation: `list chains at hook ${hook}`,
      }),
    )
    // A node may have thousands of chains, and a handful of them at hooks.
    return payloads.filter(isHooked).flatMap((payload) => readBaseChain(payload, hook) ?? [])
  }

  async listSets(table: NftTable): Promise<(NftSet | NftMap)[]> {
    const payloads = await this.#dumpOf(
      request(MESSAGES.set.GET, {
        header: familyHeader(table.family),
        attributes: { NFTA_SET_TABLE: table.name },
        operation: `list sets ${tableName(table)}`,
      }),
    )
    return payloads.map((payload) => readSet(table, payload))
  }

  async listRules(table: NftTable, chain?: string): Promise<readonly NftRuleState[]> {
    if (chain !== undefined || !isKept(table)) return this.#readRules(table, chain)
    const [name, before] = [tableName(table), await this.#generation()]
    const known = this.#rules.find(name, before)
    if (known !== undefined) return known
    const rules = await this.#readRules(table)
    if ((await this.#generation()) === before) this.#rules.keep(name, rules, before)
    return rules
  }

  async #readRules(table: NftTable, chain?: string): Promise<NftRuleState[]> {
    const payloads = await this.#dumpOf(
      request(MESSAGES.rule.GET, {
        header: familyHeader(table.family),
        attributes: {
          NFTA_RULE_TABLE: table.name,
          NFTA_RULE_CHAIN: chain,
        },
        operation: `list rules ${tableName(table)}${chain === undefined ? '' : ` ${chain}`}`,
      }),
    )
    return payloads.map(readRule)
  }

  async listElements(set: NftSet | NftMap): Promise<NftElement[]> {
    const list = request(MESSAGES.element.GET, {
      header: familyHeader(set.table.family),
      attributes: elementListAttributes(set, [], { detail: 'key' }),
      operation: `list elements ${setName(set)}`,
    })
    for (let attempt = 1; ; attempt++) {
      const elements = readElements(set, await this.#dumpOf(list))
      if (!hasTwins(elements) || attempt === MAX_LISTINGS) return elements
    }
  }

  async findElement(set: NftSet | NftMap, key: readonly string[]): Promise<NftElement | undefined> {
    // The kernel finds one end of a range, not both.
    if (isInterval(set) && set.type.length === 1) {
      return (await this.listElements(set)).find((element) => element.key[0] === key[0])
    }
    const get = request(MESSAGES.element.GET, {
      header: familyHeader(set.table.family),
      attributes: elementListAttributes(set, [{ key }], { detail: 'key' }),
      operation: `get element ${elementsText(set, [{ key }])}`,
    })
    try {
      const { payload } = await this.#attempt(() => this.#connection.get(get))
      return readElements(set, [payload])[0]
    } catch (error) {
      if (isNotFound(error)) return undefined
      throw error
    }
  }

  async #dump(dump: Request): Promise<Uint8Array[]> {
    const messages = await this.#attempt(() => this.#connection.dump(dump))
    return messages.map((message) => message.payload)
  }

  /** For dumps that name what they are of: the kernel may answer ENOENT where nothing is. */
  async #dumpOf(dump: Request): Promise<Uint8Array[]> {
    try {
      return await this.#dump(dump)
    } catch (error) {
      if (isNotFound(error)) return []
      throw error
    }
  }

  close(): void {
    this.#connection.close()
  }
}

/** Ours, of which nothing but transactions changes rules: a table with an owner goes with that, and is not counted. */
function isKept({ name }: NftTable): boolean {
  return name.startsWith('podwire')
}

function isDestroy(operation: NftOperation): boolean {
  return operation.verb === 'destroy'
}
