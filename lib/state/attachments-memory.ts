// The fake of the attachment store: the same behaviour in a Map.

import type { Attachment, AttachmentFilter, AttachmentKey, AttachmentStore } from './attachments.ts'

/** What survives a store, as a file does: give it to the next one. */
export type AttachmentMemory = Map<string, Attachment>

export class MemoryAttachmentStore implements AttachmentStore {
  readonly #bootId: string
  readonly #rows: AttachmentMemory

  constructor(bootId: string, memory: AttachmentMemory = new Map()) {
    this.#bootId = bootId
    this.#rows = memory
  }

  put(attachment: Attachment): void {
    this.#forgetEarlierBoots()
    this.#rows.set(keyOf(attachment), structuredClone(attachment))
  }

  complete(key: AttachmentKey): void {
    this.#forgetEarlierBoots()
    const found = this.#rows.get(keyOf(key))
    if (found !== undefined) this.#rows.set(keyOf(key), { ...found, isComplete: true })
  }

  find(key: AttachmentKey): Attachment | undefined {
    const found = this.#rows.get(keyOf(key))
    return found?.bootId === this.#bootId ? structuredClone(found) : undefined
  }

  delete(key: AttachmentKey): void {
    this.#forgetEarlierBoots()
    this.#rows.delete(keyOf(key))
  }

  list(filter: AttachmentFilter = {}): Attachment[] {
    return [...this.#rows]
      .filter(([, row]) => filter.anyBoot || row.bootId === this.#bootId)
      .filter(([, row]) => filter.plugin === undefined || row.plugin === filter.plugin)
      .filter(([, row]) => filter.network === undefined || row.network === filter.network)
      .filter(([, row]) => filter.containerId === undefined || row.containerId === filter.containerId)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([, row]) => structuredClone(row))
  }

  count(): number {
    return this.list().length
  }

  probe(): void {}

  close(): void {}

  #forgetEarlierBoots(): void {
    for (const [key, row] of this.#rows) if (row.bootId !== this.#bootId) this.#rows.delete(key)
  }
}

function keyOf(key: AttachmentKey): string {
  return [key.plugin, key.network, key.containerId, key.ifname].join('\0')
}
