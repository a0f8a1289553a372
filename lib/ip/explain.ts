// Why a text is no address: for the details of errors, in the words of ip-num.
//
// The one importer of ip-num, and only when there is something to explain: loading even its validator alone costs
// 10 ms, which every call would pay (docs/adr/0002-ip-num.md).

import { ADDRESS_BITS, IpAddress } from './address.ts'
import { Prefix } from './prefix.ts'

/** ip-num's words for a text that fits none of its patterns say nothing but that. */
const SAYS_NOTHING = /is not confirm|should contain an IPv6 number/

const MAPPED = 'an IPv4-mapped address is not accepted here: write it as IPv4'

/**
 * Says what is wrong with a text that `IpAddress.parse` or `Prefix.parse` refused.
 *
 * @param text  an address, or an address with the length of a prefix
 * @returns one or more sentences without a final stop; an empty text when nothing more can be said
 */
export async function explainInvalidAddress(text: string): Promise<string> {
  if (text === '') return 'it is empty'
  if (text !== text.trim()) return 'it has white space around it'
  const family = text.includes(':') ? 6 : 4
  const [address = '', length, ...rest] = text.split('/')
  if (rest.length > 0) return 'it has more than one slash'
  if (length !== undefined && isMapped(address)) return MAPPED
  const about = [...(await askValidator(family, address)), ...explainLength(family, length)]
  return about.join('; ')
}

async function askValidator(family: 4 | 6, address: string): Promise<string[]> {
  if (address.includes('%')) return ['an address with a zone is not accepted']
  const { Validator } = await import('ip-num/dist/src/Validator.js')
  const [valid, reasons] =
    family === 4 ? Validator.isValidIPv4String(address) : Validator.isValidIPv6String(address)
  if (valid) return []
  const words = reasons.filter((reason) => !SAYS_NOTHING.test(reason))
  return words.length > 0 ? words.map(lowerFirst) : [`it is not in the form of an IPv${family} address`]
}

/** Ours: ip-num names the bounds of IPv4 for both families. */
function explainLength(family: 4 | 6, length: string | undefined): string[] {
  if (length === undefined) return []
  const bits = ADDRESS_BITS[family]
  try {
    Prefix.parse(`${family === 4 ? '0.0.0.0' : '::'}/${length}`)
    return []
  } catch {
    return [`the length of the prefix must be a number from 0 to ${bits} without leading zeros`]
  }
}

/** Prefix.parse refuses `::ffff:10.0.0.1/120`, whose length counts bits that the address does not have. */
function isMapped(address: string): boolean {
  try {
    return address.includes(':') && IpAddress.parse(address).family === 4
  } catch {
    return false
  }
}

function lowerFirst(sentence: string): string {
  return sentence.charAt(0).toLowerCase() + sentence.slice(1)
}
