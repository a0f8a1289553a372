// CNI_ARGS: `K=V;K2=V2`, keys case-sensitive.

import { CNI_CODE, CniError } from './errors.ts'

const IGNORE_UNKNOWN = 'IgnoreUnknown'

/** A later pair with the same key wins. @throws CniError 4 for a pair without exactly one `=` */
export function parseArgs(text: string): ReadonlyMap<string, string> {
  const args = new Map<string, string>()
  for (const pair of splitPairs(text)) {
    const [key = '', value = '', ...rest] = pair.split('=')
    if (rest.length > 0 || !pair.includes('=')) throw invalidArgs(`invalid pair ${JSON.stringify(pair)}`)
    args.set(key, value)
  }
  return args
}

/** What can be read of CNI_ARGS: for DEL, which must not fail because of them. */
export function parseArgsLeniently(text: string): ReadonlyMap<string, string> {
  const pairs = splitPairs(text).map((pair) => pair.split('='))
  return new Map(
    pairs.flatMap(([key = '', value, ...rest]) =>
      value !== undefined && rest.length === 0 ? [[key, value]] : [],
    ),
  )
}

/**
 * Refuses arguments that the plugin does not know, unless the caller said `IgnoreUnknown`.
 *
 * @param known  the keys that the plugin reads; `IgnoreUnknown` is always known
 * @throws CniError 4 naming every unknown argument, or an `IgnoreUnknown` that is neither true nor false
 */
export function requireKnownArgs(args: ReadonlyMap<string, string>, known: readonly string[]): void {
  if (ignoresUnknown(args)) return
  const unknown = [...args].filter(([key]) => key !== IGNORE_UNKNOWN && !known.includes(key))
  if (unknown.length === 0) return
  const list = unknown.map(([key, value]) => JSON.stringify(`${key}=${value}`)).join(' ')
  throw invalidArgs(`unknown args [${list}]`, `known are ${[IGNORE_UNKNOWN, ...known].join(', ')}`)
}

function ignoresUnknown(args: ReadonlyMap<string, string>): boolean {
  const value = args.get(IGNORE_UNKNOWN)
  switch (value?.toLowerCase()) {
    case '1':
    case 'true':
      return true
    case undefined:
    case '0':
    case 'false':
      return false
    default: {
      const pair = JSON.stringify(`${IGNORE_UNKNOWN}=${value}`)
      throw invalidArgs(`error parsing value of pair ${pair}: neither true nor false`)
    }
  }
}

function splitPairs(text: string): string[] {
  return text === '' ? [] : text.split(';')
}

/** Upstream's texts begin with `ARGS:`; the spec wants the variable's whole name in an error of code 4. */
function invalidArgs(why: string, details = ''): CniError {
  return new CniError(CNI_CODE.invalidEnvironment, `CNI_ARGS: ${why}`, { details })
}
