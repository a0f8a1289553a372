// Ports whose code is loaded when they are first used: most calls need no nftables, and start without.

import type { Conntrack } from '../conntrack/conntrack.ts'
import type { Nft } from '../nftables/nft.ts'

export class LazyNft implements Nft {
  readonly #open: () => Promise<Nft>
  #nft: Promise<Nft> | undefined

  constructor(open: () => Promise<Nft>) {
    this.#open = open
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
    void this.#nft?.then((nft) => nft.close())
  }

  #opened(): Promise<Nft> {
    this.#nft ??= this.#open()
    return this.#nft
  }
}

export class LazyConntrack implements Conntrack {
  readonly #open: () => Promise<Conntrack>
  #conntrack: Promise<Conntrack> | undefined

  constructor(open: () => Promise<Conntrack>) {
    this.#open = open
  }

  flush: Conntrack['flush'] = async (addresses, size) => (await this.#opened()).flush(addresses, size)
  flushPorts: Conntrack['flushPorts'] = async (...which) => (await this.#opened()).flushPorts(...which)
  settle: Conntrack['settle'] = async (addresses) => (await this.#conntrack)?.settle(addresses)

  close(): void {
    void this.#conntrack?.then((conntrack) => conntrack.close())
  }

  #opened(): Promise<Conntrack> {
    this.#conntrack ??= this.#open()
    return this.#conntrack
  }
}
