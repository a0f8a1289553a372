// Configs that come again: all pods of a network are attached with the same text. A daemon reads it once, and keeps what it
// has made of it; what it depends on besides the text is not kept.

export type Config = Readonly<Record<string, unknown>>

/** Those that came last. */
const known = new Map<string, Config>()
const MAX_KNOWN = 16
const MAX_LENGTH = 16 * 1024

/** @returns the same object as for the same text before, if that is known still */
export function knownConfig(text: string): Config | undefined {
  const config = known.get(text)
  if (config === undefined) return undefined
  known.delete(text)
  known.set(text, config)
  return config
}

/** Nobody may change it from now on, which is made sure of. */
export function keepConfig(text: string, config: Config): void {
  if (text.length > MAX_LENGTH) return
  freeze(config)
  known.set(Buffer.from(text).toString(), config) // as a part of something longer it would keep all of that
  const [oldest] = known.keys()
  if (known.size > MAX_KNOWN && oldest !== undefined) known.delete(oldest)
}

function freeze(value: unknown): void {
  if (typeof value !== 'object' || value === null) return
  Object.freeze(value)
  for (const one of Object.values(value)) freeze(one)
}

/** @returns `make`, which is called once for each config that is kept; what it throws is not kept */
export function perConfig<T extends object>(make: (config: Config) => T): (config: Config) => T {
  const made = new WeakMap<Config, T>()
  return (config) => {
    if (!Object.isFrozen(config)) return make(config)
    const known = made.get(config)
    if (known !== undefined) return known
    const value = make(config)
    made.set(config, value)
    return value
  }
}
