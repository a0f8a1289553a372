// Ports whose code is loaded when they are first used: most calls need no nftables, and start without.

import type { Conntrack } from '../conntrack/conntrack.ts'
import type { Nft } from '../nftables/nft.ts'

/** What could not be opened is tried anew by who asks next. */
class Opening<T extends { close(): void }> {
  readonly #open: () => Promise<T>
  #opened: Promise<T> | undefined

  constructor(open: () => Promise<T>) {
    this.#open = open
  }

  /** Undefined when nobody has asked. */
  get now(): Promise<T> | undefined {
    return this.#opened
  }

  get(): Promise<T> {
    this.#opened ??= this.#open().catch((error: unknown) => {
      this.#opened = undefined
      throw error
    })
    return this.#opened
  }

  close(): void {
    this.#opened?.then(
      (opened) => opened.close(),
      () => undefined,
    )
  }
}

export class LazyNft implements Nft {
  readonly #opening: Opening<Nft>

  constructor(open: () => Promise<Nft>) {
    this.#opening = new Opening(open)
  }

  apply: Nft['apply'] = async (transaction) => (await this.#opened()).apply(transaction)
  applyAndListRules: Nft['applyAndListRules'] = async (transaction, table) =>
    (await this.#opened()).applyAndListRules(transaction, table)
  listTables: Nft['listTables'] = async () => (await this.#opened()).listTables()
  listChains: Nft['listChains'] = async (table) => (await this.#opened()).listChains(table)
  listBaseChains: Nft['listBaseChains'] = async (hook) => (await this.#opened()).listBaseChains(hook)
  listSets: Nft['listSets'] = async (table) => (await this.#opened()).listSets(table)
  listRules: Nft['listRules'] = async (table, chain) => (await this.#opened()).listRules(table, chain)
  listElements: Nft['listElements'] = async (set) => (await this.#opened()).listElements(set)
  findElement: Nft['findElement'] = async (set, key) => (await this.#opened()).findElement(set, key)

  close(): void {
    this.#opening.close()
  }

  #opened(): Promise<Nft> {
    return this.#opening.get()
  }
}

export class LazyConntrack implements Conntrack {
  readonly #opening: Opening<Conntrack>

  constructor(open: () => Promise<Conntrack>) {
    this.#opening = new Opening(open)
  }

  flush: Conntrack['flush'] = async (addresses, size) => (await this.#opened()).flush(addresses, size)
  flushPorts: Conntrack['flushPorts'] = async (...which) => (await this.#opened()).flushPorts(...which)
  settle: Conntrack['settle'] = async (addresses) => (await this.#opening.now)?.settle(addresses)

  close(): void {
    this.#opening.close()
  }

  #opened(): Promise<Conntrack> {
    return this.#opening.get()
  }
}
