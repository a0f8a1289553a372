// The fake of upstream's leases: the same behaviour in memory.

import type { Owner, UpstreamFile, UpstreamLeases } from './upstream-leases.ts'

interface Network {
  owner: 'podwire' | 'upstream'
  files: readonly UpstreamFile[]
  note: string
}

export class MemoryUpstreamLeases implements UpstreamLeases {
  readonly #networks = new Map<string, Network>()
  readonly #claimed = new Map<string, readonly UpstreamFile[]>()

  /** As if upstream had been at work, which it refuses where the network is ours. */
  write(network: string, ...files: readonly UpstreamFile[]): void {
    const known = this.#networks.get(network)
    if (known?.owner === 'podwire') throw new Error(`${network} is not upstream's`)
    this.#networks.set(network, { owner: 'upstream', files: [...(known?.files ?? []), ...files], note: '' })
  }

  /** What `settle` left for a person. */
  note(network: string): string {
    return this.#networks.get(network)?.note ?? ''
  }

  owner(network: string): Owner {
    if (this.#claimed.has(network)) return 'upstream'
    return this.#networks.get(network)?.owner ?? 'nobody'
  }

  list(network: string): UpstreamFile[] {
    const known = this.#networks.get(network)
    const live = known?.owner === 'upstream' ? known.files : []
    return [...(this.#claimed.get(network) ?? []), ...live].sort((a, b) => (a.name < b.name ? -1 : 1))
  }

  claim(network: string): UpstreamFile[] {
    const files = this.list(network)
    if (this.owner(network) === 'upstream') this.#claimed.set(network, files)
    if (this.#networks.get(network)?.owner !== 'podwire') {
      this.#networks.set(network, { owner: 'podwire', files: [], note: '' })
    }
    return files
  }

  release(
    network: string,
    pick: (files: readonly UpstreamFile[]) => readonly string[],
  ): string[] | undefined {
    const known = this.#networks.get(network)
    if (this.#claimed.has(network) || known?.owner !== 'upstream') return undefined
    const names = [...pick(known.files)]
    known.files = known.files.filter(({ name }) => !names.includes(name))
    return names
  }

  settle(network: string, note: string): void {
    const known = this.#networks.get(network)
    if (known?.owner === 'podwire') known.note += note
    this.#claimed.delete(network)
  }

  listClaimed(): string[] {
    return [...this.#networks]
      .filter(([, { owner }]) => owner === 'podwire')
      .map(([network]) => network)
      .sort()
  }

  handBack(network: string, files: ReadonlyMap<string, string>): void {
    const written = [...files].map(([name, content]) => ({ name, content, modifiedAtMs: 0 }))
    this.#networks.set(network, { owner: 'upstream', files: written, note: '' })
  }
}
