// What differs from run to run gets a name that does not: the second MAC that is seen is `<mac 2>` wherever it is
// seen again, so that a text also says what is the same as what.

import type { Namespace } from './node.ts'

const VARIABLE: readonly { readonly pattern: RegExp; readonly kind: string }[] = [
  { pattern: /\bveth[0-9a-f]{8}\b/g, kind: 'veth' },
  { pattern: /\bbwp[0-9a-f]{12}\b/g, kind: 'ifb' },
  { pattern: /\b(?:[0-9a-f]{2}:){5}[0-9a-f]{2}\b/g, kind: 'mac' },
]

const TIME = /\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z/g

/** In the about text. */
const RELEASE = /plugin v[0-9][^ ]*$/

/** MACs that a test chose: shown as they are. */
const CHOSEN = /^(?:02:00:00:00:|c2:11:22:33:44:)/

export class Names {
  readonly #fixed: [string, string][] = []
  readonly #seen = new Map<string, string>()
  readonly #counts = new Map<string, number>()

  /** From now on `text` reads `<label>`. */
  set(text: string, label: string): void {
    this.#fixed.push([text, `<${label}>`])
    this.#fixed.sort(([a], [b]) => b.length - a.length) // the longer first: one may begin with another
  }

  setNamespace({ name, path, label }: Namespace): void {
    this.set(path, label)
    this.set(name, label)
  }

  apply(text: string): string {
    const fixed = this.#fixed.reduce(
      (rest, [from, to]) => rest.replaceAll(from, to),
      text.replace(TIME, '<time>').replace(RELEASE, 'plugin <release>'),
    )
    return VARIABLE.reduce(
      (rest, { pattern, kind }) => rest.replace(pattern, (found) => this.#nameOf(kind, found)),
      fixed,
    )
  }

  #nameOf(kind: string, found: string): string {
    if (CHOSEN.test(found)) return found
    const count = this.#counts.get(kind) ?? 0
    const name = this.#seen.get(found) ?? `<${kind} ${count + 1}>`
    if (!this.#seen.has(found)) this.#counts.set(kind, count + 1)
    this.#seen.set(found, name)
    return name
  }
}
